"""The DICOM listener: accepts connections and keeps them in bounds."""

from __future__ import annotations

import errno
import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from tuipacs.dimse.acceptor.association import Association
from tuipacs.dimse.acceptor.engine import Engine
from tuipacs.dimse.acceptor.listening import listen
from tuipacs.dimse.acceptor.slots import AssociationSlots
from tuipacs.dimse.acceptor.teller import TICK, Teller
from tuipacs.dimse.acceptor.waiting import too_many_waiting
from tuipacs.dimse.channel import Channel
from tuipacs.dimse.contract import (
    Admit,
    AssociationInfo,
    Caller,
    Expects,
    Identify,
    ListenerSettings,
    Observer,
    ServiceProvider,
    TlsSource,
)
from tuipacs.dimse.pdu import HEADER_SIZE
from tuipacs.domain.network import caller_address
from tuipacs.errors import TuipacsError, UnavailableError

log = logging.getLogger(__name__)

CUT_TIMEOUT = 5.0  # seconds for the threads of cut associations to end
_Door = tuple[socket.socket, TlsSource | None]  # a listening socket, and the TLS that is spoken
_NO_MORE_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Listener:
    """One AE title on one port, or on two: plain and, with ``tls``, TLS.

    `start` and `drain` are for one thread, the rest for any. ``on_thread_end`` runs at the end of
    each of its threads (to close what belongs to it).
    """

    def __init__(
        self,
        settings: ListenerSettings,
        *,
        admit: Admit,
        providers: Sequence[ServiceProvider],
        observer: Observer,
        on_thread_end: Callable[[], None] = lambda: None,
        tls: TlsSource | None = None,
        identify: Identify | None = None,
        expects: Expects = lambda address: False,
    ) -> None:
        self._settings = settings
        self._expects = expects
        self._admit = admit
        self._teller = Teller(observer, on_thread_end)
        self._on_thread_end = on_thread_end
        self._slots = AssociationSlots(settings)
        self._tls = tls
        self._engine = Engine(settings, admit, tuple(providers), observer, self._slots, identify)
        self._accepting: threading.Thread | None = None
        self._stop = threading.Event()
        self._wake_up: socket.socket | None = None  # ends the accepting thread's wait
        self._port = settings.port if settings.is_plain else 0
        self._tls_port = settings.tls_port if tls is not None else 0
        self._graces: list[threading.Timer] = []  # that cut who was dismissed and goes on
        self._changed = threading.Condition()  # guards _live
        self._live: dict[Association, threading.Thread] = {}

    @property
    def port(self) -> int:
        """The plain port that is listened on; the settings' own before `start`, 0 for none."""
        return self._port

    @property
    def tls_port(self) -> int:
        """The same of the TLS port."""
        return self._tls_port

    @property
    def receiving(self) -> bool:
        """True between `start` and `drain`."""
        return self._accepting is not None and not self._stop.is_set()

    @property
    def associations_open(self) -> int:
        """Associations that were accepted and have not ended."""
        return self._slots.taken

    def start(self) -> None:
        """Listen and accept in a thread of its own.

        Raises `UnavailableError`, with a remedy, when an address cannot be listened on.
        """
        doors = self._open_doors()
        self._wake_up, woken = socket.socketpair()
        self._accepting = threading.Thread(
            target=self._accept, args=(doors, woken), name="dicom-listener", daemon=True
        )
        self._teller.start()
        self._accepting.start()
        for listening, tls in doors:
            port, how = listening.getsockname()[1], "TLS" if tls else "no TLS"
            log.info("listening on %s port %d, %s", self._settings.host, port, how)

    def _open_doors(self) -> list[_Door]:
        settings = self._settings
        doors: list[_Door] = []
        try:
            if settings.is_plain:
                doors.append((listen(settings.host, settings.port, "dicom.port"), None))
                self._port = int(doors[-1][0].getsockname()[1])
            if self._tls is not None:
                doors.append((listen(settings.host, settings.tls_port, "tls.port"), self._tls))
                self._tls_port = int(doors[-1][0].getsockname()[1])
        except UnavailableError:
            for listening, _ in doors:
                listening.close()
            raise
        return doors

    def recheck(self, reason: str = "the node was removed or changed") -> None:
        """End associations that would not be accepted any more: nodes or accounts changed."""

        def is_over(info: AssociationInfo) -> bool:
            try:
                now = self._admit(info.caller)  # a user that was proven once needs no password
            except TuipacsError:
                log.exception("association %d could not be checked again", info.key)
                return False
            return (
                not info.admission.services <= now.services
                or info.admission.known > now.known
                or (now.require_identity and not info.caller.user)
            )

        self._dismiss(is_over, reason)

    def distrust(self) -> None:
        """Who is trusted over TLS has changed: who was let in before has to show that it still is.

        A certificate cannot be judged again without its handshake.
        """
        words = "the certificates that are trusted have changed"
        self._dismiss(lambda info: info.caller.is_tls, words)

    def _dismiss(self, is_over: Callable[[AssociationInfo], bool], reason: str) -> None:
        """Ask associations to end, and cut off those that do not after a time of grace."""
        grace = self._settings.dismissal_grace
        is_any = False
        for association in self._snapshot():
            if association.info is not None and is_over(association.info):
                association.dismiss(reason, grace)
                is_any = True
        if is_any:
            self._graces = [timer for timer in self._graces if timer.is_alive()]
            timer = threading.Timer(grace, self._cut_overdue)
            timer.daemon = True
            self._graces.append(timer)
            timer.start()

    def drain(self, timeout: float) -> int:
        """Stop accepting; let running requests finish and answer, then abort their associations.

        After ``timeout`` seconds the rest is cut off. Returns how many were. Safe to call twice.
        """
        self._stop_accepting()
        for timer in self._graces:
            timer.cancel()
        for association in self._snapshot():
            association.dismiss("this archive is shutting down")
        self._wait_until_empty(timeout)
        late = self._snapshot()
        for association in late:
            association.cut()
        if late:
            self._wait_until_empty(CUT_TIMEOUT)
        self._teller.stop(CUT_TIMEOUT)
        return len(late)

    def stop(self) -> None:
        """Stop at once. What was not answered is not acknowledged."""
        self.drain(0.0)

    def _stop_accepting(self) -> None:
        self._stop.set()
        if self._accepting is not None and self._wake_up is not None:
            self._wake_up.close()  # readable at the other end
            self._accepting.join()
            self._accepting = None

    def _wait_until_empty(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        with self._changed:
            self._changed.wait_for(lambda: not self._live, max(0.0, deadline - time.monotonic()))

    def _snapshot(self) -> list[Association]:
        with self._changed:
            return list(self._live)

    def _cut_overdue(self) -> None:
        for association in self._snapshot():
            if association.is_overdue:
                association.cut()

    # -- the accepting thread

    def _accept(self, doors: list[_Door], woken: socket.socket) -> None:
        with ExitStack() as stack:
            stack.callback(self._on_thread_end)
            selector = stack.enter_context(selectors.DefaultSelector())
            selector.register(stack.enter_context(woken), selectors.EVENT_READ)
            for listening, tls in doors:
                stack.enter_context(listening)
                selector.register(listening, selectors.EVENT_READ, (listening, tls))
            while not self._stop.is_set():
                for key, _ in selector.select():
                    if key.data is not None:
                        self._accept_one(*key.data)

    def _accept_one(self, listening: socket.socket, tls: TlsSource | None) -> None:
        try:
            sock, peer = listening.accept()
        except OSError as error:
            if error.errno in _NO_MORE_FILES:
                log.error("no connection can be accepted: %s", error.strerror)
                self._stop.wait(TICK)  # it stays in the backlog; do not spin
            return
        address = caller_address(str(peer[0]))
        full = self._too_many_waiting(address)
        if full:
            sock.close()
            self._teller.rejected(Caller("", "", address), full)
            return
        try:
            channel = Channel(sock, self._settings.max_pdu + 4 * HEADER_SIZE)
        except OSError:
            sock.close()  # gone already
            return
        association = Association(self._engine, channel, address, tls)
        thread = threading.Thread(
            target=self._run, args=(association,), name="dicom-association", daemon=True
        )
        with self._changed:
            self._live[association] = thread
        try:
            thread.start()
        except RuntimeError:  # the system has no more threads
            log.error("no thread for a connection")
            self._forget(association)
            sock.close()

    def _too_many_waiting(self, address: str) -> str:
        waiting = [a.caller.address for a in self._snapshot() if not a.has_slot]
        return too_many_waiting(waiting, address, self._settings, self._is_expected)

    def _is_expected(self, address: str) -> bool:
        try:
            return self._expects(address)
        except Exception:
            log.exception("whether an address is a node's is not known")
            return False  # a bug there must not close the port

    def _run(self, association: Association) -> None:
        try:
            association.run()
        finally:
            self._on_thread_end()
            self._forget(association)

    def _forget(self, association: Association) -> None:
        with self._changed:
            self._live.pop(association, None)
            self._changed.notify_all()
