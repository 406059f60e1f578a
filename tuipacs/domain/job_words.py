"""What is said about a job: how it stands, and what a person can do about it."""

from __future__ import annotations

from tuipacs.domain.job import JobKind, JobRecord, JobState

_SENTENCES = {
    JobState.QUEUED: "the job waits for its turn",
    JobState.RUNNING: "the job is running",
    JobState.WAITING: "the job is waiting",
    JobState.PAUSED: "the job is paused",
    JobState.DONE: "the job is done already",
    JobState.FAILED: "the job has failed",
    JobState.CANCELLED: "the job was cancelled",
    JobState.DEAD: "the job was given up",
}


def state_sentence(state: JobState) -> str:
    """ "the job has failed"."""
    return _SENTENCES[state]


def ending_sentence(job: JobRecord) -> str:
    """ "the job has failed: PACS2 was removed"."""
    return ": ".join(filter(None, (_SENTENCES[job.state], job.message)))


def tries_words(job: JobRecord) -> str:
    """ "3 failed in a row, 8 left"; empty where none failed."""
    if not job.attempts:
        return ""
    left = "" if job.tries_left is None else f", {job.tries_left} left"
    return f"{job.attempts} failed in a row{left}"


def paused_lane_words(ae_title: str) -> str:
    """Why a queued job does not begin."""
    return f"the lane of {ae_title} is paused"


def next_step(job: JobRecord) -> str:
    """What can be done about a job that does not get on by itself; empty for others."""
    key, node = job.key, job.node_title
    if job.node < 0 and not job.state.ended:
        return f"{node} was removed from the nodes: the job will fail"
    if job.state.can_be_retried and job.node < 0:
        return (
            f"{node} was removed from the nodes: add it again (tuipacs node add {node} ...),"
            f" then {_anew(job)}; this job cannot go on"
        )
    test = f"tuipacs node test {node}" if node else ""
    match job.state:
        case JobState.FAILED:
            return f"when the reason is gone: tuipacs jobs retry {key}"
        case JobState.DEAD:
            look = f"{test} tells whether it answers; " if test and job.attempts else ""
            return f"{look}tuipacs jobs retry {key} does what is left"
        case JobState.CANCELLED:
            return f"tuipacs jobs retry {key} does what is left"
        case JobState.PAUSED:
            return f"tuipacs jobs resume {key}"
        case JobState.WAITING if job.attempts:
            look = f"{test} tells whether it answers; " if test else ""
            return f"{look}tuipacs jobs resume {key} tries at once"
        case JobState.WAITING:
            return f"nothing: it goes on by itself; tuipacs jobs cancel {key} ends it"
        case JobState.QUEUED if job.message == paused_lane_words(node):
            return f"tuipacs jobs resume --lane {node}"
        case _:
            return ""


def _anew(job: JobRecord) -> str:
    deed = {JobKind.SEND: "send", JobKind.RETRIEVE: "retrieve", JobKind.COMMIT: "commit"}
    return f"tuipacs {deed.get(job.kind, job.kind.value)} again"
