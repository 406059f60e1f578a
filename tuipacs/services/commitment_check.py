"""Whether stored bytes are what was stored: read again and hashed, before anybody may delete his.

Not a door: the worker that uses it acts for a node whose request was taken on by a guarded service.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence

from tuipacs.domain.commitment import COMMITTED, FailureReason
from tuipacs.errors import NotFoundError, StorageFailedError, UnavailableError
from tuipacs.index import commitments_taken
from tuipacs.index.commitments import Item
from tuipacs.index.commitments_taken import Version
from tuipacs.index.database import Index
from tuipacs.storage.blob import BlobStore

log = logging.getLogger(__name__)

_BATCH = 500  # objects looked up at once
_BLOCK = 1 << 20  # bytes


class CommitmentCheck:
    """Looks at objects. Thread-safe."""

    def __init__(self, index: Index, store: BlobStore) -> None:
        self._index = index
        self._store = store

    def outcomes(
        self, items: Sequence[Item], check: Callable[[], None], *, at_last: bool
    ) -> Iterator[tuple[int, int]]:
        """(position, COMMITTED or the Failure Reason) of each object.

        ``check`` is called between two blocks of bytes, and may raise. Raises `UnavailableError`
        where the disk may well give an answer in a moment; with ``at_last`` that is a reason, too.
        """
        for at in range(0, len(items), _BATCH):
            batch = items[at : at + _BATCH]
            with self._index.read() as reader:
                found = commitments_taken.versions(
                    reader, [item.sop_instance_uid for item in batch]
                )
            for item in batch:
                try:
                    outcome = self._outcome(item, found, check)
                except UnavailableError:
                    if not at_last:
                        raise
                    outcome = FailureReason.RESOURCE_LIMITATION
                yield item.position, outcome

    def _outcome(
        self, item: Item, found: dict[str, list[Version]], check: Callable[[], None]
    ) -> int:
        """Of several versions of one SOP instance nobody can say which is meant: all count."""
        versions = found.get(item.sop_instance_uid, [])
        if not versions:
            return FailureReason.NO_SUCH_OBJECT_INSTANCE
        if any(version.sop_class_uid != item.sop_class_uid for version in versions):
            return FailureReason.CLASS_INSTANCE_CONFLICT
        if all(self._is_sound(version, check) for version in versions):
            return COMMITTED
        return FailureReason.PROCESSING_FAILURE

    def _is_sound(self, version: Version, check: Callable[[], None]) -> bool:
        header, dataset = hashlib.sha256(), hashlib.sha256()
        try:
            with self._store.open(version.blob_key) as file:
                header.update(file.read(version.header_size))
                while block := file.read(_BLOCK):
                    check()
                    dataset.update(block)
        except (NotFoundError, StorageFailedError, OSError) as error:
            words = type(error).__name__
            log.error("object %d cannot be read: %s (%s)", version.key, version.blob_key, words)
            return False
        check()
        if (header.digest(), dataset.digest()) == (version.header_sha256, version.dataset_sha256):
            return True
        log.error("the stored file of object %d (%s) is damaged", version.key, version.blob_key)
        return False
