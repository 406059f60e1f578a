"""``tuipacs jobs``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

import msgspec
import typer

from tuipacs.cli.output import moment, note, print_json, print_lines, print_table
from tuipacs.cli.progress import state_words
from tuipacs.cli.send import priority_of
from tuipacs.cli.session import connected
from tuipacs.cli.state import JsonOption
from tuipacs.domain.job import ItemState, JobKind, JobRecord, LaneRecord, Refusal
from tuipacs.domain.job_words import next_step, tries_words
from tuipacs.errors import ConflictError, NotFoundError, TuipacsError, UsageError
from tuipacs.schema import job_messages as j
from tuipacs.schema import messages as m
from tuipacs.schema import operations as op
from tuipacs.schema.operations import Operation

app = typer.Typer(
    help="Jobs: list, show, cancel, retry, pause, resume, priority.", no_args_is_help=True
)

KeyArgument = Annotated[int, typer.Argument(metavar="KEY")]
KeysArgument = Annotated[list[int], typer.Argument(metavar="KEY...", show_default=False)]
OptionalKeys = Annotated[list[int] | None, typer.Argument(metavar="[KEY...]", show_default=False)]
LaneOption = Annotated[
    str, typer.Option(metavar="NODE", help="All jobs of a node (AE title or key) instead")
]
FAILED = 1
_REMARKABLE = (ItemState.WARNING, ItemState.FAILED)


@app.command("list")
def list_jobs(
    ctx: typer.Context,
    open_only: Annotated[bool, typer.Option("--open", help="Those that have not ended")] = False,
    as_json: JsonOption = False,
) -> None:
    """Jobs, newest first, and the lanes that are held."""
    with connected(ctx) as connection:
        answer = connection.call(op.JOBS, j.JobsRequest(open_only=open_only))
    if as_json:
        print_json(answer.jobs)
        return
    print_table(
        ("KEY", "STATE", "DONE", "FAILED", "BY", "WHAT"),
        (
            (
                job.key,
                job.state.value,
                f"{job.done - job.refused - job.failed}/{job.total or '?'}",
                job.refused + job.failed,
                job.submitted_by,
                job.title,
            )
            for job in answer.jobs
        ),
    )
    print_lines(
        _lane_words(lane) for lane in answer.lanes if lane.paused or lane.opens_at is not None
    )


@app.command("show")
def show(
    ctx: typer.Context,
    key: KeyArgument,
    all_items: Annotated[
        bool, typer.Option("--items", help="List every instance, not only those with a remark")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """One job, and what it refused or could not deliver, with the peer's own status."""
    with connected(ctx) as connection:
        job = connection.call(op.JOB, m.JobRequest(key=key))
        refusals: tuple[Refusal, ...] = ()
        if job.kind is JobKind.IMPORT:
            refusals = connection.call(op.JOB_REFUSALS, m.JobRequest(key=key)).refusals
        states = () if all_items else _REMARKABLE
        request = j.JobItemsRequest(key=key, states=states, limit=j.ITEM_LIMIT)
        page = connection.call(op.JOB_ITEMS, request)
        items = page.items
        while len(items) < page.matched and page.items:
            page = connection.call(
                op.JOB_ITEMS, msgspec.structs.replace(request, offset=len(items))
            )
            items += page.items
    if as_json:
        print_json(
            msgspec.to_builtins(job)
            | {"refusals": msgspec.to_builtins(refusals), "items": msgspec.to_builtins(items)}
        )
        return
    print_lines(
        [
            f"job        {job.key}: {job.title}",
            f"state      {state_words(job)}",
            *_facts(job),
            f"progress   {_progress(job)}",
            *([f"next step  {step}"] if (step := next_step(job)) else []),
        ]
    )
    print_lines(f"refused: {refusal.path}: {refusal.reason}" for refusal in refusals)
    print_lines(
        f"{item.state.value}: {item.sop_instance_uid}" + (f": {item.words}" if item.words else "")
        for item in items
    )


def _facts(job: JobRecord) -> Iterator[str]:
    """Who and when; the last try and the next one where there was more than one."""
    yield f"submitted  {moment(job.created_at)} by {job.submitted_by}"
    if job.begun_at is not None:
        yield f"first try  {moment(job.begun_at)}"
    if job.started_at is not None and job.started_at != job.begun_at:
        yield f"last try   {moment(job.started_at)}"
    if words := tries_words(job):
        yield f"tries      {words}"
    if job.retry_at is not None:
        yield f"{'next try' if job.attempts else 'waits till'} ".ljust(11) + moment(job.retry_at)
    if job.finished_at is not None:
        yield f"ended      {moment(job.finished_at)}"


