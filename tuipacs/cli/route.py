"""``tuipacs route``: the rules that send arriving studies on, and why one was sent or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from tuipacs.cli import route_options as o
from tuipacs.cli.output import moment, note, print_json, print_lines, print_table
from tuipacs.cli.session import connected
from tuipacs.cli.state import JsonOption
from tuipacs.client.connection import Connection
from tuipacs.domain.route import MATCHED_DAYS, RouteDecision, RouteRecord, RouteRule
from tuipacs.domain.route_match import WAS_IMPORTED
from tuipacs.domain.route_words import condition_words, decision_words, rule_words
from tuipacs.errors import NotFoundError
from tuipacs.schema import messages as m
from tuipacs.schema import operations as op
from tuipacs.schema import route_messages as rt

app = typer.Typer(
    help="Rules that send arriving studies on: list, add, edit, explain.", no_args_is_help=True
)
Name = Annotated[str, typer.Argument(metavar="RULE", help="Its name or key")]
StudyUid = Annotated[str, typer.Argument(metavar="STUDY_UID")]


@app.command("list")
def list_routes(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """All rules in the order in which they are asked."""
    with connected(ctx) as connection:
        found = connection.call(op.ROUTES, m.Empty())
    if as_json:
        print_json(found)
        return
    print_table(
        ("", "RULE", "ON", "TO", "WHAT", f"SENT {MATCHED_DAYS} D"),
        (
            (
                record.position,
                record.rule.name,
                "on" if record.rule.enabled else "off",
                _targets(record),
                _what(record.rule),
                record.matched,
            )
            for record in found.routes
        ),
    )
    if found.waiting:
        note(f"{found.waiting:,} studies are not judged yet")


@app.command("add")
def add(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    to: o.To = None,
    modality: o.Modality = None,
    only: o.Only = None,
    from_: o.From = None,
    study: o.Study = None,
    series: o.Series = None,
    patient_id: o.PatientId = None,
    issuer: o.Issuer = None,
    accession: o.Accession = None,
    referring: o.Referring = None,
    body_part: o.BodyPart = None,
    institution: o.Institution = None,
    station: o.Station = None,
    sop_class: o.SopClass = None,
    max_age: o.MaxAge = None,
    minimum: o.Minimum = None,
    maximum: o.Maximum = None,
    days: o.Days = None,
    window: o.Window = None,
    unflagged: o.Unflagged = None,
    source: o.Source = None,
    level: o.Level = None,
    priority: o.JobPriority = None,
    commit: o.Commit = None,
    stop: o.Stop = None,
    quiet: o.Quiet = None,
    off: Annotated[bool, typer.Option("--off", help="Not switched on yet")] = False,
    position: Annotated[int, typer.Option(min=0, metavar="N", help="Its place [last]")] = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what it would have matched of late")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a rule. What is left out matches everything that nodes send.

    Patterns: * is any text, ? one character, a leading ! excludes. Quote them for the shell.
    """
    given = dict(locals())
    with connected(ctx) as connection:
        rule = o.changed(RouteRule(name=name, nodes=(), enabled=not off), connection, given)
        if dry_run:
            _show_preview(connection, rule, rt.PREVIEW_DAYS, as_json=as_json)
            return
        record = connection.call(op.ROUTE_ADD, rt.RouteAddRequest(rule=rule, position=position))
    _show_rule(record, as_json=as_json)


