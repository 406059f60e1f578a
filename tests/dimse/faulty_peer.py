"""A node that takes part in every service, and plays faults in any of them on demand.

How to use it::

    with FaultyPeer(store=[0x0000, Fault.VANISH, 0xA700]) as node:
        ...  # send something to `node.peer()`, or to 127.0.0.1 and `node.port`
    assert [kept.sop_instance_uid for kept in node.stored] == ["1.2.3"]

Each service has a list of deeds, one for each request in the order they come; after its end all
goes well. A deed is a DIMSE status, or a `Fault`. What it received is in `stored`, `asked` and
`associations`; all of it may be changed while it runs (`node.store.append(0xA700)`).

* `reject`: for each association in turn, an A-ASSOCIATE-RJ's (result, source, reason), a `Fault`,
  or None to accept. ``[(2, 3, 2)] * 3`` is busy three times.
* `takes(abstract syntax, transfer syntax)`: False refuses it. `takes_roles=False` ignores roles.
* `objects`: what it has, for C-MOVE and C-GET; all are sent, whatever was asked. Put one there
  twice, or one that nobody asked for. `destinations` (AE title to port) is whom it can move to.
  `sends`: for each object of a C-GET in turn, None or a `Fault` in the middle of its dataset.
* `counts(remaining, completed, failed, warning)`: what it says instead; `pending=False`: nothing.
* `matches`: encoded identifiers for C-FIND, in explicit VR little endian.
* `commit`: deeds for N-ACTION. After a 0x0000 it reports to `report_to` (a `Peer` of ours, on an
  association of its own), or with ``report_here`` on the same one, what `outcome` makes of the
  request: (transaction UID, references) to (transaction UID, committed, failed). There it can
  tell another `event_type` than that of its lists.
* `port`: where it listens, for a node that comes back; else any free one.
* `comment`: the Error Comment of each status that is no success (hostile text, say).

`close` (or the end of the block) ends all of it, also what plays silence.
"""

from __future__ import annotations

import contextlib
import io
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from tests.dimse.hostile_acceptor import QUICK
from tests.dimse.raw_peer import (
    APPLICATION_CONTEXT,
    EXPLICIT,
    Wire,
    element,
    item,
    p_data,
    pdu,
    read_elements,
    read_items,
    role_item,
    us,
)
from tuipacs.dicom.commitment import encode_commitment, read_commitment
from tuipacs.dimse.requestor.faults import AssociationFailedError
from tuipacs.dimse.requestor.loop import RequestorSettings
from tuipacs.scu.c_store import store_objects
from tuipacs.scu.n_event_report import report_commitment
from tuipacs.scu.requestor import Peer
from tuipacs.scu.sources import SourceObject

COMMITMENT, COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
ECHO, FIND, MOVE, GET, STORE, ACTION, EVENT = 0x30, 0x20, 0x21, 0x10, 0x01, 0x130, 0x100
CANCEL = 0x0FFF


class Fault(Enum):
    """What it does instead of an answer."""

    SILENCE = auto()  # nothing, and the connection stays
    VANISH = auto()  # a TCP reset; in the middle of the dataset if one comes
    CLOSE = auto()  # the connection, after the whole request
    ABORT = auto()  # A-ABORT of the service user
    RELEASE = auto()  # an A-RELEASE-RQ where an answer is due
    GARBAGE = auto()  # a PDU of no known type
    OTHER_MESSAGE = auto()  # 0x0000 for another message ID
    OTHER_INSTANCE = auto()  # 0x0000 for another SOP instance
    EARLY = auto()  # 0x0000 before the dataset came


Deed = int | Fault
Reference = tuple[str, str]
Outcome = tuple[str, list[Reference], list[tuple[str, str, int]]]


