"""A C-MOVE on its way: the objects go to another node in a thread of their own.

So whoever asked for them hears of it while one object takes long, and can stop it at any time.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tuipacs.dimse.messages import MEDIUM
from tuipacs.dimse.requestor.faults import AssociationFailedError, Failure
from tuipacs.domain.node import NodeRecord
from tuipacs.errors import NotFoundError
from tuipacs.scu.c_store import not_sent, store_objects
from tuipacs.scu.requestor import Peer
from tuipacs.scu.sources import SourceObject
from tuipacs.services.retrieval import Records, Retrieval
from tuipacs.services.transfer import Transfer

log = logging.getLogger(__name__)

_LOOK_EVERY = 0.1  # seconds between two looks at the destination's node
_GONE = "the destination was removed or changed"


@dataclass(frozen=True, kw_only=True)
class MoveOrigin:
    """Whose C-MOVE it is: AE title and message ID, which each C-STORE carries (PS3.7 9.1.1.1).

    So it does the ``priority`` (PS3.4 C.4.2.1.2).
    """

    ae_title: str
    message_id: int
    priority: int = MEDIUM


class _CutError(Exception):
    """The rest of the object at hand is not sent."""


class Move(Retrieval):
    """A retrieve whose objects go to ``node``. Begin with `start`, then `wait` until it has ended.

    `stop` lets the object at hand finish; `cut` does not.
    """

    def __init__(
        self,
        transfer: Transfer,
        records: Records,
        node: NodeRecord,
        peer: Peer,
        origin: MoveOrigin,
        now: Callable[[int], NodeRecord],
    ) -> None:
        super().__init__(transfer, records)
        self._node = node
        self._now = now  # the node of that key as it is at this moment
        self._looked_at = -_LOOK_EVERY
        self._is_gone = False
        self._peer = peer
        self._origin = origin
        self._is_stopped = threading.Event()
        self._is_done = threading.Event()  # or has not begun
        self._is_done.set()
        self._lock = threading.Lock()  # guards the next one
        self._cut_connection: Callable[[], None] = lambda: None
        self._is_cut = threading.Event()
        self._error: BaseException | None = None
        self._next_block_at = 0.0

    def start(self, on_end: Callable[[], None]) -> None:
        """Begin to send. ``on_end`` is called in the sending thread, at its end."""
        self._is_done.clear()
        name = f"move to {self._node.ae_title}"
        threading.Thread(target=self._run, args=(on_end,), name=name, daemon=True).start()

    def wait(self, seconds: float) -> bool:
        """Wait for the end; True once it has come. Raises what the sending has raised."""
        if not self._is_done.wait(seconds):
            return False
        if self._error is not None:
            raise self._error
        return True

    def stop(self) -> None:
        """Send no further object."""
        self._is_stopped.set()

    def cut(self) -> None:
        """Take the connection to the node away; an object that is on its way counts as unsent."""
        self.stop()
        with self._lock:
            self._is_cut.set()
            cut_connection = self._cut_connection
        cut_connection()

    def settle(self, seconds: float) -> None:
        """Stop, and after so many seconds cut; return when nothing is sent any more."""
        self.stop()
        if not self._is_done.wait(seconds):
            self.cut()
            self._is_done.wait()

    # -- the sending thread

    def _run(self, on_end: Callable[[], None]) -> None:
        try:
            self._send()
        except _CutError:
            log.info("a move to %s was cut off", self._node.ae_title)
        except BaseException as error:  # noqa: BLE001 - `wait` raises it where it is answered
            self._error = error
        finally:
            try:
                on_end()
            finally:
                self._is_done.set()

    def _send(self) -> None:
        preferred = self._node.call.preferred_syntaxes
        plan = self._transfer.plan(list(self.keys), preferred)
        outcomes = store_objects(
            self._peer,
            self._wanted(),
            plan.contexts,
            move_originator=(self._origin.ae_title, self._origin.message_id),
            priority=self._origin.priority,
            preferred=preferred,
            pace=self._pace if self._node.call.kib_per_second else None,
            on_connect=self._connected,
        )
        try:
            for outcome in outcomes:
                if self._is_cut.is_set() and not outcome.stored:
                    break
                self.note(outcome)
        except AssociationFailedError as error:
            if not self._is_cut.is_set():
                self._fail(error)

    def _wanted(self) -> Iterator[SourceObject]:
        for source in self.objects(self._check):
            if self._is_stopped.is_set():
                return
            if self._is_still_known():
                yield source
            else:
                self.note(not_sent(source, _GONE, Failure.ENDED))

    def _check(self) -> None:
        if self._is_cut.is_set():
            raise _CutError

    def _is_still_known(self) -> bool:
        """Whether objects may go to the node still, and over this very association."""
        now = time.monotonic()
        if not self._is_gone and now >= self._looked_at + _LOOK_EVERY:
            self._looked_at = now
            try:
                self._is_gone = not self._now(self._node.key).is_called_as(self._node)
            except NotFoundError:
                self._is_gone = True
        return not self._is_gone

    def _fail(self, error: AssociationFailedError) -> None:
        """Nobody was there to send to."""
        for source in self._wanted():
            self.note(not_sent(source, error.message, error.failure))

    def _connected(self, cut_connection: Callable[[], None]) -> None:
        with self._lock:
            self._cut_connection = cut_connection
            is_cut = self._is_cut.is_set()
        if is_cut:
            cut_connection()

    def _pace(self, size: int) -> None:
        """Before each block: no faster than the node is to be sent to."""
        self._check()
        rate = self._node.call.kib_per_second * 1024.0
        if not rate:
            return
        now = time.monotonic()
        self._next_block_at = max(now, self._next_block_at) + size / rate
        early = self._next_block_at - size / rate - now
        if early > 0 and self._is_cut.wait(early):
            raise _CutError
