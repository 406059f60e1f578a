-- Calling other nodes: how, the jobs that do it, what was routed, and storage commitment in both directions.

ALTER TABLE node ADD COLUMN call TEXT NOT NULL DEFAULT '{}';           -- NodeCall as JSON
ALTER TABLE node ADD COLUMN character_set TEXT NOT NULL DEFAULT '';    -- assumed where it names none
ALTER TABLE node ADD COLUMN max_results INTEGER NOT NULL DEFAULT 0;
ALTER TABLE node ADD COLUMN paused INTEGER NOT NULL DEFAULT 0;         -- its lane of jobs

ALTER TABLE job ADD COLUMN node INTEGER NOT NULL DEFAULT 0;            -- whom it calls: its lane; 0: nobody; below 0: removed
ALTER TABLE job ADD COLUMN node_title TEXT NOT NULL DEFAULT '';        -- for when the node is gone
ALTER TABLE job ADD COLUMN priority INTEGER NOT NULL DEFAULT 1;        -- 0 low, 1 normal, 2 high
ALTER TABLE job ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;        -- that failed since it was queued, or retried by hand
ALTER TABLE job ADD COLUMN retry_at REAL;
ALTER TABLE job ADD COLUMN begun_at REAL;                              -- its first run; started_at: the last
ALTER TABLE job ADD COLUMN warned INTEGER NOT NULL DEFAULT 0;          -- of done: with a warning status
ALTER TABLE job ADD COLUMN failed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job ADD COLUMN pause_requested INTEGER NOT NULL DEFAULT 0;
DROP INDEX job_state;
CREATE INDEX job_open ON job (state, node, priority DESC, id) WHERE state NOT IN ('done', 'failed', 'cancelled', 'dead');
CREATE INDEX job_retry ON job (retry_at) WHERE state = 'waiting';
CREATE INDEX job_finished ON job (finished_at) WHERE finished_at IS NOT NULL;

-- SQLite may give the key of a removed node to another one, and nobody's pictures may go there instead.
CREATE TRIGGER job_forgets_node AFTER DELETE ON node
BEGIN UPDATE job SET node = -old.id WHERE node = old.id; END;

-- One row for each instance of a job that sends, retrieves or commits.
CREATE TABLE job_item (
    job INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    instance INTEGER NOT NULL,               -- 0: not here, -1: nor to be asked for
    sop_class_uid TEXT NOT NULL,
    sop_instance_uid TEXT NOT NULL,
    state INTEGER NOT NULL DEFAULT 0,        -- 0 waiting, 1 done, 2 done with a warning, 3 failed
    status INTEGER,                          -- the peer's DIMSE status
    comment TEXT NOT NULL DEFAULT '',
    tries INTEGER NOT NULL DEFAULT 0,        -- what was tried least goes first
    PRIMARY KEY (job, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_item_state ON job_item (job, state, tries, position);

-- The series of a job that retrieves, each with where its instances stand among the job's items.
CREATE TABLE job_series (
    job INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    first INTEGER NOT NULL,                  -- position of its first item
    instances INTEGER NOT NULL,              -- its items
    is_whole INTEGER NOT NULL,               -- they are all that the source has of it
    study_instance_uid TEXT NOT NULL,
    series_instance_uid TEXT NOT NULL,
    patient_id TEXT NOT NULL,                -- whose the source said it is, empty if it did not
    issuer_of_patient_id TEXT NOT NULL,
    PRIMARY KEY (job, first)
) STRICT, WITHOUT ROWID;
