"""``tuipacs import``."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from typing import Annotated

import typer

from tuipacs.cli.output import note, print_json, print_lines, size
from tuipacs.cli.session import connected
from tuipacs.cli.state import JsonOption
from tuipacs.client.connection import Connection
from tuipacs.domain.job import JobRecord, JobState, Refusal
from tuipacs.domain.safe_text import clean
from tuipacs.errors import DaemonUnreachableError, TuipacsError, UsageError
from tuipacs.schema import messages as m
from tuipacs.schema import operations as op

_POLL = 0.2  # seconds
_PATIENCE = 15.0  # seconds for a daemon that restarts


def import_paths(
    ctx: typer.Context,
    paths: Annotated[list[str], typer.Argument(metavar="PATH", help="On the archive's machine")],
    as_json: JsonOption = False,
) -> None:
    """Import files, folders, ZIP archives and DICOMDIR media; wait until it is done.

    What is refused is listed with the reason. Exit code 0 if anything was taken or was there
    already, 1 if nothing was or the job failed. Ctrl-C leaves the import running in the archive.
    """
    request = m.ImportRequest(paths=tuple(_absolute(path) for path in paths))
    with connected(ctx) as connection:
        job = connection.call(op.IMPORT, request)
        try:
            job = _wait(connection, job)
        except KeyboardInterrupt:
            note(f"the import goes on in the archive as job {job.key}")
            note(f"look: tuipacs jobs show {job.key}   end it: tuipacs jobs cancel {job.key}")
            raise
        except DaemonUnreachableError as error:
            raise DaemonUnreachableError(
                error.message,
                remedy=f"job {job.key} goes on once it runs again: tuipacs jobs show {job.key}",
            ) from None
        refusals = connection.call(op.JOB_REFUSALS, m.JobRequest(key=job.key)).refusals
    _tell(job, refusals, as_json)
    if job.state is not JobState.DONE:
        raise TuipacsError(f"import {job.state.value}: {job.message or 'no reason given'}")
    if job.stored + job.duplicate == 0:
        raise TuipacsError("nothing was imported" if refusals else "there was nothing to import")


def _absolute(path: str) -> str:
    """The path for the daemon, which stands in another folder; links stay links."""
    full = os.path.abspath(path)  # noqa: PTH100  pathlib has no way to leave links unresolved
    try:
        full.encode("utf-8")
    except UnicodeEncodeError:
        raise UsageError(
            "the name of a path is not UTF-8", remedy="import the folder that it is in"
        ) from None
    return full


def _tell(job: JobRecord, refusals: tuple[Refusal, ...], as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "stored": job.stored,
                "duplicate": job.duplicate,
                "refused": [{"path": r.path, "reason": r.reason} for r in refusals],
            }
        )
        return
    print_lines(f"refused: {refusal.path}: {refusal.reason}" for refusal in refusals)
    print_lines(
        [f"{job.stored:,} stored, {job.duplicate:,} there already, {job.refused:,} refused"]
    )


def _wait(connection: Connection, job: JobRecord) -> JobRecord:
    with _progress() as show:
        while not job.state.ended:
            show(job)
            time.sleep(_POLL)
            job = _current(connection, job)
        show(job)
    return job


def _current(connection: Connection, job: JobRecord) -> JobRecord:
    """The job as it is now; a daemon that restarts is waited for, since jobs survive it."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return connection.call(op.JOB, m.JobRequest(key=job.key))
        except DaemonUnreachableError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLL)


def _line(job: JobRecord) -> str:
    """Counts, rate and time left."""
    of = f" of {job.total:,}" if job.total else ""
    parts = [f"{job.done:,}{of} looked at", f"{job.stored:,} stored", size(job.bytes_done)]
    if job.refused:
        parts.append(f"{job.refused:,} refused")
    if job.rate:
        parts.append(f"{job.rate:,.0f} a second")
    if job.eta is not None and not job.state.ended:
        parts.append(f"{_duration(job.eta)} left")
    return ", ".join(parts)


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[JobRecord], None]]:
    """Show a job on one line of the terminal, written over; nothing where there is none."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return

    def show(job: JobRecord) -> None:
        columns = max(shutil.get_terminal_size().columns - 1, 20)
        sys.stderr.write(f"\r{clean(_line(job), limit=columns)}\x1b[K")
        sys.stderr.flush()

    try:
        yield show
    finally:
        sys.stderr.write("\n")
        sys.stderr.flush()


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
