"""Whether a node can be reached: the rungs of a test, and what is known of it by now."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Rung(StrEnum):
    """What has to work before the next one can, in this order."""

    TCP = "tcp"
    TLS = "tls"
    ASSOCIATION = "association"
    ECHO = "echo"
    FIND = "find"


class Verdict(StrEnum):
    """How a rung held. SKIPPED: not configured; NOT_TRIED: an earlier one broke."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    NOT_TRIED = "not tried"


REFUSES = "refuses "
"""How notes begin that tell what was not taken."""


class RungResult(Struct, frozen=True, kw_only=True):
    """One rung. ``words``: what was seen, clean; ``remedy``: what helps; ``notes``: more to read.

    ``code``: why it failed, a word for programs ("rejected", "no-context"); empty if it did not.
    """

    rung: Rung
    verdict: Verdict
    words: str
    remedy: str = ""
    code: str = ""
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def is_broken(self) -> bool:
        """Whether there is something to mend."""
        return self.verdict is Verdict.FAILED


class NodeHealth(Struct, frozen=True, kw_only=True):
    """What the archive knows of a node beside its record.

    ``checked_at``: seconds since the epoch of the last echo or test since the daemon started, 0 for
    none; ``reached`` and ``words`` are its outcome. ``open_jobs`` that will call it.
    """

    key: int
    checked_at: float = 0.0
    reached: bool = False
    words: str = ""
    open_jobs: int = 0