@dataclass(frozen=True)
class Held:
    """An object: here to be sent, or as it came. ``originator`` is of the C-MOVE, if any."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str = EXPLICIT
    dataset: bytes = b"\x08\0\x18\0UI\4\x001.2\0"
    originator: tuple[str, int] | None = None


@dataclass(frozen=True)
class Asked:
    """A request that came whole."""

    field: int
    sop_class_uid: str
    sop_instance_uid: str
    elements: dict[int, bytes]
    dataset: bytes
    calling_ae_title: str


class _Gone(Exception):
    """The connection has ended, by whomever."""


class FaultyPeer:
    """See the module's own words; the constructor takes what they name."""

    def __init__(
        self,
        *,
        title: str = "STORE",
        reject: Sequence[tuple[int, int, int] | Fault | None] = (),
        takes: Callable[[str, str], bool] = lambda _abstract, _transfer: True,
        takes_roles: bool = True,
        echo: Sequence[Deed] = (),
        store: Sequence[Deed] = (),
        find: Sequence[Deed] = (),
        move: Sequence[Deed] = (),
        get: Sequence[Deed] = (),
        commit: Sequence[Deed] = (),
        objects: Sequence[Held] = (),
        sends: Sequence[Fault | None] = (),
        matches: Sequence[bytes] = (),
        destinations: dict[str, int] | None = None,
        counts: Callable[[int, int, int, int], tuple[int, int, int, int]] | None = None,
        pending: bool = True,
        failed_uids: Sequence[str] = (),
        outcome: Callable[[str, list[Reference]], Outcome] = lambda uid, items: (uid, items, []),
        report_to: Peer | None = None,
        report_here: bool = False,
        comment: str = "",
        max_length: int = 16384,
        port: int = 0,
    ) -> None:
        self.title = title
        self.reject = list(reject)
        self.takes, self.takes_roles = takes, takes_roles
        self.echo, self.store, self.find = list(echo), list(store), list(find)
        self.move, self.get, self.commit = list(move), list(get), list(commit)
        self.deeds: dict[int, list[Deed]] = {
            ECHO: self.echo,
            STORE: self.store,
            FIND: self.find,
            MOVE: self.move,
            GET: self.get,
            ACTION: self.commit,
            EVENT: [],
        }
        self.sends = list(sends)
        self.objects, self.matches = list(objects), list(matches)
        self.destinations = destinations or {}
        self.counts, self.pending, self.failed_uids = counts, pending, list(failed_uids)
        self.outcome, self.report_to, self.report_here = outcome, report_to, report_here
        self.event_type: int | None = None
        self.comment = comment
        self.max_length = max_length
        self.stored: list[Held] = []  # what it acknowledged, or pretended to
        self.asked: list[Asked] = []
        self.cancelled: list[int] = []  # message IDs
        self.reported: list[int | None] = []  # the answers to its reports
        self.replies: list[int] = []  # statuses of what it sent by C-GET
        self.associations = 0  # that were accepted
        self.attempts = 0  # connections
        self.faults: list[BaseException] = []  # of its own: should stay empty
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._connections: list[socket.socket] = []
        self._accepting = threading.Thread(target=self._accept, name="faulty peer")
        self._accepting.start()

    def peer(self, settings: RequestorSettings = QUICK) -> Peer:
        """How to call it."""
        return Peer("127.0.0.1", self.port, self.title, "TUIPACS", settings=settings)

    def __enter__(self) -> FaultyPeer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        if self.faults:
            raise self.faults[0]

    def close(self) -> None:
        """End everything."""
        self.closing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(15)
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(15)
            assert not thread.is_alive()

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.attempts += 1
            thread = threading.Thread(target=self._serve, args=(connection,), name="faulty peer")
            self._connections.append(connection)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(30)
        try:
            with connection:
                _Conversation(self, connection).run()
        except (_Gone, OSError):
            pass
        except BaseException as error:  # noqa: BLE001 - told at the end of the block
            self.faults.append(error)

    def next_of(self, deeds: list[Deed]) -> Deed:
        """The next deed of a list. Associations run beside each other."""
        with self._lock:
            return deeds.pop(0) if deeds else 0x0000

    def next_rejection(self) -> tuple[int, int, int] | Fault | None:
        """What comes of the next association."""
        with self._lock:
            return self.reject.pop(0) if self.reject else None


