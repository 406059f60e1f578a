"""What a hostile peer does, as data: the attack, how it must end, and one way to carry it out.

The tables are in `attacks_acse` (PS3.8), `attacks_dimse` (PS3.7), `attacks_find` and
`attacks_retrieve` (PS3.4), and `attacks_slow` (time and floods). An attack comes from a loopback
address of its own, so that its event and its audit record can be told from all others.
"""

from __future__ import annotations

import datetime as dt
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from tests.dimse.raw_peer import CT_CONTEXT, ECHO_CONTEXT, EXPLICIT, Proposal, RawPeer, us
from tests.e2e import hostile
from tests.e2e.daemon_fixture import ADMIN, PASSWORD, RunningArchive
from tests.e2e.resources import Resources, resources_of
from tests.interop.tap import Tap
from tests.ports import unused_port
from tuipacs.bootstrap import create_archive
from tuipacs.certificates.making import KeyKind, Wanted, issue, make_authority
from tuipacs.config import Config, DicomSettings, TlsSettings
from tuipacs.domain.node import AssociationRecord, AssociationState, CallService, NodeCall
from tuipacs.domain.permissions import GIVEN_SERVICES, NodeService
from tuipacs.paths import ArchivePaths
from tuipacs.schema import operations
from tuipacs.schema.messages import AuditRequest, Empty
from tuipacs.schema.node_messages import NodeAddRequest
from tuipacs.services.password_hash import PasswordHasher

T = TypeVar("T")

PEER = "PEER"  # may do all, and has no host
ECHOES = "ECHOES"  # may echo
AWAY = "AWAY"  # may do all; nobody listens where it is to be called
HERE = "HERE"  # as PEER, but for reports, which it gets where it asks
SILENT = "SILENT"  # is called, and never says anything
MIRROR = "MIRROR"  # is called, and is this archive behind another port
BEYOND = "beyond the list"
PATIENCE = 10.0  # seconds
CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
API_WORKERS, API_FILES = 2, 4  # that the control API takes and lays down as it likes
PENDING = (0xFF00, 0xFF01)
WARM_UP = 3  # associations and objects before the attacks

USER, PROVIDER = 0, 2  # who aborts (PS3.8 9.3.8)
NOT_SPECIFIED, UNRECOGNIZED, UNEXPECTED, INVALID_PARAMETER = 0, 1, 2, 6
REJECTED, ABORTED, RELEASED = (
    AssociationState.REJECTED,
    AssociationState.ABORTED,
    AssociationState.RELEASED,
)

Sending = bytes | Callable[[RawPeer], None]


@dataclass(frozen=True)
class End:
    """What the peer reads, in order, and what people here can read about it afterwards."""

    statuses: tuple[int, ...] = ()  # of responses, first of all
    last: str = ""  # then abort, reject, accept, release, closed, or gone itself; "": it goes on
    codes: tuple[int, ...] = ()  # of the abort (source, reason) or the rejection
    results: Mapping[int, int] = field(default_factory=dict)  # of the acceptance, by context ID
    state: AssociationState = RELEASED
    words: str = ""  # on the incoming board
    is_audited: bool = False
    is_known: bool = True
    audit_words: str = ""  # in a record about its address

    def told(self, words: str) -> End:
        """The same, and the audit log has these words about it."""
        return replace(self, audit_words=words)


def aborted(words: str, reason: int = INVALID_PARAMETER, *statuses: int) -> End:
    """A-ABORT by the provider inside an association (PS3.8 table 9-10, AA-8)."""
    return End(statuses, "abort", (PROVIDER, reason), state=ABORTED, words=words, is_audited=True)


def timed_out(words: str) -> End:
    """A-ABORT by the provider for slowness, which is no offence."""
    return End((), "abort", (PROVIDER, NOT_SPECIFIED), state=ABORTED, words=words)


def turned_away(words: str) -> End:
    """A-ABORT before there is an association: in the user's name (PS3.8 table 9-10, AA-1)."""
    codes = (USER, NOT_SPECIFIED)
    return End((), "abort", codes, state=REJECTED, words=words, is_audited=True)


def rejected(codes: tuple[int, int, int], words: str) -> End:
    """A-ASSOCIATE-RJ: result, source, reason (PS3.8 9.3.4)."""
    return End((), "reject", codes, state=REJECTED, words=words, is_audited=True)


def accepted(results: Mapping[int, int] | None = None, *, known: bool = True) -> End:
    """A-ASSOCIATE-AC with these results, by default for Verification alone."""
    return End(last="accept", results={1: 0} if results is None else results, is_known=known)


