"""One commit, and so one wait for the disk, for the work of all threads that wait to write.

Whoever comes first leads: when the index is free it runs the waiting work of all, each part in a
savepoint of its own, commits once, and wakes the others. Nobody is made to wait for company: a
single thread commits as it would alone.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from tuipacs.errors import StorageFailedError
from tuipacs.index.disk_errors import storage_errors

if TYPE_CHECKING:
    from tuipacs.index.database import Index, Transaction

R = TypeVar("R")
MOST = 64  # parts of one commit
_FAILED = "the commit failed"


class _Part:
    """The work of one thread, and what became of it."""

    __slots__ = ("error", "result", "settled", "turn", "unproven", "work")

    def __init__(self, work: Callable[[Transaction], Any]) -> None:
        self.work = work
        self.result: Any = None
        self.error: BaseException | None = None
        self.unproven = StorageFailedError(_FAILED)  # made now: later there may be no memory
        self.settled = False
        self.turn = threading.Lock()  # held until it is settled, or has to lead


class SharedCommits:
    """The queue in front of one index. Thread-safe."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._gate = threading.Lock()  # guards the next two
        self._waiting: list[_Part] = []
        self._is_led = False

    def run(self, work: Callable[[Transaction], R]) -> R:
        """See `Index.share`."""
        part = _Part(work)
        part.turn.acquire()
        with self._gate:
            self._waiting.append(part)
            leads = not self._is_led
            self._is_led = True
        if not leads:
            part.turn.acquire()
        if not part.settled:
            self._lead(part)
        if part.error is not None:
            raise part.error
        result: R = part.result
        return result

    def _lead(self, own: _Part) -> None:
        group = [own]
        committed = False
        try:
            with self._index.write() as tx:
                # Only now: more may have come while another writer was at it.
                with self._gate:
                    group = self._waiting[:MOST]
                if len(group) == 1:
                    own.result = own.work(tx)
                else:
                    for part in group:
                        self._run_part(tx, part)
            committed = True
        except BaseException as error:  # noqa: BLE001 - raised by each of them
            for part in group:
                if part.error is None:
                    part.error = _own_copy(error) if len(group) > 1 else error
        finally:
            if not committed:  # whatever happened on the way here: nothing counts as written
                for part in group:
                    part.error = part.error or part.unproven
            self._settle(group, own)

    def _settle(self, group: list[_Part], own: _Part) -> None:
        with self._gate:
            del self._waiting[: len(group)]
            self._is_led = bool(self._waiting)
            heirs = self._waiting[:1]
        for part in group:
            part.settled = True
        for part in (*group, *heirs):
            if part is not own:
                part.turn.release()

    @staticmethod
    def _run_part(tx: Transaction, part: _Part) -> None:
        try:
            with storage_errors(), tx.part():
                part.result = part.work(tx)
        except Exception as error:
            part.error = error
            if not tx.is_sound:  # of the whole group nothing is left, or nothing may be kept
                raise


def _own_copy(error: BaseException) -> BaseException:
    """Each thread raises an exception of its own: a traceback belongs to one thread."""
    try:
        copied = copy.copy(error)
    except Exception:  # noqa: BLE001 - an exception may demand any arguments; the cause tells
        copied = StorageFailedError(_FAILED)
    copied.__cause__ = error
    return copied
