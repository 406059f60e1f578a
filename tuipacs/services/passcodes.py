"""Passcodes that were found right a moment ago, for peers who prove the same one for each image.

Argon2 takes a quarter of a second on purpose, and some modalities open an association for each
image. What is kept is no password: a keyed hash, whose key no other process ever sees.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass

from tuipacs.index.users import Account

KEPT_SECONDS = 300.0
_KEPT = 1000  # accounts


@dataclass(frozen=True)
class _Proof:
    mac: bytes  # of the stored hash and the passcode
    at: float


class VerifiedPasscodes:
    """One proof an account, for a few minutes from the check that made it. Thread-safe.

    It holds for the very password hash that it was made with: a new password ends it.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._proofs: OrderedDict[int, _Proof] = OrderedDict()

    def keep(self, account: Account, passcode: str, now: float) -> None:
        """``passcode`` is right for ``account``, which was read before the check."""
        proof = _Proof(self._mac(account, passcode), now)
        with self._lock:
            self._proofs.pop(account.key, None)
            self._proofs[account.key] = proof
            while len(self._proofs) > _KEPT:
                self._proofs.popitem(last=False)

    def holds(self, account: Account, passcode: str, now: float) -> bool:
        """Whether it was found right lately. ``account`` as the index has it now."""
        with self._lock:
            proof = self._proofs.get(account.key)
            if proof is None:
                return False
            if not 0 <= now - proof.at < KEPT_SECONDS:
                del self._proofs[account.key]
                return False
        is_same = hmac.compare_digest(proof.mac, self._mac(account, passcode))
        return is_same and not account.disabled

    def _mac(self, account: Account, passcode: str) -> bytes:
        mac = hashlib.blake2b(account.password.encode(), key=self._key, digest_size=32)
        mac.update(b"\0" + passcode.encode())
        return mac.digest()
