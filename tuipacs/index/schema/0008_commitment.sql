-- Storage commitment in both directions (PS3.4 J).

-- A transaction: what a node has asked of us (asked_by_us 0), or we have asked of it (1).
CREATE TABLE commitment (
    id INTEGER PRIMARY KEY AUTOINCREMENT,    -- in the order of asking, whatever the clock said; none comes twice
    asked_by_us INTEGER NOT NULL,
    node INTEGER NOT NULL,                   -- the other side; below 0: it was removed, or is another machine now
    node_title TEXT NOT NULL,
    transaction_uid TEXT NOT NULL,
    state TEXT NOT NULL,                     -- domain/commitment.py: TakenState, AskedState
    job INTEGER NOT NULL DEFAULT 0,          -- ours: which job asked
    created_at REAL NOT NULL,
    due_at REAL,                             -- theirs: when it is to be looked at again; null: never
    attempts INTEGER NOT NULL DEFAULT 0,
    ended_at REAL,
    message TEXT NOT NULL DEFAULT '',
    list_sha256 BLOB,                        -- theirs: of the references, which are gone when it has ended
    refused_until INTEGER,                   -- ours: the newest id when it last refused an object; null: it never did
    UNIQUE (node, asked_by_us, transaction_uid)
) STRICT;
CREATE INDEX commitment_due ON commitment (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX commitment_job ON commitment (job) WHERE job > 0;
CREATE INDEX commitment_uid ON commitment (transaction_uid);
CREATE INDEX commitment_ended ON commitment (ended_at) WHERE asked_by_us = 0 AND ended_at IS NOT NULL;

CREATE TABLE commitment_item (
    commitment INTEGER NOT NULL REFERENCES commitment (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    instance INTEGER NOT NULL DEFAULT 0,     -- ours: which one; 0: theirs
    sop_class_uid TEXT NOT NULL,
    sop_instance_uid TEXT NOT NULL,
    outcome INTEGER,                         -- null: not known, 0 committed, else the Failure Reason; -1: it was passed over
    PRIMARY KEY (commitment, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX commitment_item_uid ON commitment_item (sop_instance_uid) WHERE instance > 0;

-- SQLite may give the key of a removed node to another one, and its reports must not be taken from that.
CREATE TRIGGER commitment_forgets_node AFTER DELETE ON node
BEGIN
    DELETE FROM commitment_item WHERE commitment IN (SELECT id FROM commitment WHERE node = old.id AND asked_by_us = 0);
    UPDATE OR REPLACE commitment SET node = -old.id, due_at = NULL, ended_at = coalesce(ended_at, due_at)
    WHERE node = old.id;
END;

-- The word of the machine that was asked says nothing of the one that bears its name now.
CREATE TRIGGER commitment_forgets_machine AFTER UPDATE ON node
WHEN old.ae_title <> new.ae_title OR old.certificate_sha256 <> new.certificate_sha256
    OR old.call ->> '$.host' IS NOT new.call ->> '$.host' OR old.call ->> '$.port' IS NOT new.call ->> '$.port'
BEGIN
    UPDATE commitment SET node = -old.id WHERE node = old.id AND asked_by_us = 1;
END;
