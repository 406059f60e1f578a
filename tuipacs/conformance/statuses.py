"""The statuses of each service, and when they are given; a test finds them in the code."""

from __future__ import annotations

Row = tuple[str, str, str]

_NOT_AUTHORIZED: Row = ("0x0124", "not authorized", "the node may not use the service (any more)")
_BUG: Row = ("0x0110", "processing failure", "an error of the archive's own, see its log")

VERIFY: tuple[Row, ...] = (
    ("0x0000", "Success", "always, to those who may ask"),
    _NOT_AUTHORIZED,
    _BUG,
)
STORE: tuple[Row, ...] = (
    ("0x0000", "Success", "the object is durable and in the index"),
    ("0x0117", "invalid SOP instance", "no Affected SOP Instance UID"),
    _NOT_AUTHORIZED,
    _BUG,
    ("0xA700", "out of resources", "no room on the disk, or it failed: try again later"),
    ("0xA900", "data set does not match SOP class", "its UIDs are not those of the command"),
    ("0xC000", "cannot understand", "it cannot be parsed; its bytes are kept in quarantine"),
)
FIND: tuple[Row, ...] = (
    ("0xFF00", "Pending", "a match"),
    ("0xFF01", "Pending", "a match; a key is not supported, or this object's could not be read"),
    ("0x0000", "Success", "all matches were sent"),
    ("0xFE00", "Cancel", "the query was cancelled"),
    _NOT_AUTHORIZED,
    _BUG,
    (
        "0xA700",
        "out of resources",
        "the limit of answers is reached, and its number is in the Error Comment; or the identifier"
        " is too large, or the index cannot be read",
    ),
    (
        "0xA900",
        "identifier does not match SOP class",
        "the level or the unique keys are wrong, or there is a condition on a unique key below"
        " the level; Offending Element names one",
    ),
    ("0xC000", "unable to process", "a key cannot be read; Offending Element names it"),
)
_RETRIEVE: tuple[Row, ...] = (
    ("0xFF00", "Pending", "sub-operations go on"),
    ("0x0000", "Success", "all were sent, or nothing matched"),
    ("0xB000", "Warning", "some failed, which the identifier lists, or the receiver had a remark"),
    ("0xFE00", "Cancel", "it was cancelled; the identifier lists those that failed"),
    _NOT_AUTHORIZED,
    _BUG,
    ("0xA701", "out of resources", "the matches cannot be counted: the index cannot be read"),
    (
        "0xA702",
        "out of resources",
        "no sub-operation could be performed; without counts if the destination's TLS cannot be"
        " set up here",
    ),
    (
        "0xA900",
        "identifier does not match SOP class",
        "the level or the unique keys are wrong, or a key below the level has a value; Offending"
        " Element names one",
    ),
    (
        "0xC000",
        "unable to process",
        "the identifier cannot be read; or a Study Instance UID here is that of several patients,"
        " a patient ID that of several issuers, or a SOP Instance UID that of several studies: the"
        " Error Comment names the key that decides",
    ),
)
MOVE: tuple[Row, ...] = (
    *_RETRIEVE,
    ("0xA801", "move destination unknown", "no node is called so, or it cannot be sent to"),
)
GET = _RETRIEVE
N_ACTION: tuple[Row, ...] = (
    ("0x0000", "Success", "the request is durable; the report follows"),
    ("0x0112", "no such SOP instance", "not the well-known SOP instance"),
    (
        "0x0115",
        "invalid argument value",
        "the list is missing or cannot be read, or the Transaction UID is of another request",
    ),
    ("0x0123", "no such action", "another action type than 1"),
    ("0x0213", "resource limitation", "the list is too long, or it cannot be kept"),
    _NOT_AUTHORIZED,
    _BUG,
)
COMMIT_FAILURES: tuple[Row, ...] = (
    ("0x0110", "processing failure", "the bytes are damaged or cannot be read"),
    ("0x0112", "no such object instance", "it is not here"),
    ("0x0119", "class-instance conflict", "it is here with another SOP class"),
    ("0x0213", "resource limitation", "it cannot be checked for want of resources"),
)
N_EVENT_REPORT: tuple[Row, ...] = (
    ("0x0000", "Success", "the report was taken"),
    ("0x0112", "no such SOP instance", "not the well-known SOP instance"),
    ("0x0113", "no such event type", "another event type than 1 and 2"),
    (
        "0x0115",
        "invalid argument value",
        "the list is missing or cannot be read, or this node was asked for no such transaction",
    ),
    ("0x0213", "resource limitation", "the list is too long, or it cannot be kept"),
    _NOT_AUTHORIZED,
    _BUG,
)
