"""What is said about a job, and what to do about it."""

from __future__ import annotations

import msgspec
import pytest

from tuipacs.domain.job import JobKind, JobRecord, JobState
from tuipacs.domain.job_words import (
    ending_sentence,
    next_step,
    paused_lane_words,
    state_sentence,
    tries_words,
)

JOB = JobRecord(
    key=7,
    kind=JobKind.SEND,
    state=JobState.RUNNING,
    title="send",
    submitted_by="tina",
    created_at=1.0,
    started_at=None,
    finished_at=None,
    total=2,
    done=0,
    stored=0,
    duplicate=0,
    refused=0,
    bytes_done=0,
    node=3,
    node_title="PACS2",
)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"state": JobState.FAILED}, "when the reason is gone: tuipacs jobs retry 7"),
        ({"state": JobState.DEAD}, "tuipacs jobs retry 7 does what is left"),
        ({"state": JobState.DEAD, "attempts": 11}, "tuipacs node test PACS2 tells"),
        ({"state": JobState.DEAD, "node": -3}, "add it again (tuipacs node add PACS2 ...)"),
        ({"state": JobState.FAILED, "node": -3}, "then tuipacs send again; this job cannot go on"),
        ({"state": JobState.WAITING, "attempts": 2}, "tuipacs jobs resume 7 tries at once"),
        ({"state": JobState.WAITING}, "it goes on by itself"),
        ({"state": JobState.PAUSED}, "tuipacs jobs resume 7"),
        ({"state": JobState.CANCELLED}, "tuipacs jobs retry 7 does what is left"),
        (
            {"state": JobState.QUEUED, "message": paused_lane_words("PACS2")},
            "tuipacs jobs resume --lane PACS2",
        ),
    ],
)
def test_a_job_that_stands_still_has_a_next_step(changes: dict[str, object], told: str) -> None:
    assert told in next_step(msgspec.structs.replace(JOB, **changes))


@pytest.mark.parametrize("state", [JobState.RUNNING, JobState.QUEUED, JobState.DONE])
def test_a_job_that_gets_on_has_none(state: JobState) -> None:
    assert next_step(msgspec.structs.replace(JOB, state=state)) == ""


def test_every_state_is_said_in_a_sentence() -> None:
    assert all(state_sentence(state).startswith("the job ") for state in JobState)
    failed = msgspec.structs.replace(JOB, state=JobState.FAILED, message="no right")
    assert ending_sentence(failed) == "the job has failed: no right"


def test_tries_are_counted_both_ways() -> None:
    assert tries_words(JOB) == ""
    tried = msgspec.structs.replace(JOB, attempts=3, tries_left=8)
    assert tries_words(tried) == "3 failed in a row, 8 left"
