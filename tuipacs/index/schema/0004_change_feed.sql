-- The change feed without AUTOINCREMENT, which wrote a second table for every object. A number never comes
-- again all the same: nothing is ever deleted here.

CREATE TABLE change_feed (
    seq INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    patient INTEGER NOT NULL,
    study INTEGER NOT NULL,
    series INTEGER NOT NULL,
    instance INTEGER NOT NULL
) STRICT;
INSERT INTO change_feed SELECT seq, at, kind, patient, study, series, instance FROM change ORDER BY seq;
DROP TABLE change;
ALTER TABLE change_feed RENAME TO change;
CREATE TRIGGER change_is_immutable BEFORE UPDATE ON change
BEGIN SELECT RAISE(ABORT, 'the change feed is append-only'); END;
CREATE TRIGGER change_is_kept BEFORE DELETE ON change
BEGIN SELECT RAISE(ABORT, 'the change feed is append-only'); END;
