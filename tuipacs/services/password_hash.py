"""Argon2id for passwords (RFC 9106): 64 MiB, three passes, one at a time."""

from __future__ import annotations

import base64
import os
import threading
import unicodedata

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from tuipacs.domain.passwords import MAXIMUM_LENGTH

MEMORY_KIB = 64 * 1024
ITERATIONS = 3
LANES = 1
_SALT_BYTES = 16
_HASH_BYTES = 32


class PasswordHasher:
    """Makes and checks hashes; a lock keeps a storm of logins from taking all memory.

    Smaller figures than the defaults are for tests.
    """

    def __init__(self, *, memory_kib: int = MEMORY_KIB, iterations: int = ITERATIONS) -> None:
        self._memory_kib = memory_kib
        self._iterations = iterations
        self._lock = threading.Lock()
        # No password's hash, and not worth making one: checking against it costs the same.
        self._decoy = (
            f"$argon2id$v=19$m={memory_kib},t={iterations},p={LANES}"
            f"${_base64(os.urandom(_SALT_BYTES))}${_base64(os.urandom(_HASH_BYTES))}"
        )

    def hash(self, password: str) -> str:
        """Return the PHC string of a new salted hash."""
        with self._lock:
            return Argon2id(
                salt=os.urandom(_SALT_BYTES),
                length=_HASH_BYTES,
                iterations=self._iterations,
                lanes=LANES,
                memory_cost=self._memory_kib,
            ).derive_phc_encoded(_bytes(password))

    def matches(self, password: str, phc: str | None) -> bool:
        """True if ``password`` made ``phc``. Without one, takes the same time and says no.

        A password that is too long to be anyone's takes that time too, and no more: normalizing a
        megabyte of combining marks would hold up the whole process for minutes.
        """
        if len(password) > MAXIMUM_LENGTH:
            password, phc = "", None
        with self._lock:
            try:
                Argon2id.verify_phc_encoded(_bytes(password), phc or self._decoy)
            except InvalidKey:
                return False
        return phc is not None


def _base64(data: bytes) -> str:
    """As PHC strings have it: without padding."""
    return base64.b64encode(data).decode().rstrip("=")


def _bytes(password: str) -> bytes:
    """The same bytes on each keyboard: "é" may be typed as one character or as two (RFC 8265)."""
    return unicodedata.normalize("NFC", password).encode()
