"""What a retrieve names: its objects in the order they go out, and whose they are."""

from __future__ import annotations

import json
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from tuipacs.domain.query import fold
from tuipacs.index import outgoing
from tuipacs.index.database import Reader


@dataclass(frozen=True)
class Share:
    """One study of a retrieve, and how many of the objects are its."""

    study: int  # row key, as ``patient``
    study_instance_uid: str
    patient: int
    patient_id: str
    count: int


@dataclass(frozen=True)
class Named:
    """Instance keys in the order to send them in, beside them the study row of each.

    ``repeated_uid``: a SOP Instance UID that is in several of the studies, empty if there is none.
    """

    keys: array[int]
    studies: array[int]
    shares: tuple[Share, ...]
    repeated_uid: str = ""


def patients(reader: Reader, patient_id: str, issuer: str | None) -> list[int]:
    """Row keys of the patients with this very ID; ``issuer``: of this one only."""
    found = reader.all(
        "SELECT id, issuer_of_patient_id FROM patient WHERE sort_id = ? AND patient_id = ?",
        (fold(patient_id), patient_id),
    )
    return [key for key, issued_by in found if issuer in (None, issued_by)]


def named(
    reader: Reader,
    *,
    patients: Sequence[int] | None,
    studies: Sequence[str],
    series: Sequence[str],
    instances: Sequence[str],
) -> Named:
    """See `outgoing.named`; with the studies, in one snapshot."""
    keys = array(
        "q",
        outgoing.named(
            reader, patients=patients, studies=studies, series=series, instances=instances
        ),
    )
    of_keys = (
        "json_each(?) k CROSS JOIN instance i ON i.id = k.value JOIN series s ON s.id = i.series"
    )
    listed = json.dumps(keys.tolist())
    rows = reader.execute(f"SELECT s.study FROM {of_keys} ORDER BY k.key", (listed,))
    studies_of = array("q", (row[0] for row in rows))
    counts: dict[int, int] = {}
    for study in studies_of:
        counts[study] = counts.get(study, 0) + 1
    shares = reader.all(
        "SELECT st.id, st.study_instance_uid, p.id, p.patient_id FROM json_each(?) k"
        " CROSS JOIN study st ON st.id = k.value JOIN patient p ON p.id = st.patient"
        " ORDER BY k.key",
        (json.dumps(list(counts)),),
    )
    found = tuple(
        Share(study, uid, patient, patient_id, counts[study])
        for study, uid, patient, patient_id in shares
    )
    repeated = outgoing.repeated_uid(reader, keys) if len(found) > 1 else ""
    return Named(keys, studies_of, found, repeated)
