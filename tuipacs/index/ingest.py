"""One object enters the index: its rows and the change, in the caller's transaction."""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import astuple

from tuipacs.domain.attributes import (
    InstanceAttributes,
)
from tuipacs.domain.ingest import IngestResult
from tuipacs.domain.records import Flag
from tuipacs.index import counters, search
from tuipacs.index.database import Reader, Transaction
from tuipacs.index.flags import BIT
from tuipacs.index.places import Arrival, Place, known_place, new_place
from tuipacs.index.sorting import sort_number

__all__ = ["Added", "Arrival", "add", "has_blob", "versions"]

_NO_ID = "PatientID is missing"  # a remark of the attribute reader that has a flag of its own


def versions(reader: Reader, sop_instance_uid: str) -> frozenset[bytes]:
    """SHA-256 of the datasets that are kept under a SOP Instance UID."""
    rows = reader.all(
        "SELECT dataset_sha256 FROM instance WHERE sop_instance_uid = ?", (sop_instance_uid,)
    )
    return frozenset(row[0] for row in rows)


class Added(NamedTuple):
    """What became of an object, and its number in the change feed (0 for a duplicate)."""

    result: IngestResult
    seq: int


def add(tx: Transaction, arrival: Arrival) -> Added:
    """Insert all rows of one object, unless the same bytes are kept under its UID already."""
    instance = arrival.attributes.instance
    kept = versions(tx, instance.sop_instance_uid)
    if arrival.blob.dataset_sha256 in kept:
        return Added(IngestResult.DUPLICATE, 0)
    others = len(kept)
    flags = BIT[Flag.CONFLICT] if others else 0
    if any(remark != _NO_ID for remark in arrival.attributes.remarks):
        flags |= BIT[Flag.REMARK]
    place = known_place(tx, arrival) or new_place(tx, arrival)
    above = (place.patient, place.study, place.series)
    news = counters.ALL_NEW
    if others:
        news = counters.news_to(tx, instance.sop_instance_uid, above)
    instance_id = _instance(tx, arrival, place.series, others + 1, flags)
    if others:
        counters.flag_versions(tx, instance.sop_instance_uid)
    counters.count(
        tx,
        above,
        news,
        flags=flags | place.flags,
        size=arrival.blob.header_size + arrival.blob.dataset_size,
        modality=place.modality,
        at=arrival.at,
    )
    _note_what_is_new(tx, arrival, place)
    seq = tx.insert(
        "INSERT INTO change (at, kind, patient, study, series, instance) VALUES (?, ?, ?, ?, ?, ?)",
        (arrival.at, "conflict" if others else "stored", *above, instance_id),
    )
    return Added(IngestResult.CONFLICT if others else IngestResult.STORED, seq)


def _note_what_is_new(tx: Transaction, arrival: Arrival, place: Place) -> None:
    """Times, modalities and sender above the object: most objects change none of them."""
    second = counters.to_the_second(arrival.at)
    if second != place.study_received_at or second != place.patient_received_at:
        counters.note_time(tx, place.patient, place.study, second)
    if place.modality not in (place.patient_modalities, ""):
        counters.note_modality(
            tx, "patient", place.patient, place.patient_modalities, place.modality
        )
    if place.modality not in (place.study_modalities, "") and (
        merged := counters.note_modality(
            tx, "study", place.study, place.study_modalities, place.modality
        )
    ):
        search.set_modalities(tx, place.study, merged)
    if place.calling_ae_title != arrival.calling_ae_title:
        search.set_calling_ae(tx, place.study, arrival.calling_ae_title)
        tx.execute(
            "UPDATE study SET calling_ae_title = ? WHERE id = ?",
            (arrival.calling_ae_title, place.study),
        )


_INSTANCE_FIELDS = InstanceAttributes.__struct_fields__
_INSERT_INSTANCE = (
    "INSERT INTO instance (series, version, sort_number, blob_key, header_size, header_sha256,"
    " dataset_size, dataset_sha256, received_at, calling_ae_title, remarks, flags, "
    f"{', '.join(_INSTANCE_FIELDS)}) VALUES ({', '.join('?' * (12 + len(_INSTANCE_FIELDS)))})"
)


def _instance(tx: Transaction, arrival: Arrival, series: int, version: int, flags: int) -> int:
    instance, blob = arrival.attributes.instance, arrival.blob
    return tx.insert(
        _INSERT_INSTANCE,
        (
            series,
            version,
            sort_number(instance.instance_number),
            blob.key,
            blob.header_size,
            blob.header_sha256,
            blob.dataset_size,
            blob.dataset_sha256,
            arrival.at,
            arrival.calling_ae_title,
            "\n".join(arrival.attributes.remarks),
            flags,
            *astuple(instance),
        ),
    )


def has_blob(reader: Reader, key: str) -> bool:
    """True if an instance has that file."""
    return reader.one("SELECT 1 FROM instance WHERE blob_key = ?", (key,)) is not None
