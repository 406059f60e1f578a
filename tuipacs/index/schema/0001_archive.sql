-- Patients, studies, series and instances with what C-FIND and the screens need. Texts are exact, as decoded.
-- Counters are kept, never counted. Flags are a bit mask (tuipacs/index/flags.py).

CREATE TABLE patient (
    id INTEGER PRIMARY KEY,
    identity TEXT NOT NULL UNIQUE,           -- patient ID and issuer; one for each study where there is no ID
    patient_id TEXT NOT NULL,
    issuer_of_patient_id TEXT NOT NULL,
    patient_name TEXT NOT NULL,
    patient_birth_date TEXT NOT NULL,
    patient_sex TEXT NOT NULL,
    other_patient_ids TEXT NOT NULL,
    patient_comments TEXT NOT NULL,
    sort_name TEXT NOT NULL,                 -- folded
    sort_id TEXT NOT NULL,
    sort_date TEXT NOT NULL,                 -- newest study date and time
    received_at REAL NOT NULL,               -- newest object
    modalities TEXT NOT NULL,                -- sorted, joined with a backslash
    studies INTEGER NOT NULL DEFAULT 0,
    series INTEGER NOT NULL DEFAULT 0,
    instances INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    flags INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX patient_received ON patient (received_at, id);
CREATE INDEX patient_name ON patient (sort_name, id);
CREATE INDEX patient_date ON patient (sort_date, id);
CREATE INDEX patient_patient_id ON patient (sort_id, id);

CREATE TABLE study (
    id INTEGER PRIMARY KEY,
    patient INTEGER NOT NULL REFERENCES patient (id),
    study_instance_uid TEXT NOT NULL,
    patient_name TEXT NOT NULL,              -- as this study's first object has it
    patient_birth_date TEXT NOT NULL,
    patient_sex TEXT NOT NULL,
    study_date TEXT NOT NULL,
    study_time TEXT NOT NULL,
    accession_number TEXT NOT NULL,
    study_id TEXT NOT NULL,
    study_description TEXT NOT NULL,
    referring_physician_name TEXT NOT NULL,
    name_of_physicians_reading_study TEXT NOT NULL,
    patient_age TEXT NOT NULL,
    patient_size TEXT NOT NULL,
    patient_weight TEXT NOT NULL,
    admission_id TEXT NOT NULL,
    sort_name TEXT NOT NULL,
    sort_id TEXT NOT NULL,
    sort_date TEXT NOT NULL,
    first_received_at REAL NOT NULL,
    received_at REAL NOT NULL,
    calling_ae_title TEXT NOT NULL,
    modalities TEXT NOT NULL,
    sop_classes TEXT NOT NULL,
    series INTEGER NOT NULL DEFAULT 0,
    instances INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    flags INTEGER NOT NULL DEFAULT 0,
    UNIQUE (study_instance_uid, patient)
) STRICT;
CREATE INDEX study_patient ON study (patient, sort_date);
CREATE INDEX study_received ON study (received_at, id);
CREATE INDEX study_name ON study (sort_name, id);
CREATE INDEX study_date ON study (sort_date, id);
CREATE INDEX study_patient_id ON study (sort_id, id);
CREATE INDEX study_accession ON study (accession_number) WHERE accession_number <> '';

-- What the filter line looks through: narrow, so that a scan of all studies takes milliseconds.
-- Texts are folded (no case, no accents); words joins those that a bare word is looked for in.
CREATE TABLE study_search (
    study INTEGER PRIMARY KEY REFERENCES study (id),
    patient INTEGER NOT NULL,
    received_at REAL NOT NULL,
    sort_date TEXT NOT NULL,
    flags INTEGER NOT NULL,
    modalities TEXT NOT NULL,
    words TEXT NOT NULL,
    name TEXT NOT NULL,
    patient_id TEXT NOT NULL,
    accession_number TEXT NOT NULL,
    description TEXT NOT NULL,
    calling_ae_title TEXT NOT NULL,
    uid TEXT NOT NULL
) STRICT;

CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    study INTEGER NOT NULL REFERENCES study (id),
    series_instance_uid TEXT NOT NULL,
    modality TEXT NOT NULL,
    series_number TEXT NOT NULL,
    sort_number INTEGER NOT NULL,
    series_description TEXT NOT NULL,
    series_date TEXT NOT NULL,
    series_time TEXT NOT NULL,
    body_part_examined TEXT NOT NULL,
    laterality TEXT NOT NULL,
    protocol_name TEXT NOT NULL,
    performing_physician_name TEXT NOT NULL,
    operators_name TEXT NOT NULL,
    institution_name TEXT NOT NULL,
    institutional_department_name TEXT NOT NULL,
    station_name TEXT NOT NULL,
    manufacturer TEXT NOT NULL,
    manufacturer_model_name TEXT NOT NULL,
    frame_of_reference_uid TEXT NOT NULL,
    performed_procedure_step_id TEXT NOT NULL,
    performed_procedure_step_start_date TEXT NOT NULL,
    performed_procedure_step_start_time TEXT NOT NULL,
    requested_procedure_id TEXT NOT NULL,
    scheduled_procedure_step_id TEXT NOT NULL,
    received_at REAL NOT NULL,
    instances INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    flags INTEGER NOT NULL DEFAULT 0,
    UNIQUE (series_instance_uid, study)
) STRICT;
CREATE INDEX series_study ON series (study, sort_number, id);

