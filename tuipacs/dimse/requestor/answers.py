"""What may answer a request of ours, and nothing else (PS3.7 9.3)."""

from __future__ import annotations

from dataclasses import dataclass

from tuipacs.dimse.contract import (
    PENDING,
    AcceptedContext,
    Answer,
    Command,
    IsCancelled,
)
from tuipacs.dimse.faults import PduError
from tuipacs.dimse.messages import C_FIND_RQ, C_GET_RQ, C_MOVE_RQ, RESPONSE, STATUS
from tuipacs.domain.dimse_status import is_warning

MAX_IDENTIFIER = 1 << 20  # bytes of a dataset in an answer
_HAVE_PENDING = frozenset((C_FIND_RQ, C_MOVE_RQ, C_GET_RQ))


@dataclass(frozen=True)
class Sent:
    """A request that waits for its answer, or its answers."""

    context: AcceptedContext
    field: int
    message_id: int
    sop_instance_uid: str = ""


@dataclass(frozen=True)
class Received:
    """An answer; ``dataset`` is empty if none came."""

    command: Command
    status: int
    dataset: bytes

    @property
    def is_pending(self) -> bool:
        """True if more answers to the same request follow (PS3.7 C.1.3)."""
        return self.status in PENDING

    @property
    def is_failure(self) -> bool:
        """True if what was asked for was refused or failed."""
        is_good = self.status in (0x0000, 0xFE00) or is_warning(self.status)
        return not (is_good or self.is_pending)


class AnswerDataset:
    """Takes the dataset of an answer, up to a limit."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, fragment: memoryview) -> None:
        """Keep it. Raises `PduError` beyond `MAX_IDENTIFIER`."""
        if len(self.data) + len(fragment) > MAX_IDENTIFIER:
            raise PduError(f"an answer with more than {MAX_IDENTIFIER} bytes of dataset")
        self.data += fragment

    def finish(self, is_cancelled: IsCancelled) -> Answer:
        """Never called: requests are finished, answers are not."""
        raise AssertionError("an answer is not answered")

    def discard(self) -> None:
        """Forget it."""
        self.data.clear()


def checked(request: Sent, context: AcceptedContext, command: Command, dataset: bytes) -> Received:
    """The message as the answer that is due, or `PduError` for any other (PS3.7 9.3).

    An answer without a dataset may come on another context of the same abstract syntax: odil sends
    all of a SOP class on the first. One request waits at a time, so that it can mean no other.
    """
    if command.field != request.field | RESPONSE:
        raise PduError(f"another answer (0x{command.field:04X}) than was asked for")
    if command.message_id != request.message_id:
        raise PduError("the answer to another message")
    is_class = context.abstract_syntax == request.context.abstract_syntax
    if context != request.context and (dataset or not is_class):
        raise PduError("the answer on another presentation context")
    if request.sop_instance_uid and command.sop_instance_uid not in ("", request.sop_instance_uid):
        raise PduError("the answer for another SOP instance")
    status = command.elements.get(STATUS, b"")
    if len(status) != 2:
        raise PduError("an answer without a status")
    received = Received(command, int.from_bytes(status, "little"), dataset)
    if received.is_pending and request.field not in _HAVE_PENDING:
        raise PduError(f"a pending status (0x{received.status:04X}) where there is one answer")
    if request.field == C_FIND_RQ and received.is_pending and not command.dataset_follows:
        raise PduError("a match without an identifier")
    return received
