"""Messages packed into PDUs in ways that senders rarely choose."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dimse.archive import Archive
from tests.dimse.raw_peer import IMPLICIT, RawPeer, command, p_data, pdu
from tuipacs.dimse.contract import Answer, AssociationInfo, Exchange, IsCancelled, Request
from tuipacs.domain.permissions import NodeService

FIND = "1.2.840.10008.5.1.4.1.2.2.1"


class Recorder:
    """A service that keeps the datasets, and looks for a cancel when it is told to."""

    command_field = 0x0020
    right = NodeService.ECHO

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.entered = threading.Event()
        self.may_look = threading.Event()

    def serves(self, abstract_syntax: str) -> bool:
        return abstract_syntax == FIND

    def takes(self, transfer_syntax: str) -> bool:
        return True

    def begin(self, association: AssociationInfo, request: Request) -> Exchange:
        return _Recording(self)


class _Recording:
    def __init__(self, service: Recorder) -> None:
        self._service = service
        self._dataset = bytearray()

    def write(self, fragment: memoryview) -> None:
        self._dataset += fragment

    def finish(self, is_cancelled: IsCancelled) -> Answer:
        self._service.received.append(bytes(self._dataset))
        self._service.entered.set()
        assert self._service.may_look.wait(10)
        assert not is_cancelled()
        return Answer(0x0000, "Success")

    def discard(self) -> None:
        self._dataset.clear()


@pytest.fixture
def service() -> Recorder:
    return Recorder()


@pytest.fixture
def archive(tmp_path: Path, service: Recorder) -> Iterator[Archive]:
    archive = Archive(tmp_path, more=[service])
    yield archive
    service.may_look.set()
    archive.close()


def values(dataset: bytes) -> bytes:
    """The data values of a whole request."""
    head = p_data(1, 3, command(0x0020, FIND, dataset=True))
    return head[6:] + p_data(1, 2, dataset)[6:]


def test_a_second_message_in_a_pdu_is_whole_though_more_has_come_meanwhile(
    archive: Archive, service: Recorder
) -> None:
    """Looking for a cancel reads on; it must not read over what still waits to be taken."""
    first, second, third = b"first!" * 100, b"second" * 1000, b"third!" * 2000
    with RawPeer(archive.port) as peer:
        assert peer.associate([(1, FIND, [IMPLICIT])]).kind == "accept"
        peer.send(pdu(4, values(first) + values(second)))
        assert service.entered.wait(10)
        peer.send(pdu(4, values(third)))
        service.may_look.set()
        assert [peer.status() for _ in range(3)] == [0, 0, 0]
    assert service.received == [first, second, third]
