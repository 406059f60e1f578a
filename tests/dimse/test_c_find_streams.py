"""C-FIND as byte streams: 20,000 answers, cancels, peers that vanish, hostile identifiers."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
)

from tests.dimse.archive import Archive
from tests.dimse.raw_peer import RawPeer, command, element, p_data, pdu, us
from tests.unit.find_rows import EXPLICIT, answer, entry, identifier, put
from tests.waiting import eventually
from tuipacs.dimse.syntaxes import STUDY_ROOT_FIND
from tuipacs.domain.permissions import NodeService
from tuipacs.errors import StorageFailedError
from tuipacs.scp.c_find import _Find
from tuipacs.services.query import Ending, Match

COUNT = 20_000
LONG = "X" * 1000
CONTEXTS = [(1, STUDY_ROOT_FIND, [EXPLICIT]), (3, "1.2.840.10008.1.1", [EXPLICIT])]
FIND = command(0x0020, STUDY_ROOT_FIND, dataset=True)
ALL = identifier(PatientName="", PatientID="", StudyInstanceUID="")

_CANCEL = element(0x0100, us(0x0FFF)) + element(0x0120, us(7)) + element(0x0800, us(0x0101))
CANCEL = p_data(1, 3, element(0, len(_CANCEL).to_bytes(4, "little")) + _CANCEL)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    archive = Archive(tmp_path_factory.mktemp("find"), dimse_timeout=1.0)
    archive.know("PEER", NodeService.ECHO, NodeService.QUERY)
    put(archive.index, [entry(patient_id="P0", patient_name="FIRST^ONE", admission_id=LONG)])
    with archive.index.write() as tx:  # as ingest would, and a hundred times faster
        tx.execute(
            "WITH RECURSIVE n (x) AS (SELECT 2 UNION ALL SELECT x + 1 FROM n WHERE x < ?)"
            " INSERT INTO study SELECT x, patient, '1.2.' || x, 'LATER^' || x, patient_birth_date,"
            " patient_sex, study_date, study_time, accession_number, study_id, study_description,"
            " referring_physician_name, name_of_physicians_reading_study, patient_age,"
            " patient_size, patient_weight, admission_id, 'later ' || x, sort_id, sort_date,"
            " first_received_at, received_at, calling_ae_title, modalities, sop_classes, series,"
            " instances, bytes, flags, other_patient_ids, patient_comments"
            " FROM study, n WHERE id = 1",
            (COUNT,),
        )
    yield archive
    archive.close()


@pytest.fixture
def peer(archive: Archive) -> Iterator[RawPeer]:
    with RawPeer(archive.port) as peer:
        assert peer.associate(CONTEXTS).contexts[1][0] == 0
        yield peer


def audited(archive: Archive, ending: Ending) -> int:
    return len(archive.audited(f", {ending.value}"))


def asked(archive: Archive) -> int:
    """Audit records of queries."""
    return len(archive.audited("query.find"))


def status_of(peer: RawPeer) -> int:
    """The final status; Pending answers before it are read and dropped."""
    while True:
        elements = peer.answer()
        status = int.from_bytes(elements[0x0900], "little")
        if elements[0x0800] == us(0x0101):
            return status
        while not peer.read()[1][5] & 2:
            pass


def test_pynetdicom_reads_the_answers(archive: Archive) -> None:
    """As an independent client."""
    ae = AE(ae_title="PEER")
    ae.add_requested_context(StudyRootQueryRetrieveInformationModelFind, EXPLICIT)
    wanted = Dataset()
    wanted.QueryRetrieveLevel, wanted.StudyInstanceUID, wanted.PatientName = "STUDY", "", "later^1?"
    association = ae.associate("127.0.0.1", archive.port, ae_title="TUIPACS")
    answers = association.send_c_find(wanted, StudyRootQueryRetrieveInformationModelFind)
    *pending, (final, nothing) = answers
    association.release()
    assert [found.StudyInstanceUID for _, found in pending] == [
        f"1.2.{n}" for n in range(19, 9, -1)
    ]
    assert {status.Status for status, _ in pending} == {0xFF00}
    assert (final.Status, nothing) == (0x0000, None)


def test_a_cancel_in_the_middle_is_obeyed(archive: Archive, peer: RawPeer) -> None:
    before = audited(archive, Ending.STOPPED)
    peer.request(1, FIND, identifier(AdmissionID=""))  # more than all buffers hold
    for _ in range(50):
        assert peer.answer()[0x0900] == us(0xFF00)
        peer.read()
    peer.send(CANCEL)
    assert status_of(peer) == 0xFE00
    assert audited(archive, Ending.STOPPED) == before + 1
    (detail,) = (d for d in archive.audited(Ending.STOPPED.value) if "AdmissionID" in d)
    assert 50 < int(detail.split("; ")[1].split()[0]) < COUNT
    assert peer.echo(3) == 0


def test_all_of_them_without_a_cancel(archive: Archive, peer: RawPeer) -> None:
    before = audited(archive, Ending.COMPLETE)
    peer.request(1, FIND, ALL)
    data = bytearray()
    while not data.endswith(b"\x00\x00\x00\x09\x02\x00\x00\x00\x00\x00"):
        data += peer.socket.recv(1 << 20)
    assert data.count(b"LATER^") == COUNT - 1
    assert data.count(b"FIRST^ONE ") == 1
    assert audited(archive, Ending.COMPLETE) == before + 1
    assert archive.audited(f"{COUNT} answers, complete")


def test_a_peer_that_stops_reading_holds_no_transaction(archive: Archive) -> None:
    """While it does, writers and checkpoints go on; it is aborted when its time is over."""
    before = audited(archive, Ending.LOST)
    with RawPeer(archive.port) as peer:
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.associate(CONTEXTS)
        peer.request(1, FIND, identifier(AdmissionID=""))  # more than all buffers hold
        peer.answer()
        with archive.index.write() as tx:
            tx.execute("UPDATE total SET bytes = bytes + 1")
        busy = archive.index.database.connection().wal_checkpoint(mode=3)
        assert busy[0] == busy[1], "a reader keeps the log from being emptied"
        assert eventually(lambda: audited(archive, Ending.LOST) == before + 1)


def test_a_connection_that_is_lost_is_recorded_so(archive: Archive) -> None:
    before = asked(archive)
    with RawPeer(archive.port) as peer:
        peer.associate(CONTEXTS)
        peer.request(1, FIND, ALL)
        peer.answer()
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert eventually(lambda: asked(archive) == before + 1)
    assert audited(archive, Ending.LOST) + audited(archive, Ending.STOPPED) >= 1


def test_a_query_that_the_peer_aborts_was_not_stopped_by_it(archive: Archive) -> None:
    """PS3.8 AA-3: there is nobody to be told of a cancel, and the log says so."""
    lost, stopped = audited(archive, Ending.LOST), audited(archive, Ending.STOPPED)
    with RawPeer(archive.port) as peer:
        peer.associate(CONTEXTS)
        peer.request(1, FIND, identifier(AdmissionID=""))  # more than all buffers hold
        peer.answer()
        peer.send(pdu(7, bytes(4)))
        with contextlib.suppress(ConnectionResetError):
            while peer.socket.recv(1 << 20):
                pass
    assert eventually(lambda: audited(archive, Ending.LOST) == lost + 1)
    assert audited(archive, Ending.STOPPED) == stopped


def test_a_cancel_before_the_first_answer(archive: Archive, peer: RawPeer) -> None:
    peer.send(p_data(1, 3, FIND) + p_data(1, 2, ALL) + CANCEL)
    assert status_of(peer) == 0xFE00
    assert peer.echo(3) == 0


def key(tag: int, vr: bytes, value: bytes, length: int = -1) -> bytes:
    """One element in explicit VR with a 16-bit length."""
    size = len(value) if length < 0 else length
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, size) + value


NONE = identifier(PatientID="none")
ENDLESS = b"\x40\x00\x75\x02SQ\0\0\xff\xff\xff\xff"
ITEM = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
HOSTILE = {
    "no identifier at all": (None, 0xA900),
    "an empty one": (b"", 0xC000),
    "no level": (identifier(level="", PatientName=""), 0xA900),
    "a wrong level": (identifier(level="EVERYTHING"), 0xA900),
    "cut off inside a key": (NONE[:-3], 0xC000),
    "cut off inside a header": (NONE + b"\x40\x00\x75\x02", 0xC000),
    "a length beyond its end": (NONE + key(0x00400008, b"LO", b"A", 0x7FFF), 0xC000),
    "an undefined length without end": (NONE + ENDLESS, 0xC000),
    "sequences 500 deep": (NONE + ENDLESS + (ITEM + ENDLESS) * 500, 0xC000),
    "a key twice": (NONE + key(0x00100020, b"LO", b"P0"), 0xC000),
    "an asterisk 10,000 times": (NONE + key(0x00100010, b"PN", b"*" * 10_000), 0x0000),
    "a key of 64 KiB": (NONE + key(0x00100010, b"PN", b"A" * 0xFFFE), 0xC000),
    "a lone hyphen": (NONE + key(0x00080020, b"DA", b"- "), 0xC000),
    "NUL and signs of SQL": (NONE + key(0x00080050, b"SH", b"P\x000%'\"*;--"), 0x0000),
    "bytes that its character set has not": (
        identifier(SpecificCharacterSet="ISO_IR 192") + key(0x00100010, b"PN", b"\xff\xfe"),
        0xC000,
    ),
    "a number of the wrong length": (NONE + key(0x00280010, b"US", b"\1\0\0\0"), 0xC000),
    "501 keys": (NONE + b"".join(key(0x00090000 + n, b"UN", b"") for n in range(500)), 0xC000),
    "a deflated one": (bytes.fromhex("4b4c4a4e494d4b07") * 9, 0xC000),
    "more than 1 MiB": (NONE + key(0x00090010, b"LO", b"A" * 0xFFFE) * 17, 0xA700),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_identifier_gets_a_status_and_the_association_goes_on(
    archive: Archive, peer: RawPeer, what: str
) -> None:
    data, expected = HOSTILE[what]
    if data is None:
        peer.request(1, command(0x0020, STUDY_ROOT_FIND, dataset=False))
    else:
        peer.request(1, FIND, data)
    assert status_of(peer) == expected
    assert peer.echo(3) == 0


def test_the_first_answers_bytes_are_a_dataset_in_order(peer: RawPeer) -> None:
    peer.request(1, FIND, identifier(PatientName="first*", PatientID=""))
    assert peer.answer()[0x0900] == us(0xFF00)
    found = answer(peer.read()[1][6:])
    assert (found.PatientName, found.PatientID) == ("FIRST^ONE", "P0")
    final = peer.answer()
    assert (final[0x0900], final[0x0800]) == (us(0), us(0x0101))


class Breaking:
    """Answers of which the second cannot be read; the record can be written, or cannot either."""

    unsupported = cancelled = limited = False

    def __init__(self, *, writes: bool) -> None:
        self.writes = writes
        self.endings: list[Ending] = []

    def answers(self, is_cancelled: object) -> Iterator[Match]:
        yield Match(b"", is_whole=True)
        raise StorageFailedError("the index cannot be read")

    def end(self, ending: Ending) -> None:
        self.endings.append(ending)
        if not self.writes:
            raise StorageFailedError("the index cannot be written")


@pytest.mark.parametrize("writes", [True, False])
def test_an_index_that_breaks_in_the_middle_is_no_success(writes: bool) -> None:
    found = Breaking(writes=writes)
    answers = list(_Find._answers(found, lambda: False))  # type: ignore[arg-type]
    assert [one.status for one in answers] == [0xFF00, 0xA700]
    assert found.endings == [Ending.FAILED]