def goes_on(*statuses: int) -> End:
    """These responses, and the association is as good as before."""
    return End(statuses)


def closed(words: str, state: AssociationState = REJECTED, *, is_audited: bool = True) -> End:
    """No PDU at all, only the end of the connection."""
    return End(last="closed", state=state, words=words, is_audited=is_audited)


@dataclass(frozen=True, eq=False)
class Attack:
    """``item`` is of the list that the attack proves; ``inside``: an association is open first."""

    item: str
    name: str
    sends: Sending
    end: End
    inside: bool = False
    contexts: tuple[Proposal, ...] = (ECHO_CONTEXT, CT_CONTEXT)
    to_tls_port: bool = False
    calling: str = PEER
    user: bytes = b""  # items of user information

    def __str__(self) -> str:
        return f"{self.item}: {self.name}" if self.name else self.item


class Victim:
    """A running archive under attack, and what it shows of it."""

    def __init__(self, archive: RunningArchive) -> None:
        self.archive = archive
        self.admin = archive.connect()
        self._addresses = 0
        self._deaf = socket.create_server(("127.0.0.1", 0))
        self._line = Tap(self.port)
        self.know(PEER)
        self.know(ECHOES, NodeService.ECHO)
        self.know(AWAY, port=unused_port())
        self.know(HERE, here=True)
        self.know(SILENT, port=self._deaf.getsockname()[1])
        self.know(MIRROR, port=self._line.port)
        self.know("TUIPACS", port=self._line.port)  # its own title
        self._warm_up()
        self.at_start = self.resources()

    def close(self) -> None:
        """Let go of what plays its destinations."""
        self._deaf.close()
        self._line.close()

    def know(self, title: str, *services: NodeService, port: int = 0, here: bool = False) -> None:
        """Make this calling AE a node that may do all, or these, from any loopback address.

        With a port it can be called. ``here``: it is reported to where it asks.
        """
        call = NodeCall(report_on_same_association=here)
        if port:
            call = NodeCall(
                host="127.0.0.1",
                port=port,
                services=tuple(CallService),
                acse_timeout=1,
                dimse_timeout=1,
            )
        request = NodeAddRequest(
            ae_title=title,
            address="127.0.0.0/8",
            services=services or GIVEN_SERVICES,
            call=call,
        )
        self.admin.call(operations.NODE_ADD, request)

    def _warm_up(self) -> None:
        """What the first of each kind costs for good is no leak."""
        with ExitStack() as stack:
            for _ in range(WARM_UP):
                dataset = hostile.make()
                peer = stack.enter_context(RawPeer(self.port))
                assert peer.associate([ECHO_CONTEXT, CT_CONTEXT]).kind == "accept"
                uid = hostile.instance_of(dataset, EXPLICIT)
                assert peer.store(dataset, instance=uid) == 0
                assert peer.release() == 6

    @property
    def port(self) -> int:
        return self.archive.port

    @property
    def tls_port(self) -> int:
        assert self.archive.health is not None
        assert self.archive.health.tls is not None
        return self.archive.health.tls.port

    def new_address(self) -> str:
        """A loopback address that nobody used before."""
        self._addresses += 1
        return f"127.7.{self._addresses >> 8}.{self._addresses & 255}"

    def suffer(self, attack: Attack) -> None:
        """Let it happen, and check the end, the event and the audit record."""
        address = self.new_address()
        self.attack(attack, address)
        self.check_traces(attack.end, address)

    def attack(self, attack: Attack, address: str) -> None:
        """Let it happen, and check the end as the peer sees it. From any thread."""
        with RawPeer(self.tls_port if attack.to_tls_port else self.port, address) as peer:
            if attack.inside:
                calling = attack.calling.encode()
                reply = peer.associate(attack.contexts, calling=calling, user=attack.user)
                assert reply.kind == "accept"
            if isinstance(attack.sends, bytes):
                peer.send(attack.sends)
            else:
                attack.sends(peer)
            check_end(peer, attack)

    def check_traces(self, end: End, address: str) -> None:
        """The incoming board says how it ended, and the audit log says who broke the rules."""
        record = self.record(address)
        assert record.state is end.state, record
        assert end.words in record.reason
        if end.state is not REJECTED:
            assert record.known_node is end.is_known
        if end.is_audited:
            assert [detail for detail in self.audited(address) if end.words in detail]
        if end.audit_words:
            assert [detail for detail in self.audited(address) if end.audit_words in detail]

    def record(self, address: str) -> AssociationRecord:
        """What the board says about the only association from there, once it has ended."""

        def look() -> AssociationRecord | None:
            rows = self.admin.call(operations.INCOMING, Empty()).associations
            ended = (r for r in rows if r.address == address and r.ended_at is not None)
            return next(ended, None)

        return eventually(look, f"nothing on the board about {address}")

    def audited(self, address: str) -> list[str]:
        """Details of the audit records about an address."""

        def look() -> list[str]:
            page = self.admin.call(operations.AUDIT, AuditRequest(words=address, limit=50))
            return [row.detail for row in page.records if row.address == address]

        return eventually(look, f"no audit record about {address}")

    def still_echoes(self) -> None:
        """A well-behaved peer is served as ever."""
        with RawPeer(self.port) as peer:
            assert peer.associate().kind == "accept"
            assert peer.echo() == 0
            assert peer.release() == 6

    def resources(self) -> Resources:
        """What the daemon's process holds now."""
        return resources_of(self.archive.pid, {self.port, self.tls_port})

    def is_quiet(self) -> bool:
        """No DICOM peer is connected any more."""
        return not self.resources().connections

    def recovers(self, *, slack: int) -> None:
        """Nothing was stored, the log is clean, and what an attack took is given back.

        Threads and descriptors all of them, memory within ``slack`` MiB.
        """
        before = self.at_start

        def look() -> bool:
            now = self.resources()
            return (
                not now.connections
                and now.threads <= before.threads + API_WORKERS
                and now.descriptors <= before.descriptors + API_WORKERS * API_FILES
            )

        eventually(look, f"threads or descriptors of an attack stay: {before}")
        status = self.admin.call(operations.STATUS, Empty())
        assert status.totals.instances == WARM_UP, "an attack was stored"
        files = [path.name for path in self.archive.paths.objects.rglob("*") if path.is_file()]
        assert len(files) == WARM_UP, files
        assert self.admin.call(operations.AUDIT_VERIFY, Empty()).ok
        log = self.archive.log()
        assert "Traceback" not in log
        assert not CONTROLS.findall(log)
        now = self.resources()
        assert now.resident <= before.resident + slack, (before, now)
        assert now.peak <= before.peak + slack, (before, now)


