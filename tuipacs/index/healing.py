"""The row of an object whose file was lost is given the same bytes anew."""

from __future__ import annotations

from tuipacs.domain.blob import StoredBlob
from tuipacs.domain.ingest import IngestResult
from tuipacs.index import counters
from tuipacs.index.database import Reader, Transaction
from tuipacs.index.ingest import Added, Arrival, add

_SAME_BYTES = "WHERE i.sop_instance_uid = ? AND i.dataset_sha256 = ?"


def kept(reader: Reader, sop_instance_uid: str, dataset_sha256: bytes) -> StoredBlob | None:
    """Where these bytes of a SOP instance should lie; None if the index does not know them."""
    row = reader.one(
        "SELECT blob_key, header_size, header_sha256, dataset_size, dataset_sha256"
        f" FROM instance i {_SAME_BYTES}",
        (sop_instance_uid, dataset_sha256),
    )
    if row is None:
        return None
    return StoredBlob(
        key=row[0],
        header_size=row[1],
        header_sha256=row[2],
        dataset_size=row[3],
        dataset_sha256=row[4],
    )


def heal(tx: Transaction, arrival: Arrival, lost: str) -> Added:
    """Let the row of the file ``lost`` name the new one; a duplicate if it does not any more."""
    blob, instance = arrival.blob, arrival.attributes.instance
    row = tx.one(
        "SELECT i.id, i.blob_key, i.header_size, st.patient, st.id, s.id, s.modality, s.received_at"
        " FROM instance i JOIN series s ON s.id = i.series JOIN study st ON st.id = s.study"
        f" {_SAME_BYTES}",
        (instance.sop_instance_uid, blob.dataset_sha256),
    )
    if row is None:
        return add(tx, arrival)
    key, blob_key, header_size, patient, study, series, modality, received_at = row
    if blob_key != lost:
        return Added(IngestResult.DUPLICATE, 0)
    tx.execute(
        "UPDATE instance SET blob_key = ?, header_size = ?, header_sha256 = ? WHERE id = ?",
        (blob.key, blob.header_size, blob.header_sha256, key),
    )
    above = (patient, study, series)
    counters.count(
        tx,
        above,
        counters.NOTHING_NEW,
        flags=0,
        size=blob.header_size - header_size,
        modality=modality,
        at=received_at,
    )
    seq = tx.insert(
        "INSERT INTO change (at, kind, patient, study, series, instance)"
        " VALUES (?, 'restored', ?, ?, ?, ?)",
        (arrival.at, *above, key),
    )
    return Added(IngestResult.STORED, seq)
