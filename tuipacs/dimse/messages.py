"""DIMSE messages from fragments, and the command set in and out (PS3.7 6.3, 9.3, E)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tuipacs.dimse.contract import Answer
from tuipacs.dimse.faults import AbortReason, PduError

C_STORE_RQ, C_ECHO_RQ, C_CANCEL_RQ = 0x0001, 0x0030, 0x0FFF
RESPONSE = 0x8000
MAX_COMMAND = 65536  # bytes
NO_DATASET = 0x0101
MAX_COMMENT = 64

_SOP_CLASS, _REQUESTED_CLASS, _FIELD, _MESSAGE_ID = 0x0002, 0x0003, 0x0100, 0x0110
_RESPONDED_TO, _DATASET_TYPE, _STATUS, _COMMENT = 0x0120, 0x0800, 0x0900, 0x0902
_SOP_INSTANCE, _REQUESTED_INSTANCE = 0x1000, 0x1001


@dataclass(frozen=True)
class Command:
    """What every request has."""

    field: int
    message_id: int
    dataset_follows: bool
    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True)
class Message:
    """A whole message. ``overflow``: the dataset was larger than allowed and was let go.

    ``dataset`` is None, too, if one came that nobody here asks for.
    """

    context_id: int
    command: Command
    dataset: memoryview | None
    overflow: bool = False


def parse_command(data: bytes | bytearray) -> Command:
    """Decode a command set: Implicit VR Little Endian, group 0000. Raises only `PduError`."""
    elements: dict[int, bytes] = {}
    at = 0
    while at < len(data):
        if at + 8 > len(data):
            raise PduError("a command set cut off inside an element")
        group = int.from_bytes(data[at : at + 2], "little")
        element = int.from_bytes(data[at + 2 : at + 4], "little")
        end = at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")
        if end > len(data):
            raise PduError("a command element longer than the command set")
        if group != 0:
            raise PduError("a command set with an element outside group 0000")
        elements[element] = bytes(data[at + 8 : end])
        at = end
    field = _number(elements, _FIELD, "command field")
    answer = bool(field & RESPONSE) or field == C_CANCEL_RQ
    return Command(
        field=field,
        message_id=_number(elements, _RESPONDED_TO if answer else _MESSAGE_ID, "message ID"),
        dataset_follows=_number(elements, _DATASET_TYPE, "data set type") != NO_DATASET,
        sop_class_uid=_uid(elements.get(_SOP_CLASS) or elements.get(_REQUESTED_CLASS)),
        sop_instance_uid=_uid(elements.get(_SOP_INSTANCE) or elements.get(_REQUESTED_INSTANCE)),
    )


def _number(elements: dict[int, bytes], element: int, name: str) -> int:
    value = elements.get(element)
    if value is None:
        raise PduError(f"a command without {name}")
    if len(value) != 2:
        raise PduError(f"a command whose {name} is not of two bytes")
    return int.from_bytes(value, "little")


def _uid(value: bytes | None) -> str:
    return (value or b"").decode("latin-1").rstrip("\0 ")


class Assembler:
    """Collects the fragments of one message after another.

    A dataset is kept only for a command that ``wants_dataset``: else whoever may do no more than
    echo could fill the memory with what belongs to no service.
    """

    def __init__(self, max_object_bytes: int, wants_dataset: Callable[[Command], bool]) -> None:
        self._limit = max_object_bytes
        self._wants_dataset = wants_dataset
        self._reset()

    def _reset(self) -> None:
        self._context_id = 0
        self._raw = bytearray()
        self._command: Command | None = None
        self._dataset = bytearray()
        self._wanted = True
        self._overflow = False

    @property
    def unfinished(self) -> bool:
        """True inside a message."""
        return bool(self._context_id)

    def feed(self, context_id: int, header: int, fragment: memoryview) -> Message | None:
        """Take one PDV; return the message that it completes. Raises `PduError`."""
        if self._context_id and context_id != self._context_id:
            raise PduError("a message that changes its presentation context")
        self._context_id = context_id
        is_command, is_last = bool(header & 1), bool(header & 2)
        if is_command:
            return self._feed_command(fragment, is_last)
        return self._feed_dataset(fragment, is_last)

    def _feed_command(self, fragment: memoryview, is_last: bool) -> Message | None:
        if self._command is not None:
            raise PduError("a command where a dataset was announced", AbortReason.UNEXPECTED_PDU)
        if len(self._raw) + len(fragment) > MAX_COMMAND:
            raise PduError("a command set without end")
        self._raw += fragment
        if not is_last:
            return None
        self._command = parse_command(self._raw)
        self._wanted = self._wants_dataset(self._command)
        return None if self._command.dataset_follows else self._complete(None)

    def _feed_dataset(self, fragment: memoryview, is_last: bool) -> Message | None:
        if self._command is None:
            raise PduError("a dataset that no command announced", AbortReason.UNEXPECTED_PDU)
        if not self._wanted:
            return self._complete(None) if is_last else None
        if len(self._dataset) + len(fragment) > self._limit:
            self._overflow, self._dataset = True, bytearray()
        if not self._overflow:
            self._dataset += fragment
        return self._complete(memoryview(self._dataset)) if is_last else None

    def _complete(self, dataset: memoryview | None) -> Message:
        if self._command is None:
            raise AssertionError("a message is complete without its command")
        message = Message(self._context_id, self._command, dataset, self._overflow)
        self._reset()
        return message


def encode_answer(command: Command, answer: Answer) -> bytes:
    """The command set of the response to ``command`` (PS3.7 9.3)."""
    elements = [
        (_SOP_CLASS, _padded(command.sop_class_uid, b"\0")),
        (_FIELD, (command.field | RESPONSE).to_bytes(2, "little")),
        (_RESPONDED_TO, command.message_id.to_bytes(2, "little")),
        (_DATASET_TYPE, NO_DATASET.to_bytes(2, "little")),
        (_STATUS, answer.status.to_bytes(2, "little")),
    ]
    if answer.comment:
        elements.append((_COMMENT, _padded(comment_text(answer.comment), b" ")))
    if command.sop_instance_uid:
        elements.append((_SOP_INSTANCE, _padded(command.sop_instance_uid, b"\0")))
    body = b"".join(_element(element, value) for element, value in elements if value)
    return _element(0, len(body).to_bytes(4, "little")) + body


def comment_text(text: str) -> str:
    """``text`` as an Error Comment: LO, at most 64 characters of printable ASCII, no backslash."""
    plain = "".join(c if c.isascii() and c.isprintable() and c != "\\" else "?" for c in text)
    return plain if len(plain) <= MAX_COMMENT else plain[: MAX_COMMENT - 3].rstrip() + "..."


def _padded(text: str, pad: bytes) -> bytes:
    data = text.encode("latin-1")
    return data + pad if len(data) % 2 else data


def _element(element: int, value: bytes) -> bytes:
    return b"\0\0" + element.to_bytes(2, "little") + len(value).to_bytes(4, "little") + value
