"""Whether what was once kept is still there, to the last byte."""

from __future__ import annotations

import hashlib
import os
from typing import BinaryIO

from tuipacs.domain.blob import StoredBlob
from tuipacs.errors import NotFoundError, StorageFailedError
from tuipacs.storage.blob import BlobStore

_CHUNK = 1 << 20


def fault_of(store: BlobStore, kept: StoredBlob) -> str:
    """What is wrong with a kept file: missing, unreadable or damaged; empty if nothing is.

    Reads all of it. Raises `UnavailableError` when that says nothing about the file.
    """
    try:
        with store.open(kept.key) as file:
            return "" if _is_whole(file, kept) else "damaged"
    except NotFoundError:
        return "missing"
    except (StorageFailedError, OSError):
        return "unreadable"


def _is_whole(file: BinaryIO, kept: StoredBlob) -> bool:
    if file.seek(0, os.SEEK_END) != kept.header_size + kept.dataset_size:
        return False
    file.seek(0)
    return (
        _hash(file, kept.header_size) == kept.header_sha256
        and _hash(file, kept.dataset_size) == kept.dataset_sha256
    )


def _hash(file: BinaryIO, size: int) -> bytes:
    hasher = hashlib.sha256()
    while size and (chunk := file.read(min(size, _CHUNK))):
        hasher.update(chunk)
        size -= len(chunk)
    return hasher.digest()
