"""``tuipacs show``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
import typer

from tuipacs.cli.find import print_rows, rows_of
from tuipacs.cli.output import moment, print_json, print_lines, size
from tuipacs.cli.session import connected
from tuipacs.cli.state import JsonOption
from tuipacs.domain.commitment import StudyCommitment
from tuipacs.domain.level import Level
from tuipacs.schema import messages as m
from tuipacs.schema import operations as op
from tuipacs.schema.commit_messages import StudyCommitmentsRequest

_BELOW = {Level.PATIENT: Level.STUDY, Level.STUDY: Level.SERIES, Level.SERIES: Level.INSTANCE}
_MOMENTS = ("received_at", "first_received_at")


def show(
    ctx: typer.Context,
    uid: Annotated[
        str, typer.Argument(metavar="UID", help="Study, series or SOP instance UID, or patient ID")
    ],
    as_json: JsonOption = False,
) -> None:
    """Show what a UID names, and what is below it."""
    with connected(ctx) as connection:
        shown = connection.call(op.SHOW, m.UidRequest(uid=uid))
        committed = {
            study.key: connection.call(
                op.STUDY_COMMITMENTS, StudyCommitmentsRequest(study=study.key)
            ).nodes
            for study in shown.studies
            if shown.level is Level.STUDY
        }
    if as_json:
        told = [each for nodes in committed.values() for each in nodes]
        print_json(msgspec.to_builtins(shown) | {"commitments": msgspec.to_builtins(told)})
        return
    for row in rows_of(shown):
        print_lines(_lines(row))
        print_lines(f"{'committed':34} {_words(each)}" for each in committed.get(row.key, ()))
    below = _BELOW.get(shown.level)
    if below and rows_of(shown, below):
        print_lines([""])
        print_rows(below, rows_of(shown, below))


def _words(one: StudyCommitment) -> str:
    return f"{one.committed:,} of {one.instances:,} at {one.node_title}, {moment(one.at)}"


def _lines(row: Any) -> Iterator[str]:
    """One record, keyword by keyword; what is empty is left out."""
    for name, field in zip(row.__struct_encode_fields__, row.__struct_fields__, strict=True):
        value = getattr(row, field)
        if value in ("", (), 0) or field.endswith("key"):
            continue
        if field in _MOMENTS:
            value = moment(value)
        elif field == "size_bytes":
            value = size(value)
        yield f"{name:34} {_text(value)}"


def _text(value: object) -> str:
    plain = msgspec.to_builtins(value)
    return ", ".join(map(str, plain)) if isinstance(plain, list | tuple) else str(plain)