CREATE TABLE instance (
    id INTEGER PRIMARY KEY,
    series INTEGER NOT NULL REFERENCES series (id),
    sop_instance_uid TEXT NOT NULL,
    version INTEGER NOT NULL,                 -- 1, 2, ... for one SOP Instance UID with different bytes
    sop_class_uid TEXT NOT NULL,
    transfer_syntax_uid TEXT NOT NULL,
    specific_character_set TEXT NOT NULL,
    instance_number TEXT NOT NULL,
    sort_number INTEGER NOT NULL,
    content_date TEXT NOT NULL,
    content_time TEXT NOT NULL,
    acquisition_number TEXT NOT NULL,
    acquisition_date TEXT NOT NULL,
    acquisition_time TEXT NOT NULL,
    image_type TEXT NOT NULL,
    number_of_frames INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    columns INTEGER NOT NULL,
    bits_allocated INTEGER NOT NULL,
    photometric_interpretation TEXT NOT NULL,
    instance_creation_date TEXT NOT NULL,
    instance_creation_time TEXT NOT NULL,
    document_title TEXT NOT NULL,
    blob_key TEXT NOT NULL UNIQUE,
    header_size INTEGER NOT NULL,             -- bytes of the file before the dataset
    header_sha256 BLOB NOT NULL,
    dataset_size INTEGER NOT NULL,
    dataset_sha256 BLOB NOT NULL,
    received_at REAL NOT NULL,
    calling_ae_title TEXT NOT NULL,
    remarks TEXT NOT NULL,                    -- one a line
    flags INTEGER NOT NULL DEFAULT 0,
    UNIQUE (sop_instance_uid, version)
) STRICT;
CREATE INDEX instance_series ON instance (series, sort_number, id);

CREATE TABLE modality_use (
    modality TEXT PRIMARY KEY,
    series INTEGER NOT NULL,
    instances INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE total (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    patients INTEGER NOT NULL,
    studies INTEGER NOT NULL,
    series INTEGER NOT NULL,
    instances INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT;
INSERT INTO total VALUES (1, 0, 0, 0, 0, 0);

-- The ordered, immutable feed of what happened to the content.
CREATE TABLE change (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    patient INTEGER NOT NULL,
    study INTEGER NOT NULL,
    series INTEGER NOT NULL,
    instance INTEGER NOT NULL
) STRICT;
CREATE TRIGGER change_is_immutable BEFORE UPDATE ON change
BEGIN SELECT RAISE(ABORT, 'the change feed is append-only'); END;

CREATE TABLE user (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE COLLATE NOCASE,
    role TEXT NOT NULL,
    password TEXT NOT NULL,                   -- PHC string of Argon2id
    disabled INTEGER NOT NULL DEFAULT 0,
    created_at REAL NOT NULL,
    last_login_at REAL,
    failed_logins INTEGER NOT NULL DEFAULT 0,
    blocked_until REAL
) STRICT;

CREATE TABLE session (
    id INTEGER PRIMARY KEY,
    token_sha256 BLOB NOT NULL UNIQUE,
    user INTEGER NOT NULL REFERENCES user (id),
    client TEXT NOT NULL,
    created_at REAL NOT NULL,
    active_at REAL NOT NULL,
    expires_at REAL NOT NULL,
    locked INTEGER NOT NULL DEFAULT 0,
    unix_user TEXT NOT NULL,
    terminal TEXT NOT NULL,
    ssh_client TEXT NOT NULL
) STRICT;

CREATE TABLE node (
    id INTEGER PRIMARY KEY,
    ae_title TEXT NOT NULL,
    address TEXT NOT NULL,                    -- IP address, CIDR, or empty for any
    services TEXT NOT NULL,                   -- joined with a comma
    description TEXT NOT NULL,
    created_at REAL NOT NULL,
    UNIQUE (ae_title, address)
) STRICT;

CREATE TABLE job (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    title TEXT NOT NULL,
    payload TEXT NOT NULL,                    -- JSON, by kind
    submitted_by TEXT NOT NULL,
    created_at REAL NOT NULL,
    started_at REAL,
    finished_at REAL,
    total INTEGER NOT NULL DEFAULT 0,
    done INTEGER NOT NULL DEFAULT 0,
    stored INTEGER NOT NULL DEFAULT 0,
    duplicate INTEGER NOT NULL DEFAULT 0,
    refused INTEGER NOT NULL DEFAULT 0,
    bytes_done INTEGER NOT NULL DEFAULT 0,
    done_before INTEGER NOT NULL DEFAULT 0,   -- when it was last started; the rate counts from there
    checkpoint BLOB NOT NULL DEFAULT x'',     -- by kind: what the first ``done`` objects were
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    message TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX job_state ON job (state, id);

CREATE TABLE job_refusal (
    id INTEGER PRIMARY KEY,
    job INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    path TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;
CREATE INDEX job_refusal_job ON job_refusal (job, id);

-- The append-only hash chain; audit_head repeats its end, so that a cut tail shows.
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    event_code TEXT NOT NULL,
    operation TEXT NOT NULL,
    outcome TEXT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor TEXT NOT NULL,
    role TEXT NOT NULL,
    unix_user TEXT NOT NULL,
    terminal TEXT NOT NULL,
    ssh_client TEXT NOT NULL,
    address TEXT NOT NULL,
    patient_id TEXT NOT NULL,
    study_instance_uid TEXT NOT NULL,
    sop_instance_uid TEXT NOT NULL,
    detail TEXT NOT NULL,
    hash BLOB NOT NULL
) STRICT;
CREATE TRIGGER audit_is_append_only_update BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_is_append_only_delete BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TABLE audit_head (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    seq INTEGER NOT NULL,
    hash BLOB NOT NULL
) STRICT;
INSERT INTO audit_head VALUES (1, 0, zeroblob(32));
