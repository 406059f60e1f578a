"""Command sets of the requests that we send (PS3.7 9.3, E.1)."""

from __future__ import annotations

from tuipacs.dimse.messages import (
    C_CANCEL_RQ,
    DATASET_TYPE,
    FIELD,
    MESSAGE_ID,
    NO_DATASET,
    RESPONDED_TO,
    SOP_CLASS,
    SOP_INSTANCE,
    encode_command,
    padded,
)

_PRIORITY, _MOVE_ORIGINATOR, _MOVE_ORIGINATOR_ID = 0x0700, 0x1030, 0x1031
_MEDIUM = b"\0\0"


def encode_request(
    field: int,
    message_id: int,
    sop_class_uid: str,
    *,
    has_dataset: bool,
    sop_instance_uid: str = "",
    move_originator: tuple[str, int] | None = None,
) -> bytes:
    """A C-ECHO, C-STORE or C-FIND request; ``move_originator``: AE title and message ID.

    A request with a dataset has medium priority: archives do not heed any other.
    """
    elements = [
        (SOP_CLASS, padded(sop_class_uid, b"\0")),
        (FIELD, _us(field)),
        (MESSAGE_ID, _us(message_id)),
    ]
    if has_dataset:
        elements.append((_PRIORITY, _MEDIUM))
    elements.append((DATASET_TYPE, _us(1 if has_dataset else NO_DATASET)))
    if sop_instance_uid:
        elements.append((SOP_INSTANCE, padded(sop_instance_uid, b"\0")))
    if move_originator is not None:
        elements.append((_MOVE_ORIGINATOR, padded(move_originator[0], b" ")))
        elements.append((_MOVE_ORIGINATOR_ID, _us(move_originator[1])))
    return encode_command(elements)


def encode_cancel(message_id: int) -> bytes:
    """A C-CANCEL of the request with this message ID (PS3.7 9.3.2.3)."""
    return encode_command(
        [
            (FIELD, _us(C_CANCEL_RQ)),
            (RESPONDED_TO, _us(message_id)),
            (DATASET_TYPE, _us(NO_DATASET)),
        ]
    )


def _us(value: int) -> bytes:
    return value.to_bytes(2, "little")
