"""``tuipacs query``: what other archives have, all of them asked at once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import typer

from tuipacs.cli.output import note, print_json, print_table
from tuipacs.cli.remote_nodes import named_nodes
from tuipacs.cli.session import connected
from tuipacs.cli.state import JsonOption
from tuipacs.client.connection import Connection
from tuipacs.domain.level import Level
from tuipacs.domain.remote import HERE, NodeAnswer, NodeState, RemoteQuery, RemoteRow
from tuipacs.domain.remote_merge import MergedRow, Merger
from tuipacs.errors import UsageError
from tuipacs.schema import operations as op
from tuipacs.schema.remote_messages import RemotePoll, RemoteStart, RemoteTask

_POLL_SECONDS = (0.02, 0.05, 0.1, 0.25)
FAILED, RETRYABLE = 1, 3
_AGAIN = (NodeState.UNREACHABLE, NodeState.FAILED)

_ALWAYS = ("node", "level", "study_instance_uid", "instances", "here")
_BELOW = (Level.SERIES, Level.INSTANCE)
_LEVELS_OF: dict[str, tuple[Level, ...]] = {  # of the attributes that are not the study's
    "series_instance_uid": _BELOW,
    **dict.fromkeys(("modality", "series_number", "series_description", "series_date"), _BELOW[:1]),
    **dict.fromkeys(("sop_instance_uid", "sop_class_uid", "instance_number"), _BELOW[1:]),
}

_COLUMNS: dict[Level, tuple[str, ...]] = {
    Level.STUDY: ("DATE", "MOD", "PATIENT", "ID", "DESCRIPTION"),
    Level.SERIES: ("NO", "MOD", "DESCRIPTION"),
    Level.INSTANCE: ("NO", "SOP CLASS"),
}


def query(
    ctx: typer.Context,
    nodes: Annotated[
        list[str] | None, typer.Argument(metavar="NODE...", help="AE titles, or keys")
    ] = None,
    local: Annotated[bool, typer.Option("--local", help="Ask this archive too")] = False,
    name: Annotated[
        str, typer.Option(metavar="TEXT", help='Patient; its beginning, doe*, *doe*, or "DOE^JOHN"')
    ] = "",
    patient_id: Annotated[str, typer.Option("--id", metavar="TEXT", help="Patient ID")] = "",
    accession: Annotated[str, typer.Option(metavar="TEXT", help="Accession number")] = "",
    born: Annotated[str, typer.Option(metavar="DATE", help="Birth date")] = "",
    date: Annotated[
        str, typer.Option(metavar="DATE", help="Study date: today, -7d, 202611, 20261101-20261130")
    ] = "",
    modality: Annotated[str, typer.Option(metavar="CT,MR", help="Any of these")] = "",
    description: Annotated[str, typer.Option(metavar="TEXT", help="Anywhere in it")] = "",
    referrer: Annotated[str, typer.Option(metavar="TEXT", help="Referring physician")] = "",
    uid: Annotated[
        list[str] | None, typer.Option(metavar="UID", help="Study; may be repeated")
    ] = None,
    series: Annotated[
        list[str] | None, typer.Option(metavar="UID", help="Series, below the level of studies")
    ] = None,
    level: Annotated[
        Level,
        typer.Option(metavar="study|series|instance", help="What to list", case_sensitive=False),
    ] = Level.STUDY,
    as_json: JsonOption = False,
) -> None:
    """Ask other archives (C-FIND), all at once, and say what of it is here.

    Exit code 3 if a node could not be reached, 1 if one refused; what the others said is shown.
    """
    asked = RemoteQuery(
        level=level,
        patient_name=name,
        patient_id=patient_id,
        patient_birth_date=born,
        accession_number=accession,
        study_date=date,
        modality=modality,
        study_description=description,
        referring_physician_name=referrer,
        study_instance_uids=tuple(uid or ()),
        series_instance_uids=tuple(series or ()),
    )
    if not nodes and not local:
        raise UsageError("nobody is asked", remedy="name nodes, or give --local")
    with connected(ctx) as connection:
        found = named_nodes(connection, nodes or ())
        keys = tuple(node.key for node in found) + ((HERE,) if local else ())
        task = connection.call(op.REMOTE_START, RemoteStart(nodes=keys, query=asked))
        answers, rows = follow(connection, task)
    if as_json:
        print_json({"nodes": answers, "rows": _as_json(rows, answers)})
    else:
        _print(level, rows, answers)
    for answer in answers:
        if line := line_of(answer):
            note(line)
    _end(answers)


def follow(
    connection: Connection, task: RemoteTask
) -> tuple[tuple[NodeAnswer, ...], list[MergedRow]]:
    """Everything that comes, to the end. Whoever stops it cancels the query."""
    merger = Merger()
    after = looks = 0
    try:
        while True:
            answer = connection.call(op.REMOTE_POLL, RemotePoll(token=task.token, after=after))
            merger.add(answer.rows)
            if answer.finished:
                return answer.nodes, merger.rows()
            if answer.next == after:
                time.sleep(_POLL_SECONDS[min(looks // 10, len(_POLL_SECONDS) - 1)])
                looks += 1
            after = answer.next
    except KeyboardInterrupt:
        connection.call(op.REMOTE_CANCEL, task)
        raise


def line_of(answer: NodeAnswer) -> str:
    """What has to be said of a node, beside its rows; empty if all went well."""
    if answer.state is NodeState.COMPLETE and not answer.words:
        return ""
    words = f": {answer.reason}" if answer.words else ""
    return f"{answer.ae_title}: {answer.state.value}{words}"


def _end(answers: Sequence[NodeAnswer]) -> None:
    if any(answer.state in _AGAIN for answer in answers):
        raise typer.Exit(RETRYABLE)
    if any(answer.state in (NodeState.REFUSED, NodeState.CANCELLED) for answer in answers):
        raise typer.Exit(FAILED)


def _print(level: Level, rows: Sequence[MergedRow], answers: Sequence[NodeAnswer]) -> None:
    if rows:
        titles = {answer.node: answer.ae_title for answer in answers}
        what = "SOP" if level is Level.INSTANCE else level.value.upper()
        header = (*_COLUMNS[level], "HERE", "AT", f"{what} INSTANCE UID")
        print_table(header, (_cells(level, row, titles) for row in rows))
    partial = [answer for answer in answers if answer.is_partial]
    if not rows:
        note("nothing matches" if not partial else "nothing was found in what could be read")
    elif partial:
        note("this is not all: not every node has answered to its end, or so that it can be read")
    for row in rows:
        if row.differing:
            note(f"warning: {row.uid} is of another patient elsewhere: {row.differing} differs")
            for said in row.answers:
                where = titles[said.node]
                note(f"         {where}: {said.patient_id} {said.patient_name}")


def _cells(level: Level, row: MergedRow, titles: dict[int, str]) -> Sequence[object]:
    first = row.first
    presence = row.presence.value
    if level is Level.STUDY:
        shown = [
            first.study_date,
            ",".join(first.modalities_in_study),
            first.patient_name,
            first.patient_id,
            first.study_description,
        ]
    elif level is Level.SERIES:
        shown = [first.series_number, first.modality, first.series_description]
    else:
        shown = [first.instance_number, first.sop_class_uid]
    return (*shown, f"{presence} {held_words(row)}".strip(), _at(row, titles), row.uid)


def held_words(row: MergedRow) -> str:
    """ "140", "4/6", "140 (29 there)": what is here, and what of it a node has."""
    if row.first.level is Level.INSTANCE or not row.here:
        return ""
    if row.elsewhere is None or row.elsewhere == row.here:
        return str(row.here)
    if row.elsewhere < row.here:
        return f"{row.here} ({row.elsewhere} there)"
    return f"{row.here}/{row.elsewhere}"


def _at(row: MergedRow, titles: dict[int, str]) -> str:
    return " ".join(
        titles[node] + _count(said)
        for node in row.nodes
        if node != HERE and (said := row.of(node)) is not None
    )


def _count(said: RemoteRow) -> str:
    if said.level is Level.INSTANCE:
        return ""
    return f":{'?' if said.instances is None else said.instances}"


def _of_level(said: RemoteRow) -> dict[str, Any]:
    """Without the attributes of other levels, which are all empty."""
    values: dict[str, Any] = msgspec.to_builtins(said)
    for field in msgspec.structs.fields(RemoteRow):
        levels = _LEVELS_OF.get(field.name, (Level.STUDY,))
        if field.name not in _ALWAYS and said.level not in levels:
            del values[field.encode_name]
    return values


def _as_json(rows: Sequence[MergedRow], answers: Sequence[NodeAnswer]) -> list[dict[str, Any]]:
    titles = {answer.node: answer.ae_title for answer in answers}
    return [
        {
            "uid": row.uid,
            "presence": row.presence.value,
            "here": row.here,
            "elsewhere": row.elsewhere,
            "differing": row.differing,
            "answers": [_of_level(said) | {"ae_title": titles[said.node]} for said in row.answers],
        }
        for row in rows
    ]
