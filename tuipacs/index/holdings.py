"""What is here of what other archives have, by UIDs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import NamedTuple

from tuipacs.domain.level import Level
from tuipacs.index.database import Reader

_COUNTS = {
    Level.STUDY: "SELECT k.value, sum(s.instances) FROM json_each(?) k"
    " CROSS JOIN study s ON s.study_instance_uid = k.value GROUP BY k.value",
    Level.SERIES: "SELECT k.value, sum(r.instances) FROM json_each(?) k"
    " CROSS JOIN series r ON r.series_instance_uid = k.value GROUP BY k.value",
    Level.INSTANCE: "SELECT k.value, 1 FROM json_each(?) k"
    " CROSS JOIN instance i ON i.sop_instance_uid = k.value GROUP BY k.value",
}


class HeldSeries(NamedTuple):
    """A series here."""

    series_instance_uid: str
    modality: str
    series_number: str
    series_description: str


def counts(reader: Reader, level: Level, uids: Iterable[str]) -> dict[str, int]:
    """UID to the number of different SOP instances below it; what is not here is left out."""
    return dict(reader.all(_COUNTS[level], (json.dumps(list(uids)),)))


def held(reader: Reader, sop_instance_uids: Iterable[str]) -> dict[str, int]:
    """SOP Instance UID to the key of its first version, of those that are here."""
    return dict(
        reader.all(
            "SELECT k.value, min(i.id) FROM json_each(?) k"
            " CROSS JOIN instance i ON i.sop_instance_uid = k.value GROUP BY k.value",
            (json.dumps(list(sop_instance_uids)),),
        )
    )


def studies_of(reader: Reader, sop_instance_uids: Iterable[str]) -> dict[str, frozenset[str]]:
    """SOP Instance UID to the Study Instance UIDs that it is here under."""
    found: dict[str, frozenset[str]] = {}
    for sop_instance_uid, study_instance_uid in reader.all(
        "SELECT k.value, s.study_instance_uid FROM json_each(?) k"
        " CROSS JOIN instance i ON i.sop_instance_uid = k.value"
        " CROSS JOIN series r ON r.id = i.series CROSS JOIN study s ON s.id = r.study",
        (json.dumps(list(sop_instance_uids)),),
    ):
        found[sop_instance_uid] = found.get(sop_instance_uid, frozenset()) | {study_instance_uid}
    return found


def patients_of(
    reader: Reader, sop_instance_uids: Iterable[str]
) -> dict[str, frozenset[tuple[str, str]]]:
    """SOP Instance UID to the patient IDs that it is here under, each with its issuer."""
    found: dict[str, frozenset[tuple[str, str]]] = {}
    for sop_instance_uid, *whose in reader.all(
        "SELECT k.value, p.patient_id, p.issuer_of_patient_id FROM json_each(?) k"
        " CROSS JOIN instance i ON i.sop_instance_uid = k.value"
        " CROSS JOIN series r ON r.id = i.series CROSS JOIN study s ON s.id = r.study"
        " CROSS JOIN patient p ON p.id = s.patient",
        (json.dumps(list(sop_instance_uids)),),
    ):
        found[sop_instance_uid] = found.get(sop_instance_uid, frozenset()) | {(*whose,)}
    return found


def series_of(reader: Reader, study_instance_uid: str) -> list[HeldSeries]:
    """The series of a study here, by number."""
    return [
        HeldSeries(*row)
        for row in reader.all(
            "SELECT r.series_instance_uid, r.modality, r.series_number, r.series_description"
            " FROM study s CROSS JOIN series r ON r.study = s.id WHERE s.study_instance_uid = ?"
            " ORDER BY r.sort_number, r.id",
            (study_instance_uid,),
        )
    ]


def instances_of(reader: Reader, study_instance_uid: str, series_instance_uid: str) -> set[str]:
    """The SOP Instance UIDs of one series of one study here."""
    return {
        row[0]
        for row in reader.all(
            "SELECT DISTINCT i.sop_instance_uid FROM study s CROSS JOIN series r ON r.study = s.id"
            " CROSS JOIN instance i ON i.series = r.id"
            " WHERE s.study_instance_uid = ? AND r.series_instance_uid = ?",
            (study_instance_uid, series_instance_uid),
        )
    }
