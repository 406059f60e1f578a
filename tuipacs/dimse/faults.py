"""How a conversation can go wrong. Internal to the engine; each ends the association."""

from __future__ import annotations

from enum import IntEnum


class AbortReason(IntEnum):
    """Provider reasons of A-ABORT (PS3.8 9.3.8)."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    UNRECOGNIZED_PARAMETER = 4
    UNEXPECTED_PARAMETER = 5
    INVALID_PARAMETER = 6


class PduError(Exception):
    """The peer broke the protocol; ``words`` say how, without any value from the dataset."""

    def __init__(self, words: str, reason: AbortReason = AbortReason.INVALID_PARAMETER) -> None:
        super().__init__(words)
        self.words = words
        self.reason = reason


class SourceFailedError(Exception):
    """What was to be sent cannot be read; ``words`` say why, without its path."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


class UnfinishedError(Exception):
    """We cannot send the rest of a message, and end the association; ``words`` say why."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


class PeerGoneError(Exception):
    """The connection was closed or lost."""


class PeerAbortsError(PeerGoneError):
    """The peer aborted while its request was served: nothing more is sent (PS3.8 AA-3)."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


class PeerAbortedError(Exception):
    """The peer sent an A-ABORT before there was an association: it gets no answer (AA-2)."""

    words = "aborted before its association request"


class PeerSlowError(Exception):
    """The deadline passed; ``words`` say for what."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words