def _progress(job: JobRecord) -> str:
    of = f"{job.done:,} of {job.total or '?'}"
    if job.kind is JobKind.IMPORT:
        return (
            f"{of}: {job.stored:,} stored, {job.duplicate:,} there already, {job.refused:,} refused"
        )
    return f"{of}: {job.warned:,} with a warning, {job.failed:,} failed"


@app.command("cancel")
def cancel(ctx: typer.Context, keys: KeysArgument, as_json: JsonOption = False) -> None:
    """Ask jobs to end; what they have stored or sent stays."""
    _steer(ctx, op.JOB_CANCEL, keys, as_json=as_json)


@app.command("retry")
def retry(ctx: typer.Context, keys: KeysArgument, as_json: JsonOption = False) -> None:
    """Queue failed, cancelled or dead jobs again; what was done stays done."""
    _steer(ctx, op.JOB_RETRY, keys, as_json=as_json)


@app.command("pause")
def pause(
    ctx: typer.Context,
    keys: OptionalKeys = None,
    lane: LaneOption = "",
    as_json: JsonOption = False,
) -> None:
    """Hold jobs, or all jobs of a node, after the object at hand."""
    if _is_lane(keys, lane):
        _steer_lane(ctx, op.LANE_PAUSE, lane, as_json=as_json)
    else:
        _steer(ctx, op.JOB_PAUSE, keys or (), as_json=as_json)


@app.command("resume")
def resume(
    ctx: typer.Context,
    keys: OptionalKeys = None,
    lane: LaneOption = "",
    as_json: JsonOption = False,
) -> None:
    """Let paused jobs, or the jobs of a node, go on; one that waits tries at once."""
    if _is_lane(keys, lane):
        _steer_lane(ctx, op.LANE_RESUME, lane, as_json=as_json)
    else:
        _steer(ctx, op.JOB_RESUME, keys or (), as_json=as_json)


@app.command("priority")
def priority(
    ctx: typer.Context,
    key: KeyArgument,
    word: Annotated[str, typer.Argument(metavar="low|normal|high")],
    as_json: JsonOption = False,
) -> None:
    """Let a job go before or after the others to its node."""
    request = j.JobPriorityRequest(key=key, priority=priority_of(word))
    with connected(ctx) as connection:
        job = connection.call(op.JOB_PRIORITY, request)
    if as_json:
        print_json(job)
    else:
        _tell(job)


def _steer(
    ctx: typer.Context,
    operation: Operation[m.JobRequest, JobRecord],
    keys: Sequence[int],
    *,
    as_json: bool,
) -> None:
    """One after the other. Of several, one that cannot be does not keep the others from it."""
    jobs: list[JobRecord] = []
    failure: TuipacsError | None = None
    with connected(ctx) as connection:
        for key in dict.fromkeys(keys):
            try:
                job = connection.call(operation, m.JobRequest(key=key))
            except (ConflictError, NotFoundError) as error:
                if len(keys) == 1:
                    raise
                note(f"job {key}: {error.message}")
                failure = error
                continue
            jobs.append(job)
            if not as_json:
                _tell(job)
    if as_json:
        print_json(jobs[0] if len(keys) == 1 else jobs)
    if failure is not None:
        raise typer.Exit(FAILED)


def _tell(job: JobRecord) -> None:
    ending = " (after the object at hand)" if job.is_stopping else ""
    print_lines([f"job {job.key}: {state_words(job)}{ending}"])


def _is_lane(keys: Sequence[int] | None, lane: str) -> bool:
    if bool(keys) == bool(lane):
        raise UsageError("give keys of jobs, or --lane NODE")
    return bool(lane)


def _steer_lane(
    ctx: typer.Context,
    operation: Operation[j.LaneRequest, LaneRecord],
    node: str,
    *,
    as_json: bool,
) -> None:
    with connected(ctx) as connection:
        lane = connection.call(operation, j.LaneRequest(ae_title=node))
    if as_json:
        print_json(lane)
    else:
        print_lines([_lane_words(lane)])


def _lane_words(lane: LaneRecord) -> str:
    """ "PACS2 is paused: 1 running, 3 queued"."""
    if lane.paused:
        how = "is paused"
    elif lane.opens_at is not None:
        how = f"is closed until {moment(lane.opens_at)}"
    else:
        how = "is open"
    counts = {
        "running": lane.running,
        "queued": lane.queued,
        "waiting": lane.waiting,
        "paused": lane.held,
    }
    words = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    return f"{lane.node_title} {how}: {words or 'no jobs'}"
