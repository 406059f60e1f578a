"""What a store of bytes promises. A second implementation (encrypted) wraps any first one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol

from tuipacs.domain.blob import StoredBlob


class Spool(Protocol):
    """An object on its way in; ends in `keep`, in `discard`, or with the process."""

    def write(self, chunk: bytes | memoryview) -> None:
        """Append dataset bytes. Raises `StorageFullError` or `StorageFailedError`; then discard."""
        ...

    def digest(self) -> bytes:
        """SHA-256 of the dataset bytes written so far."""
        ...

    def view(self) -> AbstractContextManager[memoryview]:
        """The dataset bytes written so far, to be read while the block lasts."""
        ...

    def chunks(self) -> Iterator[bytes]:
        """The same bytes piece by piece, for all of a large object: a view of it would count as
        memory of this process. Raises `StorageFailedError`.
        """
        ...

    def keep(self) -> StoredBlob:
        """Make it durable: file, name and folder are on the disk when this returns."""
        ...

    def discard(self) -> None:
        """Forget it. Never raises; may be called after `keep` failed."""
        ...


class BlobStore(Protocol):
    """Immutable objects under keys that the store makes up. Thread-safe."""

    def spool(self, header: bytes) -> Spool:
        """Begin an object whose file starts with ``header``.

        Raises `StorageFullError` when the free space is below the reserve, and `StorageFailedError`
        when an earlier write failed and nobody has looked since.
        """
        ...

    def open(self, key: str) -> BinaryIO:
        """Open an object for reading.

        Raises `NotFoundError`, `StorageFailedError`, and `UnavailableError` if it may well be
        readable in a moment.
        """
        ...

    def path(self, key: str) -> Path:
        """A file with the plain bytes, for programs that read files. Raises `NotFoundError`."""
        ...

    def remove(self, key: str) -> None:
        """Remove an object that no row names. A missing one is no error.

        Raises `StorageFailedError` if it is still there.
        """
        ...

    def set_aside(self, key: str) -> None:
        """Take an object that is damaged out of the way, without destroying what is left of it.

        Under its key there is nothing then. A missing one is no error. Raises `StorageFailedError`.
        """
        ...

    def recent(self) -> Iterator[str]:
        """Keys of the objects young enough to have lost their row in a crash."""
        ...

    def sweep(self) -> int:
        """Remove what was never kept; return how many."""
        ...

    def settled(self) -> None:
        """Nothing of the last crash is left: `recent` and `sweep` need not look as far back."""
        ...

    @property
    def failure(self) -> str:
        """Why nothing is stored any more; empty when all is well."""
        ...

    def fail(self, reason: str) -> None:
        """Store nothing from now on; reading goes on."""
        ...

    def free(self) -> tuple[int, int]:
        """(bytes free, bytes in all) of the disk."""
        ...
