"""Caps, deadlines, draining, and ports that cannot be had."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack

import pytest

from tests.dimse.archive import Archive
from tests.dimse.conftest import MakeArchive
from tests.dimse.raw_peer import CT, CT_CONTEXT, RawPeer, command, item, p_data
from tests.waiting import eventually
from tuipacs.dimse.acceptor.listener import Listener
from tuipacs.dimse.contract import ListenerSettings
from tuipacs.domain.admission import UnknownCallers
from tuipacs.domain.node import AssociationState
from tuipacs.errors import UnavailableError


@pytest.mark.parametrize(
    ("caps", "calling", "words"),
    [
        ({"max_associations": 2}, [b"A", b"B", b"C"], "in all"),
        ({"max_associations_per_ae": 2}, [b"A", b"A", b"A"], "of this AE"),
        ({"max_associations_per_address": 2}, [b"A", b"B", b"C"], "of this address"),
    ],
)
def test_above_a_cap_the_rejection_is_transient_and_ends_with_a_release(
    make_archive: MakeArchive, caps: dict[str, int], calling: list[bytes], words: str
) -> None:
    archive = make_archive(**caps)
    for title in set(calling):
        archive.know(title.decode())
    with ExitStack() as stack:
        peers = [stack.enter_context(RawPeer(archive.port)) for _ in calling]
        for peer, title in zip(peers[:2], calling, strict=False):
            assert peer.associate(calling=title).kind == "accept"
        assert peers[2].associate(calling=calling[2]).detail == (2, 3, 2)
        assert words in archive.record(AssociationState.REJECTED).reason
        assert archive.listener.associations_open == 2
        assert peers[0].release() == 6
        with RawPeer(archive.port) as again:
            assert again.associate(calling=calling[2]).kind == "accept"


def test_strangers_cannot_take_the_nodes_places(make_archive: MakeArchive) -> None:
    archive = make_archive(unknown=UnknownCallers.ECHO, max_associations=8)
    archive.know("MODALITY")
    with ExitStack() as stack:
        peers = [stack.enter_context(RawPeer(archive.port)) for _ in range(4)]
        assert [p.associate(calling=b"S").kind for p in peers[:3]] == ["accept"] * 2 + ["reject"]
        assert peers[3].associate(calling=b"MODALITY").kind == "accept"


def test_half_open_connections_do_not_block_others(archive: Archive) -> None:
    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(RawPeer(archive.port)).send(b"\x01\0\0\0")
        peer = stack.enter_context(RawPeer(archive.port))
        assert peer.associate().kind == "accept"
        assert peer.echo() == 0


def test_connections_that_only_wait_are_capped_for_each_address(make_archive: MakeArchive) -> None:
    archive = make_archive(max_waiting_per_address=3)
    with ExitStack() as stack:
        peers = [stack.enter_context(RawPeer(archive.port)) for _ in range(4)]
        assert peers[3].read() == (0, b"")
        assert "wait to associate" in archive.record(AssociationState.REJECTED).reason
        assert peers[0].associate().kind == "accept"


def test_a_request_that_does_not_come_is_waited_for_only_so_long(
    make_archive: MakeArchive,
) -> None:
    archive = make_archive(acse_timeout=0.2)
    with RawPeer(archive.port) as silent, RawPeer(archive.port) as drip:
        drip.send(b"\x01\0\0\0\1")
        assert silent.read() == (0, b"")
        assert drip.read() == (0, b"")
    reason = archive.record(AssociationState.REJECTED).reason
    assert reason.startswith("sent no whole association request in 0.2 s")


def test_an_idle_association_is_aborted(make_archive: MakeArchive) -> None:
    archive = make_archive(idle_timeout=0.2)
    with RawPeer(archive.port) as peer:
        peer.associate()
        assert peer.read() == (7, b"\0\0\2\0")
    assert archive.record(AssociationState.ABORTED).reason == "sent no request for 0.2 s"
    assert archive.listener.associations_open == 0


def test_a_slow_service_does_not_count_as_an_idle_peer(make_archive: MakeArchive) -> None:
    archive = make_archive(idle_timeout=0.2)
    archive.keeper.may_go_on.clear()
    with RawPeer(archive.port) as peer:
        peer.associate([CT_CONTEXT])
        threading.Timer(0.5, archive.keeper.may_go_on.set).start()
        assert peer.store(b"x") == 0
        assert peer.store(b"y") == 0


def test_a_pdu_that_stops_halfway_is_aborted(make_archive: MakeArchive) -> None:
    archive = make_archive(dimse_timeout=0.2)
    with RawPeer(archive.port) as peer:
        peer.associate([CT_CONTEXT])
        peer.send(b"\x04\0\0\0\1\0half")
        assert peer.read()[0] == 7
    assert "no whole PDU" in archive.record(AssociationState.ABORTED).reason


def test_a_drain_lets_a_running_store_finish_and_answer(archive: Archive) -> None:
    archive.keeper.may_go_on.clear()
    with RawPeer(archive.port) as busy, RawPeer(archive.port) as idle:
        busy.associate([CT_CONTEXT])
        idle.associate()
        busy.request(3, command(1, CT, dataset=True, instance="1.2"), b"x" * 20_000)
        assert archive.keeper.entered.wait(5)
        late: list[int] = []
        drain = threading.Thread(target=lambda: late.append(archive.listener.drain(10)))
        drain.start()
        assert idle.read() == (7, b"\0\0\0\0")
        archive.keeper.may_go_on.set()
        assert busy.status() == 0
        assert busy.read()[0] == 7
        drain.join()
    assert late == [0]
    assert len(archive.keeper.received) == 1
    assert archive.record(AssociationState.ABORTED).reason == "this archive is shutting down"
    with pytest.raises(ConnectionRefusedError):
        RawPeer(archive.port)


def test_a_drain_takes_the_rest_of_an_object_that_is_being_sent(archive: Archive) -> None:
    with RawPeer(archive.port) as peer:
        peer.associate([CT_CONTEXT])
        peer.send(p_data(3, 3, command(1, CT, dataset=True, instance="1.2")))
        for _ in range(256):  # more than the sockets buffer: so it is being received
            peer.send(p_data(3, 0, b"x" * 65536))
        with RawPeer(archive.port) as other:
            other.associate()
            late: list[int] = []
            drain = threading.Thread(target=lambda: late.append(archive.listener.drain(10)))
            drain.start()
            assert other.read()[0] == 7  # so the drain has come round to all
        peer.send(p_data(3, 2, b"y" * 5000))
        assert peer.status() == 0
        assert peer.read()[0] == 7
        drain.join()
    assert late == [0]
    assert archive.keeper.received[0].dataset == b"x" * 256 * 65536 + b"y" * 5000


def test_a_drain_that_takes_too_long_cuts_off_what_is_left(archive: Archive) -> None:
    archive.keeper.may_go_on.clear()
    with RawPeer(archive.port) as peer:
        peer.associate([CT_CONTEXT])
        peer.request(3, command(1, CT, dataset=True, instance="1.2"), b"x")
        assert archive.keeper.entered.wait(5)
        threading.Timer(0.3, archive.keeper.may_go_on.set).start()
        assert archive.listener.drain(0) == 1
        assert peer.read() == (0, b"")  # and no status: nothing was promised


def test_threads_and_sockets_come_back(archive: Archive) -> None:
    for end in ("release", "close", "junk"):
        with RawPeer(archive.port) as peer:
            peer.associate()
            if end == "release":
                assert peer.release() == 6
            elif end == "junk":
                peer.send(b"\xff" * 100)
                assert peer.read()[0] == 7
    eventually(lambda: "dicom-association" not in {t.name for t in threading.enumerate()})
    assert archive.listener.associations_open == 0


def _listener(**settings: object) -> Listener:
    archive: dict[str, object] = {"admit": None, "providers": (), "observer": None}
    return Listener(ListenerSettings(**settings), **archive)  # type: ignore[arg-type]


def test_a_taken_port_is_a_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UnavailableError, match=f"port {port} is in use") as caught:
            _listener(port=port).start()
    assert "dicom.port" in caught.value.remedy


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host", "2001:db8::1"])
def test_a_host_that_is_not_ours_is_a_clear_error(host: str) -> None:
    with pytest.raises(UnavailableError) as caught:
        _listener(host=host, port=0).start()
    assert host in caught.value.message
    assert "dicom.host" in caught.value.remedy


def test_the_record_says_what_the_peer_is(archive: Archive) -> None:
    """Two modalities may share an AE title by mistake; their software tells them apart."""
    with RawPeer(archive.port) as peer:
        peer.associate(user=item(0x55, b"SCANNER_12"))
        assert archive.record(AssociationState.OPEN).implementation == "SCANNER_12"
    with RawPeer(archive.port) as peer:
        peer.associate()
        eventually(lambda: [r for r in archive.records() if r.implementation == "1.2.3"])