@contextmanager
def running_victim(**dicom: Any) -> Iterator[Victim]:
    """A daemon in which strangers may echo and `PEER` may do all; settings of its listener."""
    base = Path(tempfile.mkdtemp(prefix="tp"))
    now = dt.datetime.now(dt.UTC)
    site = make_authority(base, "Site", now=now, kind=KeyKind.EC)
    made = issue(base, Wanted(name="archive", kind=KeyKind.EC), now=now)
    config = Config(
        dicom=DicomSettings(**{"port": 0, "unknown_callers": "echo", **dicom}),
        tls=TlsSettings(
            certificate=str(made.certificate), key=str(made.key), ca=str(site.certificate), port=0
        ),
    )
    paths = ArchivePaths(base / "a")
    hasher = PasswordHasher(memory_kib=64, iterations=1)
    create_archive(paths, config, ADMIN, PASSWORD, hasher=hasher)
    archive = RunningArchive(paths)
    try:
        archive.start()
        with closing(Victim(archive)) as victim:
            yield victim
    finally:
        archive.close()
        shutil.rmtree(base)


def check_end(peer: RawPeer, attack: Attack) -> None:
    """Read what the archive answers, and use what is left of the association."""
    end = attack.end
    for status in end.statuses:
        assert _answer(peer) == status
    if not end.last:
        assert peer.echo() == 0
        assert peer.release() == 6
        return
    if end.last == "release":
        assert peer.read()[0] == 6
        assert peer.read() == (0, b"")
        return
    if end.last == "gone":
        return
    reply = peer.reply()
    assert reply.kind == end.last, reply
    if end.last != "accept":
        assert reply.detail == end.codes
        assert end.last == "closed" or peer.read() == (0, b"")
        return
    assert {number: result for number, (result, _) in reply.contexts.items()} == end.results
    if end.results.get(1) == 0:
        assert peer.echo() == 0
    assert peer.release() == 6


def _answer(peer: RawPeer) -> int:
    """The next status. How often a retrieve tells its counts is a matter of time."""
    while True:
        elements = peer.answer()
        status = int.from_bytes(elements[0x0900], "little")
        if elements[0x0800] != us(0x0101):
            assert peer.read()[0] == 4  # the identifier, or the list of what failed
        elif status in PENDING:
            continue
        return status


def eventually(look: Callable[[], T], why: str) -> T:
    """What ``look`` finds, as soon as it finds something."""
    deadline = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < deadline, why
        time.sleep(0.01)
    return found