class _Conversation(Wire):
    """One connection."""

    def __init__(self, node: FaultyPeer, connection: socket.socket) -> None:
        super().__init__(connection)
        self.node = node
        self.contexts: dict[int, tuple[str, str]] = {}  # accepted
        self.calling = ""
        self.is_cancelled = False
        self._values: list[tuple[int, int, bytes]] = []  # that came and were not looked at
        self._message_id = 100

    def run(self) -> None:
        self._associate()
        while True:
            context, command = self._command()
            self._answer(context, command)

    # -- the association

    def _associate(self) -> None:
        kind, body = self.read()
        if kind != 1:
            raise _Gone
        refused = self.node.next_rejection()
        if isinstance(refused, Fault):
            self._play(refused)
        elif refused is not None:
            self.send(pdu(3, bytes((0, *refused))))
            self.read()
            raise _Gone
        self.calling = body[20:36].decode("latin-1").strip()
        items, roles = b"", b""
        for kind, data in read_items(body[68:]):
            if kind == 0x20:
                items += self._context(data)
            elif kind == 0x50:
                for sub, value in read_items(data):
                    if sub == 0x54 and self.node.takes_roles:
                        roles += role_item(value[2:-2].decode(), value[-2], value[-1])
        limit = item(0x51, self.node.max_length.to_bytes(4, "big"))
        answer = b"\0\1\0\0" + body[4:36] + bytes(32)
        answer += item(0x10, APPLICATION_CONTEXT.encode()) + items
        answer += item(0x50, limit + item(0x52, b"1.2.3") + roles)
        self.node.associations += 1
        self.send(pdu(2, answer))

    def _context(self, data: bytes) -> bytes:
        parts = read_items(data[4:])
        abstract = next(value.decode() for kind, value in parts if kind == 0x30)
        offered = [value.decode() for kind, value in parts if kind == 0x40]
        taken = [syntax for syntax in offered if self.node.takes(abstract, syntax)]
        if taken:
            self.contexts[data[0]] = (abstract, taken[0])
        syntax = item(0x40, (taken or offered)[0].encode())
        return item(0x21, bytes((data[0], 0, 0 if taken else 3, 0)) + syntax)

    # -- messages

    def _value(self) -> tuple[int, int, bytes]:
        """The next PDV: context ID, control header, fragment."""
        while not self._values:
            kind, body = self.read()
            if kind == 5:
                self.send(pdu(6, bytes(4)))
                self.read()
            if kind != 4:
                raise _Gone
            while body:
                size = int.from_bytes(body[:4], "big")
                self._values.append((body[4], body[5], body[6 : 4 + size]))
                body = body[4 + size :]
        return self._values.pop(0)

    def _whole(self) -> tuple[int, bytes]:
        data = b""
        while True:
            context, control, fragment = self._value()
            data += fragment
            if control & 2:
                return context, data

    def _command(self) -> tuple[int, dict[int, bytes]]:
        context, data = self._whole()
        return context, read_elements(data)

    def _answer(self, context: int, command: dict[int, bytes]) -> None:
        field = _number(command, 0x0100)
        if field == CANCEL:
            self.node.cancelled.append(_number(command, 0x0120))
            return
        deed = self.node.next_of(self.node.deeds[field])
        if _number(command, 0x0800) == 0x0101:
            dataset = b""
        elif deed is Fault.VANISH:
            dataset = self._value()[2]  # a piece of it
        elif deed is Fault.EARLY:
            self._respond(context, command, 0x0000)
            dataset = self._whole()[1]
        else:
            dataset = self._whole()[1]
        asked = Asked(
            field,
            _text(command, 0x0002) or _text(command, 0x0003),
            _text(command, 0x1000) or _text(command, 0x1001),
            command,
            dataset,
            self.calling,
        )
        self.node.asked.append(asked)
        services = {STORE: self._store, FIND: self._find, ACTION: self._commit}
        services |= {MOVE: self._retrieve, GET: self._retrieve}
        if deed is Fault.EARLY:
            return
        if isinstance(deed, Fault):
            self._play(deed, context, command)
        elif field in services:
            services[field](context, command, asked, deed)
        else:
            self._respond(context, command, deed)

    def _play(
        self, fault: Fault, context: int = 0, command: dict[int, bytes] | None = None
    ) -> None:
        if fault is Fault.SILENCE:
            self.node.closing.wait(60)
        elif fault is Fault.VANISH:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif fault is Fault.ABORT:
            self.send(pdu(7, bytes(4)))
        elif fault is Fault.RELEASE:
            self.send(pdu(5, bytes(4)))
            self.read()
        elif fault is Fault.GARBAGE:
            self.send(pdu(0x77, b"nonsense"))
            self.read()
        elif command is not None and fault is Fault.OTHER_MESSAGE:
            self._respond(context, command | {0x0110: us(_number(command, 0x0110) ^ 0x5555)}, 0)
            self.read()
        elif command is not None and fault is Fault.OTHER_INSTANCE:
            self._respond(context, command | {0x1000: b"9.9.9\0"}, 0)
            self.read()
        raise _Gone

    def _respond(
        self,
        context: int,
        command: dict[int, bytes],
        status: int,
        *,
        counts: tuple[int, int, int, int] | None = None,
        dataset: bytes = b"",
    ) -> None:
        body = element(0x0002, command.get(0x0002) or command.get(0x0003, b""))
        body += element(0x0100, us(_number(command, 0x0100) | 0x8000))
        body += element(0x0120, command[0x0110])
        body += element(0x0800, us(1 if dataset else 0x0101)) + element(0x0900, us(status))
        if self.node.comment and status not in (0x0000, 0xFF00):
            body += element(0x0902, self.node.comment.encode("utf-8"))
        if instance := command.get(0x1000) or command.get(0x1001):
            body += element(0x1000, instance)
        if counts is not None:
            for number, value in enumerate(counts):
                if value >= 0:
                    body += element(0x1020 + number, us(value))
        self.send(p_data(context, 3, element(0, len(body).to_bytes(4, "little")) + body))
        for piece, control in _pieces(dataset):
            self.send(p_data(context, control, piece))

    # -- services

    def _store(self, context: int, command: dict[int, bytes], asked: Asked, status: int) -> None:
        if status == 0x0000 or 0xB000 <= status < 0xC000:
            originator = None
            if 0x1030 in command:
                originator = (_text(command, 0x1030), _number(command, 0x1031))
            syntax = self.contexts[context][1]
            held = Held(
                asked.sop_class_uid, asked.sop_instance_uid, syntax, asked.dataset, originator
            )
            self.node.stored.append(held)
        self._respond(context, command, status)

    def _find(self, context: int, command: dict[int, bytes], _asked: Asked, status: int) -> None:
        for match in self.node.matches:
            self._respond(context, command, 0xFF00, dataset=match)
        self._respond(context, command, status)

    def _retrieve(self, context: int, command: dict[int, bytes], asked: Asked, status: int) -> None:
        """C-MOVE or C-GET: the same but for the way that the objects go."""
        node = self.node
        if status == 0x0000 and asked.field == MOVE:
            title = _text(command, 0x0600).strip()
            if title not in node.destinations:
                self._respond(context, command, 0xA801)
                return
            outcomes = self._move(node.destinations[title], title, asked)
        elif status == 0x0000:
            outcomes = self._get()
        else:
            outcomes = iter(())
        remaining, completed, failed = len(node.objects), 0, 0
        bad: list[str] = []
        for held, is_good in outcomes:
            remaining -= 1
            completed += is_good
            failed += not is_good
            if not is_good:
                bad.append(held.sop_instance_uid)
            if node.pending:
                told = (remaining, completed, failed, 0)
                self._respond(context, command, 0xFF00, counts=self._counted(told))
            if self._cancel_came():
                break
        final = status
        if self.is_cancelled:
            final = 0xFE00
        elif failed:
            final = 0xB000 if completed else 0xA702
        told = (remaining if self.is_cancelled else -1, completed, failed, 0)
        dataset = _failed_list(node.failed_uids or bad)
        self._respond(context, command, final, counts=self._counted(told), dataset=dataset)

    def _counted(self, told: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
        return self.node.counts(*told) if self.node.counts else told

    def _cancel_came(self) -> bool:
        self.socket.settimeout(0)
        try:
            waiting = self.socket.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, OSError):
            waiting = b""
        finally:
            self.socket.settimeout(30)
        if waiting:
            _, command = self._command()
            assert _number(command, 0x0100) == CANCEL
            self.node.cancelled.append(_number(command, 0x0120))
            self.is_cancelled = True
        return self.is_cancelled

    def _move(self, port: int, title: str, asked: Asked) -> Iterator[tuple[Held, bool]]:
        node = self.node
        if not node.objects:
            return
        peer = Peer("127.0.0.1", port, title, node.title, settings=QUICK)
        sources = [_source(held) for held in node.objects]
        contexts = list(dict.fromkeys(source.context for source in sources))
        originator = (asked.calling_ae_title, _number(asked.elements, 0x0110))
        outcomes = store_objects(peer, sources, contexts, move_originator=originator)
        try:
            for held, outcome in zip(node.objects, outcomes, strict=True):
                yield held, outcome.stored
        except AssociationFailedError:
            for held in node.objects:
                yield held, False

    def _get(self) -> Iterator[tuple[Held, bool]]:
        for held in self.node.objects:
            wanted = (held.sop_class_uid, held.transfer_syntax_uid)
            context = next((n for n, pair in self.contexts.items() if pair == wanted), 0)
            if not context:
                yield held, False
                continue
            command = self._request(STORE, held.sop_class_uid, held.sop_instance_uid)
            self.send(p_data(context, 3, command))
            fault = self.node.sends.pop(0) if self.node.sends else None
            if fault is not None:
                self.send(p_data(context, 0, held.dataset[: len(held.dataset) // 2]))
                self._play(fault)
            for piece, control in _pieces(held.dataset):
                self.send(p_data(context, control, piece))
            self.node.replies.append(answer := self._own_answer())
            yield held, answer == 0x0000

    def _commit(self, context: int, command: dict[int, bytes], asked: Asked, status: int) -> None:
        self._respond(context, command, status)
        node = self.node
        if status != 0x0000 or not (node.report_here or node.report_to):
            return
        found = read_commitment(asked.dataset, self.contexts[context][1])
        items = [(one.sop_class_uid, one.sop_instance_uid) for one in found.referenced]
        uid, committed, failed = node.outcome(found.transaction_uid, items)
        if node.report_to is not None:
            node.reported.append(report_commitment(node.report_to, uid, committed, failed).status)
            return
        implicit = self.contexts[context][1] != EXPLICIT
        event = element(0x1002, us(node.event_type or (2 if failed else 1)))
        request = self._request(EVENT, COMMITMENT, COMMITMENT_INSTANCE, event)
        self.send(p_data(context, 3, request))
        for piece, control in _pieces(encode_commitment(uid, committed, failed, implicit=implicit)):
            self.send(p_data(context, control, piece))
        node.reported.append(self._own_answer())

    def _request(self, field: int, sop_class: str, instance: str, more: bytes = b"") -> bytes:
        self._message_id += 1
        body = element(0x0002, sop_class.encode()) + element(0x0100, us(field))
        body += element(0x0110, us(self._message_id)) + element(0x0800, us(1))
        body += element(0x1000, instance.encode()) + more
        return element(0, len(body).to_bytes(4, "little")) + body

    def _own_answer(self) -> int:
        """The status of the answer to what it asked itself; a C-CANCEL may come before it."""
        while True:
            _, command = self._command()
            if _number(command, 0x0100) != CANCEL:
                return _number(command, 0x0900)
            self.node.cancelled.append(_number(command, 0x0120))
            self.is_cancelled = True


def _number(command: dict[int, bytes], number: int) -> int:
    return int.from_bytes(command[number], "little")


def _text(command: dict[int, bytes], number: int) -> str:
    return command.get(number, b"").decode("latin-1").rstrip("\0 ")


def _pieces(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Fragments of a dataset, and their control headers; none of no dataset."""
    for at in range(0, len(data), 8192):
        yield data[at : at + 8192], 2 if at + 8192 >= len(data) else 0


def _failed_list(uids: Sequence[str]) -> bytes:
    """(0008,0058) in explicit VR little endian; nothing for no UIDs."""
    if not uids:
        return b""
    value = "\\".join(uids).encode()
    value += b"\0" * (len(value) % 2)
    return b"\x08\0\x58\0UI" + len(value).to_bytes(2, "little") + value


def _source(held: Held) -> SourceObject:
    return SourceObject(
        held.sop_class_uid,
        held.sop_instance_uid,
        held.transfer_syntax_uid,
        0,
        lambda: io.BytesIO(held.dataset),
    )
