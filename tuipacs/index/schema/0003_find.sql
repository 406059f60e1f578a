-- What C-FIND looks for besides what the screens sort by. Each costs one entry a study, none an object.

CREATE INDEX study_birth_date ON study (patient_birth_date) WHERE patient_birth_date <> '';
CREATE INDEX study_study_id ON study (study_id) WHERE study_id <> '';
-- Names with several component groups (=), of which any may be the one that is asked for.
CREATE INDEX study_name_groups ON study (sort_name) WHERE instr(patient_name, '=') > 0;
-- Columns with few different values: those are looked through, then the studies that have one of them.
CREATE INDEX study_modalities ON study (modalities) WHERE modalities <> '';
CREATE INDEX study_description ON study (study_description) WHERE study_description <> '';
CREATE INDEX study_referring ON study (referring_physician_name) WHERE referring_physician_name <> '';
