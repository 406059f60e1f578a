"""How a check of this installation ended, for ``tuipacs doctor`` and ``tuipacs tls check``."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """What a finding means for who runs the archive."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
