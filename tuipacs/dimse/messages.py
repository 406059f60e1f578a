"""DIMSE messages from fragments, and the command set in and out (PS3.7 6.3, 9.3, E)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from struct import Struct

from tuipacs.dimse.contract import Answer, Command, Counts, Exchange
from tuipacs.dimse.faults import AbortReason, PduError

C_STORE_RQ, C_GET_RQ, C_FIND_RQ, C_MOVE_RQ = 0x0001, 0x0010, 0x0020, 0x0021
C_ECHO_RQ, N_EVENT_REPORT_RQ, N_ACTION_RQ, C_CANCEL_RQ = 0x0030, 0x0100, 0x0130, 0x0FFF
RESPONSE = 0x8000
MAX_COMMAND = 65536  # bytes
NO_DATASET = 0x0101
MAX_COMMENT = 64
_ELEMENT = Struct("<HHL")  # group, element, length of the value

SOP_CLASS, REQUESTED_CLASS, FIELD, MESSAGE_ID = 0x0002, 0x0003, 0x0100, 0x0110
RESPONDED_TO, DATASET_TYPE, STATUS, OFFENDING, COMMENT = 0x0120, 0x0800, 0x0900, 0x0901, 0x0902
MOVE_DESTINATION, PRIORITY = 0x0600, 0x0700
SOP_INSTANCE, REQUESTED_INSTANCE = 0x1000, 0x1001
EVENT_TYPE, ACTION_TYPE = 0x1002, 0x1008
MEDIUM, HIGH, LOW = 0, 1, 2  # values of the priority
REMAINING, COMPLETED, FAILED, WARNING = 0x1020, 0x1021, 0x1022, 0x1023  # sub-operations


@dataclass(frozen=True)
class Message:
    """A whole message; ``exchange`` has taken its dataset of ``size`` bytes."""

    context_id: int
    command: Command
    exchange: Exchange
    size: int


def parse_command(data: bytes | bytearray) -> Command:
    """Decode a command set: Implicit VR Little Endian, group 0000. Raises only `PduError`."""
    elements: dict[int, bytes] = {}
    data = bytes(data)
    at, size = 0, len(data)
    while at < size:
        if at + 8 > size:
            raise PduError("a command set cut off inside an element")
        group, element, length = _ELEMENT.unpack_from(data, at)
        start = at + 8
        at = start + length
        if at > size:
            raise PduError("a command element longer than the command set")
        if group != 0:
            raise PduError("a command set with an element outside group 0000")
        elements[element] = data[start:at]
    field = _number(elements, FIELD, "command field")
    answer = bool(field & RESPONSE) or field == C_CANCEL_RQ
    return Command(
        field=field,
        message_id=_number(elements, RESPONDED_TO if answer else MESSAGE_ID, "message ID"),
        dataset_follows=_number(elements, DATASET_TYPE, "data set type") != NO_DATASET,
        sop_class_uid=_uid(elements.get(SOP_CLASS) or elements.get(REQUESTED_CLASS)),
        sop_instance_uid=_uid(elements.get(SOP_INSTANCE) or elements.get(REQUESTED_INSTANCE)),
        elements=elements,
    )


def _number(elements: dict[int, bytes], element: int, name: str) -> int:
    value = elements.get(element)
    if value is None:
        raise PduError(f"a command without {name}")
    if len(value) != 2:
        raise PduError(f"a command whose {name} is not of two bytes")
    return int.from_bytes(value, "little")


def priority_of(command: Command) -> int:
    """The priority of a request; medium where it has none that the standard knows."""
    value = int.from_bytes(command.elements.get(PRIORITY, b""), "little")
    return value if value in (HIGH, LOW) else MEDIUM


def _uid(value: bytes | None) -> str:
    return (value or b"").decode("latin-1").rstrip("\0 ")


class Assembler:
    """Puts the fragments of one message after another together.

    ``begin`` is called with the presentation context ID and the command once that is complete; the
    exchange that it returns takes the dataset as it comes.
    """

    def __init__(self, begin: Callable[[int, Command], Exchange]) -> None:
        self._begin = begin
        self._reset()

    def _reset(self) -> None:
        self._context_id = 0
        self._raw = bytearray()
        self._command: Command | None = None
        self._exchange: Exchange | None = None
        self.received = 0  # bytes of the message so far
        self._dataset_size = 0

    @property
    def unfinished(self) -> bool:
        """True inside a message."""
        return bool(self._context_id)

    def discard(self) -> None:
        """Let go of a message that will not be finished."""
        if self._exchange is not None:
            self._exchange.discard()
        self._reset()

    def feed(self, context_id: int, header: int, fragment: memoryview) -> Message | None:
        """Take one PDV; return the message that it completes. Raises `PduError`."""
        if self._context_id and context_id != self._context_id:
            raise PduError("a message that changes its presentation context")
        self._context_id = context_id
        self.received += len(fragment)
        is_last = bool(header & 2)
        if header & 1:
            return self._feed_command(fragment, is_last)
        if self._exchange is None:
            raise PduError("a dataset that no command announced", AbortReason.UNEXPECTED_PDU)
        self._dataset_size += len(fragment)
        self._exchange.write(fragment)
        return self._complete() if is_last else None

    def _feed_command(self, fragment: memoryview, is_last: bool) -> Message | None:
        if self._command is not None:
            raise PduError("a command where a dataset was announced", AbortReason.UNEXPECTED_PDU)
        if len(self._raw) + len(fragment) > MAX_COMMAND:
            raise PduError("a command set without end")
        self._raw += fragment
        if not is_last:
            return None
        self._command = parse_command(self._raw)
        self._exchange = self._begin(self._context_id, self._command)
        return None if self._command.dataset_follows else self._complete()

    def _complete(self) -> Message:
        if self._command is None or self._exchange is None:
            raise AssertionError("a message is complete without its command")
        message = Message(self._context_id, self._command, self._exchange, self._dataset_size)
        self._reset()
        return message


def encode_answer(command: Command, answer: Answer) -> bytes:
    """The command set of the response to ``command`` (PS3.7 9.3)."""
    elements = [
        (SOP_CLASS, padded(command.sop_class_uid, b"\0")),
        (FIELD, (command.field | RESPONSE).to_bytes(2, "little")),
        (RESPONDED_TO, command.message_id.to_bytes(2, "little")),
        (DATASET_TYPE, (NO_DATASET if answer.dataset is None else 1).to_bytes(2, "little")),
        (STATUS, answer.status.to_bytes(2, "little")),
    ]
    if answer.offending:
        elements.append((OFFENDING, b"".join(_tag(tag) for tag in answer.offending)))
    if answer.comment:
        elements.append((COMMENT, padded(comment_text(answer.comment), b" ")))
    if command.sop_instance_uid:
        elements.append((SOP_INSTANCE, padded(command.sop_instance_uid, b"\0")))
    if answer.counts is not None:
        elements += _counts(answer.counts)
    return encode_command((element, value) for element, value in elements if value)


def _counts(counts: Counts) -> Iterator[tuple[int, bytes]]:
    for element, count in (
        (REMAINING, counts.remaining),
        (COMPLETED, counts.completed),
        (FAILED, counts.failed),
        (WARNING, counts.warning),
    ):
        if count is not None:
            yield element, min(count, 0xFFFF).to_bytes(2, "little")


def _tag(tag: int) -> bytes:
    """An AT in little endian (PS3.5 6.2)."""
    return (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little")


def encode_command(elements: Iterable[tuple[int, bytes]]) -> bytes:
    """A command set: its group length, then the elements, which come in their order (PS3.7 6.3)."""
    parts: list[bytes] = []
    for number, value in elements:
        parts += (_ELEMENT.pack(0, number, len(value)), value)
    body = b"".join(parts)
    return _ELEMENT.pack(0, 0, 4) + len(body).to_bytes(4, "little") + body


def comment_text(text: str) -> str:
    """``text`` as an Error Comment: LO, at most 64 characters of printable ASCII, no backslash."""
    plain = "".join(c if c.isascii() and c.isprintable() and c != "\\" else "?" for c in text)
    return plain if len(plain) <= MAX_COMMENT else plain[: MAX_COMMENT - 3].rstrip() + "..."


def padded(text: str, pad: bytes) -> bytes:
    """A value of even length."""
    data = text.encode("latin-1")
    return data + pad if len(data) % 2 else data
