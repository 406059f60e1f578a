"""``tuipacs send``."""

from __future__ import annotations

from typing import Annotated

import typer

from tuipacs.cli.output import print_json, print_lines, size
from tuipacs.cli.progress import duration, state_words, wait_to_the_end
from tuipacs.cli.session import connected
from tuipacs.cli.state import JsonOption
from tuipacs.domain.job import JobPriority, JobRecord, JobState
from tuipacs.errors import UsageError
from tuipacs.schema import job_messages as j
from tuipacs.schema import operations as op

_PRIORITIES = {priority.name.lower(): priority for priority in JobPriority}


def priority_of(word: str) -> JobPriority:
    """ "high" and so on. Raises `UsageError`."""
    if word not in _PRIORITIES:
        raise UsageError(f"--priority is one of {', '.join(_PRIORITIES)}")
    return _PRIORITIES[word]


def send(
    ctx: typer.Context,
    uids: Annotated[
        list[str], typer.Argument(metavar="UID", help="Of studies, series or SOP instances")
    ],
    to: Annotated[str, typer.Option(metavar="NODE", help="AE title or key of a node")],
    commit: Annotated[
        bool, typer.Option("--commit", help="Then ask the node for storage commitment")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the job has ended")] = False,
    priority: Annotated[
        str, typer.Option(metavar="low|normal|high", help="Before others to that node, or after")
    ] = "normal",
    as_json: JsonOption = False,
) -> None:
    """Send objects to another node, by a job that goes on by itself.

    With --wait the exit code is 0 if all were delivered, 3 if the node could not be reached until
    the job was given up, 1 for any other end. Ctrl-C leaves the job running in the archive.
    """
    request = j.SendRequest(
        uids=tuple(uids), ae_title=to, priority=priority_of(priority), commit=commit
    )
    with connected(ctx) as connection:
        job = connection.call(op.SEND, request)
        if not wait:
            if as_json:
                print_json(job)
            else:
                print_lines([f"job {job.key}: {job.title}"])
            return
        wait_to_the_end(connection, job, _line, as_json=as_json)


def _line(job: JobRecord) -> str:
    """Counts, rate and time left."""
    parts = [f"{job.done - job.failed:,} of {job.total:,} sent", size(job.bytes_done)]
    if job.failed:
        parts.append(f"{job.failed:,} not taken")
    if job.state is JobState.RUNNING and job.rate:
        parts.append(f"{job.rate:,.0f} a second")
    if job.eta is not None and not job.state.ended:
        parts.append(f"{duration(job.eta)} left")
    if job.state in (JobState.WAITING, JobState.PAUSED, JobState.QUEUED):
        parts.append(state_words(job))
    return ", ".join(parts)
