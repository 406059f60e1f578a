-- In which transfer syntaxes objects of each SOP class lie here: asked whenever somebody negotiates to get some.
-- Kept by a trigger, which writes for the first of a kind only. A row stays when its last object goes.

CREATE TABLE held_syntax (
    sop_class_uid TEXT NOT NULL,
    transfer_syntax_uid TEXT NOT NULL,
    PRIMARY KEY (sop_class_uid, transfer_syntax_uid)
) STRICT, WITHOUT ROWID;
INSERT INTO held_syntax SELECT DISTINCT sop_class_uid, transfer_syntax_uid FROM instance;

CREATE TRIGGER instance_is_held AFTER INSERT ON instance
BEGIN
    INSERT INTO held_syntax VALUES (new.sop_class_uid, new.transfer_syntax_uid) ON CONFLICT DO NOTHING;
END;
