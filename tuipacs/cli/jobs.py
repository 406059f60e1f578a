"""``tuipacs jobs``."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from tuipacs.cli.output import moment, print_json, print_lines, print_table
from tuipacs.cli.session import connected
from tuipacs.cli.state import JsonOption
from tuipacs.domain.job import JobRecord
from tuipacs.schema import messages as m
from tuipacs.schema import operations as op

app = typer.Typer(help="Jobs: list, show, cancel.", no_args_is_help=True)

KeyArgument = Annotated[int, typer.Argument(metavar="KEY")]


@app.command("list")
def list_jobs(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Jobs, newest first."""
    with connected(ctx) as connection:
        jobs = connection.call(op.JOBS, m.Empty()).jobs
    if as_json:
        print_json(jobs)
        return
    print_table(
        ("KEY", "STATE", "DONE", "STORED", "ALREADY", "REFUSED", "BY", "WHAT"),
        (
            (
                job.key,
                job.state.value,
                f"{job.done}/{job.total or '?'}",
                job.stored,
                job.duplicate,
                job.refused,
                job.submitted_by,
                job.title,
            )
            for job in jobs
        ),
    )


@app.command("show")
def show(ctx: typer.Context, key: KeyArgument, as_json: JsonOption = False) -> None:
    """One job and what it refused."""
    with connected(ctx) as connection:
        request = m.JobRequest(key=key)
        job = connection.call(op.JOB, request)
        refusals = connection.call(op.JOB_REFUSALS, request).refusals
    if as_json:
        print_json(msgspec.to_builtins(job) | {"refusals": msgspec.to_builtins(refusals)})
        return
    print_lines(
        [
            f"job        {job.key}: {job.title}",
            f"state      {_state(job)}",
            f"by         {job.submitted_by}, {moment(job.created_at)}",
            f"time       {moment(job.started_at)} to {moment(job.finished_at)}",
            f"progress   {job.done:,} of {job.total or '?'}: {job.stored:,} stored, "
            f"{job.duplicate:,} there already, {job.refused:,} refused",
        ]
    )
    print_lines(f"refused: {refusal.path}: {refusal.reason}" for refusal in refusals)


@app.command("cancel")
def cancel(ctx: typer.Context, key: KeyArgument, as_json: JsonOption = False) -> None:
    """Ask a job to end; what it has stored stays."""
    with connected(ctx) as connection:
        job = connection.call(op.JOB_CANCEL, m.JobRequest(key=key))
    if as_json:
        print_json(job)
    else:
        print_lines([f"job {job.key}: {_state(job)}"])


def _state(job: JobRecord) -> str:
    return f"{job.state.value}: {job.message}" if job.message else job.state.value
