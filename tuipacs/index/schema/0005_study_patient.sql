-- Two more attributes of the patient that a study has as its own objects say them, as it has the name: a reused
-- patient ID must not put one person's comments beside another's study. Empty where they could be another study's.

ALTER TABLE study ADD COLUMN other_patient_ids TEXT NOT NULL DEFAULT '';
ALTER TABLE study ADD COLUMN patient_comments TEXT NOT NULL DEFAULT '';
UPDATE study SET (other_patient_ids, patient_comments) =
    (SELECT other_patient_ids, patient_comments FROM patient WHERE patient.id = study.patient)
WHERE patient IN
    (SELECT id FROM patient WHERE studies = 1 AND (other_patient_ids <> '' OR patient_comments <> ''));
