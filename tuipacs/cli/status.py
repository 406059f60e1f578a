"""``tuipacs status``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import msgspec
import typer

from tuipacs.cli.output import moment, note, print_json, print_lines, size
from tuipacs.cli.restart import RESTART, changed_settings, restart_words
from tuipacs.cli.session import connected, has_login
from tuipacs.cli.state import MAKE_IT, JsonOption, State, is_archive, state_of
from tuipacs.client.connection import Connection
from tuipacs.domain.job import counted
from tuipacs.domain.system import CERTIFICATE_WARNING_DAYS, Health, SystemStatus, TlsHealth
from tuipacs.errors import AuthenticationError, DaemonUnreachableError, ForbiddenError
from tuipacs.schema import messages as m
from tuipacs.schema import operations as op

NOT_RUNNING = 3


def status(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Is it running, receiving, full? More is told to who is logged in and may know it.

    Exit code 3 when no daemon runs.
    """
    state = state_of(ctx)
    try:
        with closing(Connection(state.archive.socket, clean=not as_json)) as connection:
            health = connection.call(op.HEALTH, m.Empty())
    except DaemonUnreachableError as error:
        _not_running(state, error, as_json)
        raise typer.Exit(NOT_RUNNING) from None
    whole = _whole(ctx, state)
    changed = changed_settings(state.archive, health)
    if as_json:
        answer: dict[str, Any] = {
            "running": True,
            "archive": str(state.archive.root),
            "restart_needed": changed,
        }
        answer |= msgspec.to_builtins(whole) if whole else {"health": msgspec.to_builtins(health)}
        print_json(answer)
        return
    print_lines(_health_lines(health))
    if changed:
        print_lines([f"RESTART    {restart_words(changed)}", f"           {state.typed(RESTART)}"])
    if whole:
        print_lines(_status_lines(whole))


def _whole(ctx: typer.Context, state: State) -> SystemStatus | None:
    """All there is to know, or None for who is not logged in or has not the permission."""
    if not has_login(state):
        return None
    try:
        with connected(ctx) as connection:
            return connection.call(op.STATUS, m.Empty())
    except (AuthenticationError, ForbiddenError) as error:
        note(f"tuipacs: only what anyone may know: {error.message}")
        return None


def _not_running(state: State, error: DaemonUnreachableError, as_json: bool) -> None:
    exists = is_archive(state.archive)
    if as_json:
        print_json({"running": False, "archive": str(state.archive.root), "exists": exists})
        return
    note(f"tuipacs: {error.message}")
    note(f"archive    {state.archive.root}")
    note(f"           {state.typed(error.remedy if exists else MAKE_IT)}")


def _health_lines(health: Health) -> Iterator[str]:
    receiving = "receiving" if health.receiving else f"not receiving: {health.receiving_reason}"
    since = moment(health.started_at)
    yield f"running    tuipacs {health.version}, pid {health.pid}, since {since}"
    ports = f"{health.host}:{health.port}" if health.port else health.host
    if health.tls is not None:
        ports += f"{', ' if health.port else ':'}{health.tls.port} with TLS"
        ports += "" if health.port else " only"
    yield f"DICOM      {health.ae_title} on {ports}, {receiving}"
    if health.tls is not None:
        yield from _tls_lines(health.tls)


def _tls_lines(tls: TlsHealth) -> Iterator[str]:
    left = tls.days_left(time.time())
    warning = "  <- soon" if 0 <= left < CERTIFICATE_WARNING_DAYS else ""
    state = f"{left} days left{warning}" if left >= 0 else "EXPIRED"
    yield f"TLS        certificate {tls.subject} until {moment(tls.expires_at)}, {state}"
    if tls.problem:
        yield f"           {tls.problem}"


def _status_lines(status: SystemStatus) -> Iterator[str]:
    totals = status.totals
    yield f"archive    {status.archive}"
    yield (
        f"holds      {totals.patients:,} patients, {totals.studies:,} studies, "
        f"{totals.series:,} series, {totals.instances:,} objects, {size(totals.size_bytes)}"
    )
    for use in status.modalities:
        yield f"           {use.modality or '-'}: {use.instances:,} objects, {size(use.size_bytes)}"
    yield (
        f"disk       {size(status.disk_free)} free of {size(status.disk_total)}, "
        f"{status.reserve >> 20:,} MiB in reserve"
    )
    if status.read_only:
        yield f"READ-ONLY  {status.read_only}"
    if status.quarantined:
        yield f"quarantine {status.quarantined:,} received files that could not be kept"
    yield (
        f"now        {counted(status.associations, 'association')},"
        f" {counted(status.jobs_running, 'job')}, {counted(status.sessions, 'session')},"
        f" {size(status.memory_bytes)} of memory"
    )
    yield f"callers    unknown ones: {status.unknown_callers}"
