"""The SHA-256 of a certificate (of its DER form): how a node is bound to one."""

from __future__ import annotations

import hashlib
import re

from tuipacs.errors import UsageError

_HEX = re.compile(r"[0-9a-f]{64}")
_SHORT = 12  # hexadecimal digits that are shown where there is little room


def fingerprint(der: bytes) -> str:
    """64 hexadecimal digits in lower case."""
    return hashlib.sha256(der).hexdigest()


def check_fingerprint(text: str) -> str:
    """``text`` as `fingerprint` writes it; colons, blanks and capitals are taken too, and a line
    of ``openssl x509 -fingerprint -sha256``.

    Empty stays empty. Raises `UsageError` for anything else.
    """
    plain = re.sub(r"[:\s]", "", text.rpartition("=")[2]).lower()
    if plain and not _HEX.fullmatch(plain):
        raise UsageError(
            "a certificate is named by its SHA-256, 64 hexadecimal digits",
            remedy="tuipacs tls show FILE prints it",
        )
    return plain


def short_fingerprint(text: str) -> str:
    """The first digits and an ellipsis, for people who compare; empty stays empty."""
    return f"{text[:_SHORT]}\u2026" if len(text) > _SHORT else text
