"""Whether bytes have a SHA-256, found out in a fraction of the time where they had it before."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections import OrderedDict

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_MOST = 50_000  # digests remembered, of some 250 bytes each
_NONCE = bytes(12)  # always the same: no tag ever leaves this process


class Digests:
    """Compares bytes with a SHA-256. Thread-safe.

    All bytes are looked at each time. Those that had the digest get a tag of 128 bits too (GMAC,
    NIST SP 800-38D, under a key that nobody knows), and the same bytes are known by it: 0.02 ms
    for 0.5 MB instead of 0.36. Others have the same tag with a probability below 2**-100.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._cipher = AESGCM(secrets.token_bytes(32))
        self._lock = threading.Lock()
        self._tags: OrderedDict[bytes, bytes] = OrderedDict()  # by SHA-256, oldest first

    def knows(self, digest: bytes) -> bool:
        """Whether bytes with this SHA-256 will be recognised soon."""
        return digest in self._tags

    def fits(self, data: memoryview, digest: bytes) -> bool:
        """Whether ``data`` has this SHA-256."""
        tag = self._cipher.encrypt(_NONCE, b"", data)
        with self._lock:
            if self._tags.get(digest) == tag:
                self._tags.move_to_end(digest)
                return True
        if hashlib.sha256(data).digest() != digest:
            return False
        with self._lock:
            self._tags[digest] = tag
            if len(self._tags) > self._most:
                self._tags.popitem(last=False)
        return True
