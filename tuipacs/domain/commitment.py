"""Storage commitment (PS3.4 J): what a node takes responsibility for, and why it does not."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import NamedTuple

from msgspec import Struct

ALL_COMMITTED, SOME_FAILED = 1, 2  # Event Type IDs of a report
COMMITTED = 0
PASSED_OVER = -1  # asked about, and not named in the report


class FailureReason(IntEnum):
    """(0008,1197), PS3.3 C.14.1.1."""

    PROCESSING_FAILURE = 0x0110
    NO_SUCH_OBJECT_INSTANCE = 0x0112
    CLASS_INSTANCE_CONFLICT = 0x0119
    CLASS_NOT_SUPPORTED = 0x0122
    DUPLICATE_TRANSACTION_UID = 0x0131
    RESOURCE_LIMITATION = 0x0213


_MAY_PASS = frozenset(
    (
        PASSED_OVER,
        FailureReason.PROCESSING_FAILURE,
        FailureReason.RESOURCE_LIMITATION,
        FailureReason.DUPLICATE_TRANSACTION_UID,
    )
)


def may_pass(reason: int) -> bool:
    """Whether asking again later makes sense: it says nothing of the object."""
    return reason in _MAY_PASS


_WORDS = {
    FailureReason.PROCESSING_FAILURE: "processing failure",
    FailureReason.NO_SUCH_OBJECT_INSTANCE: "it has no such object",
    FailureReason.CLASS_INSTANCE_CONFLICT: "it has the object under another SOP class",
    FailureReason.CLASS_NOT_SUPPORTED: "it does not support the SOP class",
    FailureReason.DUPLICATE_TRANSACTION_UID: "the transaction UID is in use",
    FailureReason.RESOURCE_LIMITATION: "it has no room",
}


def reason_words(reason: int) -> str:
    """ "0x0112 it has no such object"."""
    if reason == PASSED_OVER:
        return "its report does not name the object"
    words = _WORDS.get(FailureReason(reason)) if reason in set(FailureReason) else None
    return f"0x{reason:04X} {words or 'for another reason'}"


class Reference(NamedTuple):
    """An object that is asked about, or vouched for."""

    sop_class_uid: str
    sop_instance_uid: str


class Failed(NamedTuple):
    """An object that is not vouched for; ``reason`` as it came, 0 if it lacks."""

    sop_class_uid: str
    sop_instance_uid: str
    reason: int


class TakenState(StrEnum):
    """Where a transaction is that a node has asked of us."""

    UNVERIFIED = "unverified"  # the bytes are to be looked at
    UNREPORTED = "unreported"  # and the node is to be told
    REPORTED = "reported"
    GIVEN_UP = "given up"  # it could not be told


class AskedState(StrEnum):
    """Where a transaction is that we have asked of a node."""

    ASKING = "asking"  # the node may have it or not
    OPEN = "open"  # it has taken it on
    OVERDUE = "overdue"  # and did not report in time; it may still
    REFUSED = "refused"
    REPORTED = "reported"
    CLOSED = "closed"  # its job has taken notice


class StudyCommitment(Struct, frozen=True, kw_only=True):
    """How much of a study a node has committed to, of ``instances`` that are here.

    ``node``: its key; two may bear one title.
    ``at``: when it last said so, seconds since the epoch. All of it is there if both are equal.
    """

    node: int
    node_title: str
    committed: int
    instances: int
    at: float
