"""``tuipacs find``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from tuipacs.cli.output import note, print_json, print_table
from tuipacs.cli.session import connected
from tuipacs.cli.state import JsonOption
from tuipacs.domain.level import Level
from tuipacs.schema import messages as m
from tuipacs.schema import operations as op

COLUMNS: dict[Level, tuple[tuple[str, str], ...]] = {
    Level.PATIENT: (
        ("PATIENT", "patient_name"),
        ("ID", "patient_id"),
        ("BORN", "patient_birth_date"),
        ("SEX", "patient_sex"),
        ("STUDIES", "number_of_patient_related_studies"),
        ("OBJECTS", "number_of_patient_related_instances"),
        ("LATEST", "latest_study_date"),
    ),
    Level.STUDY: (
        ("DATE", "study_date"),
        ("MOD", "modalities_in_study"),
        ("PATIENT", "patient_name"),
        ("ID", "patient_id"),
        ("DESCRIPTION", "study_description"),
        ("OBJECTS", "number_of_study_related_instances"),
        ("STUDY INSTANCE UID", "study_instance_uid"),
    ),
    Level.SERIES: (
        ("NO", "series_number"),
        ("MOD", "modality"),
        ("DESCRIPTION", "series_description"),
        ("OBJECTS", "number_of_series_related_instances"),
        ("SERIES INSTANCE UID", "series_instance_uid"),
    ),
    Level.INSTANCE: (
        ("NO", "instance_number"),
        ("KIND", "sop_class_name"),
        ("SYNTAX", "transfer_syntax_name"),
        ("FRAMES", "number_of_frames"),
        ("SIZE", "size_bytes"),
        ("SOP INSTANCE UID", "sop_instance_uid"),
    ),
}


def find(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="WORDS", help="Words and terms like mod:CT date:-7d name:doe"),
    ] = None,
    level: Annotated[
        Level,
        typer.Option(
            help="What to list", metavar="patient|study|series|instance", case_sensitive=False
        ),
    ] = Level.STUDY,
    limit: Annotated[int, typer.Option(min=0, metavar="N", help="At most so many; 0: all")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Find patients, studies, series or instances; the words are those of the screens' filter.

    Words are taken as on the filter line: '"two words"' is one term, '!term' excludes.
    """
    request = m.FindRequest(filter=" ".join(words or ()), level=level, limit=limit)
    with connected(ctx) as connection:
        found = connection.call(op.FIND, request)
    rows = rows_of(found)
    if as_json:
        print_json(rows)
    elif rows:
        print_rows(level, rows)
    else:
        note("nothing matches")
    if len(rows) < found.matched:
        note(f"{len(rows):,} of {found.matched:,} that match")


def rows_of(found: m.FindResult | m.Shown, level: Level | None = None) -> Sequence[Any]:
    """The records of one level."""
    rows: dict[Level, Sequence[Any]] = {
        Level.PATIENT: found.patients,
        Level.STUDY: found.studies,
        Level.SERIES: found.series,
        Level.INSTANCE: found.instances,
    }
    return rows[level or found.level]


def print_rows(level: Level, rows: Sequence[Any]) -> None:
    """A table of the records of one level."""
    columns = COLUMNS[level]
    print_table(
        [title for title, _ in columns],
        ([_shown(getattr(row, field)) for _, field in columns] for row in rows),
    )


def _shown(value: object) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)
