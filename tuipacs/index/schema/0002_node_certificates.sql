-- What proves that a caller is the node it says it is: its certificate, TLS at all, a user's name.

ALTER TABLE node ADD COLUMN certificate_sha256 TEXT NOT NULL DEFAULT '';  -- of its DER form, hexadecimal; empty: any
ALTER TABLE node ADD COLUMN require_tls INTEGER NOT NULL DEFAULT 0;
ALTER TABLE node ADD COLUMN require_identity INTEGER NOT NULL DEFAULT 0;  -- user identity, PS3.7 D.3.3.7
