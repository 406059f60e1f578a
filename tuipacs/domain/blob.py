"""One stored object, as storage and index speak of it."""

from __future__ import annotations

from msgspec import Struct


class StoredBlob(Struct, frozen=True, kw_only=True):
    """One durable object: a Part 10 file of ``header_size`` bytes and then the dataset."""

    key: str
    header_size: int
    header_sha256: bytes
    dataset_size: int
    dataset_sha256: bytes
