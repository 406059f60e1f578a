"""Command sets of the requests that we send (PS3.7 9.3, E.1)."""

from __future__ import annotations

from tuipacs.dimse.messages import (
    ACTION_TYPE,
    C_CANCEL_RQ,
    DATASET_TYPE,
    EVENT_TYPE,
    FIELD,
    MEDIUM,
    MESSAGE_ID,
    MOVE_DESTINATION,
    N_ACTION_RQ,
    N_EVENT_REPORT_RQ,
    NO_DATASET,
    PRIORITY,
    REQUESTED_CLASS,
    REQUESTED_INSTANCE,
    RESPONDED_TO,
    SOP_CLASS,
    SOP_INSTANCE,
    encode_command,
    padded,
)

_MOVE_ORIGINATOR, _MOVE_ORIGINATOR_ID = 0x1030, 0x1031


def encode_request(
    field: int,
    message_id: int,
    sop_class_uid: str,
    *,
    has_dataset: bool,
    sop_instance_uid: str = "",
    move_originator: tuple[str, int] | None = None,
    move_destination: str = "",
    priority: int = MEDIUM,
) -> bytes:
    """A request of a composite service (C-...); ``move_originator``: AE title and message ID.

    ``priority``: MEDIUM, HIGH or LOW, of a request with a dataset (PS3.7 E.1).
    """
    elements = [
        (SOP_CLASS, padded(sop_class_uid, b"\0")),
        (FIELD, _us(field)),
        (MESSAGE_ID, _us(message_id)),
    ]
    if move_destination:
        elements.append((MOVE_DESTINATION, padded(move_destination, b" ")))
    if has_dataset:
        elements.append((PRIORITY, _us(priority)))
    elements.append((DATASET_TYPE, _us(1 if has_dataset else NO_DATASET)))
    if sop_instance_uid:
        elements.append((SOP_INSTANCE, padded(sop_instance_uid, b"\0")))
    if move_originator is not None:
        elements.append((_MOVE_ORIGINATOR, padded(move_originator[0], b" ")))
        elements.append((_MOVE_ORIGINATOR_ID, _us(move_originator[1])))
    return encode_command(elements)


def encode_event_report(
    message_id: int, sop_class_uid: str, sop_instance_uid: str, event_type: int
) -> bytes:
    """An N-EVENT-REPORT request with a dataset (PS3.7 10.3.1)."""
    return encode_command(
        [
            (SOP_CLASS, padded(sop_class_uid, b"\0")),
            (FIELD, _us(N_EVENT_REPORT_RQ)),
            (MESSAGE_ID, _us(message_id)),
            (DATASET_TYPE, _us(1)),
            (SOP_INSTANCE, padded(sop_instance_uid, b"\0")),
            (EVENT_TYPE, _us(event_type)),
        ]
    )


def encode_action(
    message_id: int, sop_class_uid: str, sop_instance_uid: str, action_type: int
) -> bytes:
    """An N-ACTION request with a dataset (PS3.7 10.3.4)."""
    return encode_command(
        [
            (REQUESTED_CLASS, padded(sop_class_uid, b"\0")),
            (FIELD, _us(N_ACTION_RQ)),
            (MESSAGE_ID, _us(message_id)),
            (DATASET_TYPE, _us(1)),
            (REQUESTED_INSTANCE, padded(sop_instance_uid, b"\0")),
            (ACTION_TYPE, _us(action_type)),
        ]
    )


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
