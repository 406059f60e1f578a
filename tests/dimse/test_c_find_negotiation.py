"""Extended negotiation as bytes (PS3.7 D.3.3.5): hostile ones, and those that are nobody's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.dimse.archive import Archive
from tests.dimse.raw_peer import (
    EXPLICIT,
    IMPLICIT,
    VERIFICATION,
    RawPeer,
    associate_rq,
    command,
    item,
    us,
)
from tests.unit.find_rows import entry, identifier, put
from tuipacs.dimse.syntaxes import PATIENT_ROOT_FIND, STUDY_ROOT_FIND
from tuipacs.domain.permissions import NodeService

CONTEXTS = [(1, STUDY_ROOT_FIND, [EXPLICIT]), (3, VERIFICATION, [IMPLICIT])]
SERIES = identifier("SERIES", SeriesInstanceUID="")


def extended(uid: str, information: bytes) -> bytes:
    """A sub-item of an A-ASSOCIATE-RQ."""
    return item(0x56, len(uid).to_bytes(2, "big") + uid.encode() + information)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    archive = Archive(tmp_path_factory.mktemp("negotiation"))
    archive.know("PEER", NodeService.ECHO, NodeService.QUERY)
    put(archive.index, [entry(patient_id="P0")])
    yield archive
    archive.close()


def greeting(archive: Archive, user: bytes) -> bytes:
    """What comes back for these user items: the whole PDU."""
    with RawPeer(archive.port) as peer:
        peer.send(associate_rq(CONTEXTS, user=user))
        kind, body = peer.read()
        return bytes((kind,)) + body


@pytest.mark.parametrize(
    "data",
    [b"", b"\0", b"\0\0", b"\0\0\1", b"\xff\xff1.2", b"\0\x1e" + STUDY_ROOT_FIND[:-1].encode()],
)
def test_an_item_of_impossible_length_ends_the_association(archive: Archive, data: bytes) -> None:
    assert greeting(archive, item(0x56, data))[0] == 7


@pytest.mark.parametrize("uid", [VERIFICATION, PATIENT_ROOT_FIND, "1.2.3"])
def test_what_is_not_offered_or_has_no_such_negotiation_gets_no_answer(
    archive: Archive, uid: str
) -> None:
    answer = greeting(archive, extended(uid, b"\1"))
    assert answer[0] == 2
    assert b"\x56\0" not in answer


@pytest.mark.parametrize(
    ("information", "status"), [(b"", 0xA900), (b"\0\1", 0xA900), (b"\2", 0xA900), (b"\1", 0)]
)
def test_only_the_bit_for_it_opens_relational_queries(
    archive: Archive, information: bytes, status: int
) -> None:
    with RawPeer(archive.port) as peer:
        peer.send(associate_rq(CONTEXTS, user=extended(STUDY_ROOT_FIND, information)))
        peer.read()
        peer.request(1, command(0x0020, STUDY_ROOT_FIND, dataset=True), SERIES)
        elements = peer.answer()
        while elements[0x0800] != us(0x0101):
            peer.read()
            elements = peer.answer()
        assert elements[0x0900] == us(status)


def test_each_sop_class_has_what_it_negotiated_itself(archive: Archive) -> None:
    """Relational queries of one model open nothing in another."""
    contexts = [(1, STUDY_ROOT_FIND, [EXPLICIT]), (3, PATIENT_ROOT_FIND, [EXPLICIT])]
    with RawPeer(archive.port) as peer:
        peer.send(associate_rq(contexts, user=extended(STUDY_ROOT_FIND, b"\1")))
        peer.read()
        peer.request(3, command(0x0020, PATIENT_ROOT_FIND, dataset=True), SERIES)
        assert peer.answer()[0x0900] == us(0xA900)
