"""Waiting for a job: one line that is written over on a terminal, plain lines elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tuipacs.cli.output import note, print_json, print_lines
from tuipacs.client.connection import Connection
from tuipacs.domain.job import ItemState, JobItem, JobRecord, JobState
from tuipacs.domain.job_words import ending_sentence
from tuipacs.domain.safe_text import clean
from tuipacs.errors import DaemonUnreachableError, TuipacsError, UnavailableError
from tuipacs.schema import messages as m
from tuipacs.schema import operations as op
from tuipacs.schema.job_messages import JobItemsRequest

_POLL = 0.2  # seconds
_LISTED = 20  # instances that were not delivered
_PATIENCE = 15.0  # seconds for a daemon that restarts


def wait_for(
    connection: Connection,
    job: JobRecord,
    line: Callable[[JobRecord], str],
    *,
    lines: bool = False,
) -> JobRecord:
    """The job once it has ended. ``line`` says how far it is.

    Without a terminal, and with ``lines``, each state it comes to is a line on stderr. Raises
    `DaemonUnreachableError`, with how to look at the job later; Ctrl-C says so, too.
    """
    try:
        with _shown(line, lines=lines) as show:
            while not job.state.ended:
                show(job)
                time.sleep(_POLL)
                job = _current(connection, job)
            show(job)
    except KeyboardInterrupt:
        note(f"the {job.kind.value} goes on in the archive as job {job.key}")
        note(f"look: tuipacs jobs show {job.key}   end it: tuipacs jobs cancel {job.key}")
        raise
    except DaemonUnreachableError as error:
        raise DaemonUnreachableError(
            error.message,
            remedy=f"job {job.key} goes on once it runs again: tuipacs jobs show {job.key}",
        ) from None
    return job


def wait_to_the_end(
    connection: Connection, job: JobRecord, line: Callable[[JobRecord], str], *, as_json: bool
) -> None:
    """Wait for a job, and tell what is left of it.

    Raises `UnavailableError` for one that was given up because its node could not be reached, and
    `TuipacsError` for any other end than done.
    """
    job = wait_for(connection, job, line, lines=not as_json)
    left = _undelivered(connection, job)
    if as_json:
        print_json({"job": job, "undelivered": left})
    else:
        print_lines(f"{item.state.value}: {item.sop_instance_uid}: {item.words}" for item in left)
        print_lines([f"job {job.key} {state_words(job)}"])
    if job.state is JobState.DONE:
        return
    words = ending_sentence(job)
    if job.state is JobState.DEAD and job.attempts:
        raise UnavailableError(words, remedy=f"tuipacs jobs retry {job.key}")
    raise TuipacsError(words, remedy=f"tuipacs jobs show {job.key}")


def _undelivered(connection: Connection, job: JobRecord) -> tuple[JobItem, ...]:
    if job.state is JobState.DONE:
        return ()
    states = (ItemState.FAILED, ItemState.WAITING)
    request = JobItemsRequest(key=job.key, states=states, limit=_LISTED)
    return connection.call(op.JOB_ITEMS, request).items


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


@contextmanager
def _shown(
    line: Callable[[JobRecord], str], *, lines: bool
) -> Iterator[Callable[[JobRecord], None]]:
    if not sys.stderr.isatty():
        told: list[tuple[str, str]] = []

        def tell(job: JobRecord) -> None:
            now = job.state.value, job.message
            if lines and told[-1:] != [now] and not job.state.ended:
                told.append(now)
                note(f"job {job.key}: {line(job)}")

        yield tell
        return

    def show(job: JobRecord) -> None:
        columns = max(shutil.get_terminal_size().columns - 1, 20)
        sys.stderr.write(f"\r{clean(line(job), limit=columns)}\x1b[K")
        sys.stderr.flush()

    try:
        yield show
    finally:
        sys.stderr.write("\n")
        sys.stderr.flush()


def state_words(job: JobRecord) -> str:
    """ "waiting: PACS2 at 10.0.0.2:104 cannot be reached"."""
    return f"{job.state.value}: {job.message}" if job.message else job.state.value


def duration(seconds: float) -> str:
    """ "1:05" or "2:00:09"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
