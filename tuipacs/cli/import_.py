"""``tuipacs import``."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from tuipacs.cli.output import print_json, print_lines, size
from tuipacs.cli.progress import duration, wait_for
from tuipacs.cli.session import connected
from tuipacs.cli.state import JsonOption
from tuipacs.domain.job import JobRecord, JobState, Refusal
from tuipacs.errors import TuipacsError, UsageError
from tuipacs.schema import messages as m
from tuipacs.schema import operations as op


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
        job = wait_for(connection, job, _line)
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


def _line(job: JobRecord) -> str:
    """Counts, rate and time left."""
    of = f" of {job.total:,}" if job.total else ""
    parts = [f"{job.done:,}{of} looked at", f"{job.stored:,} stored", size(job.bytes_done)]
    if job.refused:
        parts.append(f"{job.refused:,} refused")
    if job.rate:
        parts.append(f"{job.rate:,.0f} a second")
    if job.eta is not None and not job.state.ended:
        parts.append(f"{duration(job.eta)} left")
    return ", ".join(parts)
