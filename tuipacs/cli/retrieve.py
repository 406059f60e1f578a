"""``tuipacs retrieve``: objects of another archive, to here or to a third one."""

from __future__ import annotations

from typing import Annotated

import typer

from tuipacs.cli.output import print_json, print_lines, size
from tuipacs.cli.progress import duration, state_words, wait_for
from tuipacs.cli.remote_nodes import named_nodes
from tuipacs.cli.session import connected
from tuipacs.cli.state import JsonOption
from tuipacs.domain.job import JobRecord, JobState
from tuipacs.domain.job_words import ending_sentence
from tuipacs.domain.remote import HERE
from tuipacs.domain.uid import MAX_KEPT_UID_LENGTH, is_usable_uid
from tuipacs.errors import TuipacsError, UnavailableError, UsageError
from tuipacs.schema import operations as op
from tuipacs.schema.remote_messages import RetrieveRequest, RetrieveTarget


def retrieve(
    ctx: typer.Context,
    uids: Annotated[
        list[str],
        typer.Argument(metavar="UID...", help="A study; STUDY/SERIES; or STUDY/SERIES/INSTANCE"),
    ],
    source: Annotated[str, typer.Option("--from", metavar="NODE", help="Who has it")],
    to: Annotated[str, typer.Option("--to", metavar="NODE", help="Where to, instead of here")] = "",
    everything: Annotated[
        bool, typer.Option("--all", help="Also what is there already, not only what is missing")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Until it has ended")] = False,
    as_json: JsonOption = False,
) -> None:
    """Retrieve what is missing (C-MOVE or C-GET), by a job that goes on by itself.

    With --wait the exit code is 0 if all of it is there, 3 if the node could not be reached until
    the job was given up, 1 for any other end.
    """
    targets = tuple(target_of(uid) for uid in uids)
    with connected(ctx) as connection:
        node = named_nodes(connection, [source])[0]
        destination = named_nodes(connection, [to])[0].key if to else HERE
        request = RetrieveRequest(
            node=node.key,
            targets=targets,
            destination=destination,
            only_missing=not everything,
        )
        job = connection.call(op.RETRIEVE, request)
        if wait:
            job = wait_for(connection, job, _line, lines=not as_json)
    if as_json:
        print_json(job)
    elif wait:
        print_lines([f"job {job.key} {state_words(job)}"])
    else:
        print_lines([f"job {job.key}: {job.title}"])
    if wait and job.state is not JobState.DONE:
        raise _failure(job)


def _failure(job: JobRecord) -> TuipacsError:
    words = ending_sentence(job)
    if job.state is JobState.DEAD and job.attempts:
        return UnavailableError(words, remedy=f"tuipacs jobs retry {job.key}")
    return TuipacsError(words, remedy=f"tuipacs jobs show {job.key}")


def _line(job: JobRecord) -> str:
    """Counts, rate and time left."""
    if not job.total:
        return "asking what is there"
    parts = [f"{job.done - job.failed:,} of {job.total:,} there"]
    if job.duplicate:
        parts.append(f"{job.duplicate:,} of them already")
    if job.bytes_done:
        parts.append(size(job.bytes_done))
    if job.rate and not job.state.ended:
        parts.append(f"{job.rate:,.0f} a second")
    if job.eta is not None and not job.state.ended:
        parts.append(f"{duration(job.eta)} left")
    if job.state in (JobState.WAITING, JobState.PAUSED, JobState.QUEUED):
        parts.append(state_words(job))
    return ", ".join(parts)


def target_of(text: str) -> RetrieveTarget:
    """ "1.2/1.2.3" is the series 1.2.3 of the study 1.2."""
    study, *below = text.strip().split("/")
    if not study or len(below) > 2 or not all(below):
        raise UsageError(f"{text}: give STUDY, STUDY/SERIES or STUDY/SERIES/INSTANCE")
    for uid in (study, *below):
        if not _may_be_uid(uid):
            raise UsageError(
                f"{uid} is no UID", remedy="tuipacs query NODE --name NAME lists those of studies"
            )
    series, instance = (*below, "", "")[:2]
    return RetrieveTarget(
        study_instance_uid=study, series_instance_uid=series, sop_instance_uid=instance
    )


def _may_be_uid(text: str) -> bool:
    """Odd ones with letters are in use; a name or an accession number in their place is a slip."""
    has_form = "." in text or text.isdecimal()
    return has_form and is_usable_uid(text, longest=MAX_KEPT_UID_LENGTH)