@app.command("edit")
def edit(
    ctx: typer.Context,
    name: Name,
    new_name: Annotated[str, typer.Option("--name", metavar="NAME")] = "",
    to: o.To = None,
    modality: o.Modality = None,
    only: o.Only = None,
    from_: o.From = None,
    study: o.Study = None,
    series: o.Series = None,
    patient_id: o.PatientId = None,
    issuer: o.Issuer = None,
    accession: o.Accession = None,
    referring: o.Referring = None,
    body_part: o.BodyPart = None,
    institution: o.Institution = None,
    station: o.Station = None,
    sop_class: o.SopClass = None,
    max_age: o.MaxAge = None,
    minimum: o.Minimum = None,
    maximum: o.Maximum = None,
    days: o.Days = None,
    window: o.Window = None,
    unflagged: o.Unflagged = None,
    source: o.Source = None,
    level: o.Level = None,
    priority: o.JobPriority = None,
    commit: o.Commit = None,
    stop: o.Stop = None,
    quiet: o.Quiet = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what it would have matched of late")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Change what is given; an empty text ('') takes a condition away."""
    given = dict(locals())
    with connected(ctx) as connection:
        record = _only(connection, name)
        rule = o.changed(record.rule, connection, given, name=new_name)
        if dry_run:
            _show_preview(connection, rule, rt.PREVIEW_DAYS, as_json=as_json)
            return
        request = rt.RouteEditRequest(key=record.key, revision=record.revision, rule=rule)
        record = connection.call(op.ROUTE_EDIT, request)
    _show_rule(record, as_json=as_json)


@app.command("enable")
def enable(ctx: typer.Context, name: Name) -> None:
    """Switch a rule on."""
    _switch(ctx, name, enabled=True)


@app.command("disable")
def disable(ctx: typer.Context, name: Name) -> None:
    """Switch a rule off; it stays where it is."""
    _switch(ctx, name, enabled=False)


@app.command("move")
def move(
    ctx: typer.Context,
    name: Name,
    position: Annotated[int, typer.Argument(min=1, metavar="POSITION")],
) -> None:
    """Give a rule another place; 1 is asked first."""
    with connected(ctx) as connection:
        key = _only(connection, name).key
        record = connection.call(op.ROUTE_MOVE, rt.RouteMoveRequest(key=key, position=position))
    print_lines([f"{record.rule.name} is rule {record.position} now"])


@app.command("remove")
def remove(ctx: typer.Context, name: Name) -> None:
    """Forget a rule; what it decided can still be asked."""
    with connected(ctx) as connection:
        record = _only(connection, name)
        connection.call(op.ROUTE_REMOVE, rt.RouteRequest(key=record.key))
    print_lines([f"forgot the rule {record.rule.name}"])


@app.command("preview")
def preview(
    ctx: typer.Context,
    name: Name,
    days: Annotated[
        int, typer.Option(min=1, max=rt.MAX_PREVIEW_DAYS, metavar="N", help="Of how many days")
    ] = rt.PREVIEW_DAYS,
    as_json: JsonOption = False,
) -> None:
    """What a rule would have matched of late, and what it nearly did."""
    with connected(ctx) as connection:
        _show_preview(connection, _only(connection, name).rule, days, as_json=as_json)


@app.command("explain")
def explain(ctx: typer.Context, study_uid: StudyUid, as_json: JsonOption = False) -> None:
    """Why a study was sent on or not: what was decided, and what the rules say now."""
    with connected(ctx) as connection:
        request = rt.RouteStudyRequest(study_instance_uid=study_uid)
        _show_explanations(connection.call(op.ROUTE_EXPLAIN, request), as_json=as_json)


@app.command("force")
def force(ctx: typer.Context, study_uid: StudyUid, as_json: JsonOption = False) -> None:
    """Take a study for complete: the rules are asked at once. Nothing is sent twice."""
    with connected(ctx) as connection:
        request = rt.RouteStudyRequest(study_instance_uid=study_uid)
        _show_explanations(connection.call(op.ROUTE_FORCE, request), as_json=as_json)


def _switch(ctx: typer.Context, name: str, *, enabled: bool) -> None:
    with connected(ctx) as connection:
        key = _only(connection, name).key
        record = connection.call(op.ROUTE_ENABLE, rt.RouteEnableRequest(key=key, enabled=enabled))
    print_lines([f"the rule {record.rule.name} is {'on' if enabled else 'off'}"])


def _only(connection: Connection, wanted: str) -> RouteRecord:
    """The rule of that name, whatever its case, or of that key: no name is a number."""
    for record in connection.call(op.ROUTES, m.Empty()).routes:
        if wanted.casefold() == record.rule.name.casefold() or wanted == str(record.key):
            return record
    raise NotFoundError(f"no such rule: {wanted}", remedy="tuipacs route list")


def _targets(record: RouteRecord) -> str:
    shown = [f"{t.ae_title} ({t.fault})" if t.fault else t.ae_title for t in record.targets]
    return ", ".join(shown) or "nowhere"


def _what(rule: RouteRule) -> str:
    return "; ".join([*(condition_words(rule.conditions) or ["everything"]), *rule_words(rule)])


def _show_rule(record: RouteRecord, *, as_json: bool) -> None:
    if as_json:
        print_json(record)
        return
    words = [f"rule {record.position}, {record.rule.name}: {_what(record.rule)}"]
    words.append(f"to {_targets(record)}" + ("" if record.rule.enabled else " (switched off)"))
    print_lines([" → ".join(words)])


def _show_preview(connection: Connection, rule: RouteRule, days: int, *, as_json: bool) -> None:
    found = connection.call(op.ROUTE_PREVIEW, rt.RoutePreviewRequest(rule=rule, days=days))
    if as_json:
        print_json(found)
        return
    of = f"the newest {found.looked_at:,} of {found.came:,}"
    all_of = of if found.looked_at < found.came else f"{found.came:,}"
    print_lines([f"{found.matched:,} of {all_of} studies of {days} days match"])
    print_table(
        ("RECEIVED", "MOD", "PATIENT", "DESCRIPTION", "STUDY INSTANCE UID", "MATCHES"),
        (
            (
                moment(row.study.received_at)[:16],
                ",".join(row.study.modalities_in_study),
                row.study.patient_name,
                row.study.study_description,
                row.study.study_instance_uid,
                "yes" if not row.reason else f"no: {row.reason}",
            )
            for row in found.rows
        ),
    )
    if any(row.reason == WAS_IMPORTED for row in found.rows):
        note("note: --source any takes what was imported, too; --source imported only that")


def _show_explanations(found: rt.RouteExplanations, *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    for item in found.studies:
        study = item.study
        lines = [f"{study.study_instance_uid}  {study.study_description}", f"  {item.state}"]
        if item.decisions:
            lines += ["  decided:", *_decision_lines(item.decisions, is_past=True)]
        if item.now and (item.waits or not item.decisions):
            lines += ["  the rules say now:", *_decision_lines(item.now, is_past=False)]
        print_lines(lines)


def _decision_lines(decisions: Sequence[RouteDecision], *, is_past: bool) -> list[str]:
    lines = []
    for decision in decisions:
        at = f"{moment(decision.at)[:19]}  " if is_past else ""
        lines.append(f"    {at}{decision.rule}: {decision_words(decision)}: {decision.reason}")
    return lines
