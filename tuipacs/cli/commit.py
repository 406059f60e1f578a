"""``tuipacs commit``."""

from __future__ import annotations

from typing import Annotated

import typer

from tuipacs.cli.output import print_json, print_lines
from tuipacs.cli.progress import state_words, wait_to_the_end
from tuipacs.cli.send import priority_of
from tuipacs.cli.session import connected
from tuipacs.cli.state import JsonOption
from tuipacs.domain.job import JobRecord
from tuipacs.schema import operations as op
from tuipacs.schema.commit_messages import CommitRequest


def commit(
    ctx: typer.Context,
    uids: Annotated[
        list[str], typer.Argument(metavar="UID", help="Of studies, series or SOP instances")
    ],
    at: Annotated[str, typer.Option(metavar="NODE", help="AE title or key of a node")],
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the job has ended")] = False,
    priority: Annotated[
        str, typer.Option(metavar="low|normal|high", help="Before others to that node, or after")
    ] = "normal",
    as_json: JsonOption = False,
) -> None:
    """Ask a node to commit itself to keeping objects that it has (storage commitment).

    With --wait the exit code is 0 only if the node has committed to every one of them.
    """
    request = CommitRequest(uids=tuple(uids), ae_title=at, priority=priority_of(priority))
    with connected(ctx) as connection:
        job = connection.call(op.COMMIT, request)
        if wait:
            wait_to_the_end(connection, job, _line, as_json=as_json)
        elif as_json:
            print_json(job)
        else:
            print_lines([f"job {job.key}: {job.title}"])


def _line(job: JobRecord) -> str:
    return f"{job.total:,} objects asked about, {state_words(job)}"
