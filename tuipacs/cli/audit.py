"""``tuipacs audit``: who did what, and whether the log is whole."""

from __future__ import annotations

from typing import Annotated

import typer

from tuipacs.cli.output import moment, print_json, print_lines, print_table
from tuipacs.cli.session import connected
from tuipacs.cli.state import JsonOption
from tuipacs.client.connection import Connection
from tuipacs.domain.audit import AuditRecord
from tuipacs.errors import TuipacsError
from tuipacs.schema import messages as m
from tuipacs.schema import operations as op

_PAGE = 500

app = typer.Typer(help="The audit log: list, verify.", no_args_is_help=True)


@app.command("list")
def list_records(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="WORDS", help="All must occur in a record")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, metavar="N", help="At most so many; 0: all")] = 100,
    as_json: JsonOption = False,
) -> None:
    """Audit records, newest first."""
    with connected(ctx) as connection:
        records = _read(connection, " ".join(words or ()), limit)
    if as_json:
        print_json(records)
        return
    print_table(
        ("SEQ", "AT", "OUTCOME", "WHO", "ROLE", "WHAT", "DETAIL"),
        (
            (
                record.seq,
                moment(record.at),
                record.outcome.value,
                record.actor,
                record.role,
                f"{record.event} ({record.operation})",
                _detail(record),
            )
            for record in records
        ),
    )


def _read(connection: Connection, words: str, limit: int) -> list[AuditRecord]:
    records: list[AuditRecord] = []
    before = 0
    while True:
        wanted = min(_PAGE, limit - len(records)) if limit else _PAGE
        request = m.AuditRequest(words=words, before_seq=before, limit=wanted)
        page = connection.call(op.AUDIT, request).records
        records += page
        if len(page) < wanted or len(records) == limit:
            return records
        before = page[-1].seq


def _detail(record: AuditRecord) -> str:
    parts = (record.patient_id, record.study_instance_uid, record.sop_instance_uid, record.detail)
    return " ".join(part for part in parts if part)


@app.command("verify")
def verify(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Walk the whole hash chain; exit code 1 if a record does not fit."""
    with connected(ctx) as connection:
        outcome = connection.call(op.AUDIT_VERIFY, m.Empty())
    if as_json:
        print_json(outcome)
        if not outcome.ok:
            raise typer.Exit(1)
        return
    if not outcome.ok:
        raise TuipacsError(
            f"record {outcome.first_bad} does not fit: {outcome.message}",
            remedy=f"{outcome.checked:,} records were checked; keep the file, ask who had access",
        )
    print_lines([f"the audit log is whole: {outcome.checked:,} records checked"])
