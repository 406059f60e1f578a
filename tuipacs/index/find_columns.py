"""The tables of a C-FIND answer and its columns, by level.

An answer about a patient (PATIENT) stands on its first study ``w``: a patient ID that was used for
several people has one answer for each of them, and no answer counts another's studies
(docs/adr/0004). The other levels have patient p, study s, series r and instance i.
"""

from __future__ import annotations

from tuipacs.domain.find import FindKey, Held
from tuipacs.domain.level import Level
from tuipacs.domain.records import Flag
from tuipacs.index.flags import BIT

_SEVERAL = f"p.flags & {BIT[Flag.PATIENT_MISMATCH]}"  # people under one ID
_VERSIONS = f"p.flags & {BIT[Flag.CONFLICT]}"  # or one SOP instance in two places

FROM = {
    Level.PATIENT: "study w ON w.id = k.value CROSS JOIN patient p ON p.id = w.patient",
    Level.STUDY: "study s ON s.id = k.value",
    Level.SERIES: "series r ON r.id = k.value CROSS JOIN study s ON s.id = r.study",
    Level.INSTANCE: "instance i ON i.id = k.value CROSS JOIN series r ON r.id = i.series"
    " CROSS JOIN study s ON s.id = r.study",
}
PATIENT_OF_STUDY = " CROSS JOIN patient p ON p.id = s.patient"
# Of the versions of one SOP instance in a series the first stands for it: counts say so, too.
FIRST_VERSION = (
    "(i.version = 1 OR NOT EXISTS (SELECT 1 FROM instance o WHERE o.sop_instance_uid ="
    " i.sop_instance_uid AND o.series = i.series AND o.version < i.version))"
)
_PERSON = ("patient_name", "patient_birth_date", "patient_sex")
_OF_PATIENT = frozenset(f"s.{name}" for name in (*_PERSON, "other_patient_ids", "patient_comments"))


def same_person(one: str, other: str) -> str:
    """Whether two studies of patient ``p`` are of one person: an ID alone may be of several."""
    alike = " AND ".join(f"{one}.{name} = {other}.{name}" for name in _PERSON)
    return f"(NOT {_SEVERAL} OR ({alike}))"


def first_studies(of: str) -> str:
    """The study that each person stands on, among the patients that ``of`` selects (keys).

    The two halves keep the usual case off the rows: an index has a patient's studies.
    """
    people = ", ".join(f"o.{name}" for name in _PERSON)
    return (
        f"WITH d (id) AS MATERIALIZED ({of})"
        " SELECT (SELECT min(o.id) FROM study o WHERE o.patient = p.id) AS f"
        f" FROM d CROSS JOIN patient p ON p.id = d.id WHERE NOT {_SEVERAL} AND f IS NOT NULL"
        " UNION ALL SELECT min(o.id) FROM d CROSS JOIN patient p ON p.id = d.id"
        f" CROSS JOIN study o ON o.patient = p.id WHERE {_SEVERAL} GROUP BY p.id, {people}"
    )


def down_to(level: Level, deepest: Level) -> str:
    """Joins from the rows of ``level`` to those of a level below."""
    joins = ""
    if level is Level.PATIENT:
        joins += f" CROSS JOIN study s ON s.patient = p.id AND {same_person('s', 'w')}"
    if deepest in (Level.SERIES, Level.INSTANCE) and level in (Level.PATIENT, Level.STUDY):
        joins += " CROSS JOIN series r ON r.study = s.id"
    if deepest is Level.INSTANCE:
        joins += f" CROSS JOIN instance i ON i.series = r.id AND {FIRST_VERSION}"
    return joins


def needs_patient(key: FindKey) -> bool:
    """Whether the key's column needs the patient's row."""
    return key.column.startswith("p.")


def column(key: FindKey, level: Level) -> str:
    """The key's value as a text, in the tables of ``level``."""
    name = key.column
    study = "w" if level is Level.PATIENT else "s"
    if name in ("p.studies", "p.series", "p.instances"):
        return f"CAST({_of_person(name[2:], study)} AS TEXT)"
    if key.held is Held.COUNT:
        return f"CAST({name} AS TEXT)"
    if key.held is Held.INTEGER:
        return f"CASE {name} WHEN 0 THEN '' ELSE CAST({name} AS TEXT) END"
    if level is Level.PATIENT and name in _OF_PATIENT:
        return f"CASE WHEN {_SEVERAL} THEN w.{name[2:]} ELSE p.{name[2:]} END"
    return name


def _of_person(count: str, study: str) -> str:
    """A count of the patient's, of one person's where there are several."""
    own = f"FROM study o WHERE o.patient = p.id AND {same_person('o', study)}"
    if count == "studies":
        counted = f"(SELECT count(*) {own})"
    elif count == "series":
        counted = f"(SELECT sum(o.series) {own})"
    else:
        exact = (
            "(SELECT count(DISTINCT x.sop_instance_uid) FROM study o"
            " CROSS JOIN series y ON y.study = o.id CROSS JOIN instance x ON x.series = y.id"
            f" WHERE o.patient = p.id AND {same_person('o', study)})"
        )
        counted = f"CASE WHEN {_VERSIONS} THEN {exact} ELSE (SELECT sum(o.instances) {own}) END"
    return f"CASE WHEN {_SEVERAL} THEN {counted} ELSE p.{count} END"
