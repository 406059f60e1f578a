"""C-STORE: bytes untouched, and an honest status for whatever becomes of them."""

from __future__ import annotations

from pathlib import Path

import pydicom.data
import pytest
from pydicom.filereader import read_file_meta_info

from tests.builders import dataset_bytes, make_dataset
from tests.dimse.archive import ADMIN, Archive
from tests.dimse.conftest import MakeArchive
from tests.dimse.raw_peer import (
    CT,
    CT_CONTEXT,
    ECHO_CONTEXT,
    EXPLICIT,
    VERIFICATION,
    RawPeer,
    command,
    p_data,
)
from tests.waiting import eventually
from tuipacs.dimse.syntaxes import is_storage_class
from tuipacs.domain.admission import UnknownCallers
from tuipacs.domain.ingest import IngestResult
from tuipacs.domain.node import AssociationState
from tuipacs.errors import (
    ConflictError,
    ForbiddenError,
    InvalidObjectError,
    StorageFailedError,
    StorageFullError,
    TuipacsError,
    UidMismatchError,
    UnavailableError,
)
from tuipacs.schema.node_messages import NodeRemoveRequest

TEST_FILES = sorted((Path(pydicom.data.__file__).parent / "test_files").glob("*.dcm"))
MAX_FILE = 2_000_000  # bytes; the larger test files add time and nothing else


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, about its own odd files
def test_every_transfer_syntax_of_the_test_files_arrives_byte_for_byte(archive: Archive) -> None:
    sent: dict[str, tuple[str, bytes]] = {}
    for name in TEST_FILES:
        data = name.read_bytes()
        if len(data) > MAX_FILE or data[128:138] != b"DICM\x02\0\0\0UL":
            continue
        meta = read_file_meta_info(name)
        syntax = str(meta.get("TransferSyntaxUID", ""))
        sop_class = str(meta.get("MediaStorageSOPClassUID", ""))
        if not syntax or not is_storage_class(sop_class):
            continue
        dataset = data[144 + int(meta.FileMetaInformationGroupLength) :]
        uid = f"1.2.{len(sent)}"
        with RawPeer(archive.port) as peer:
            assert peer.associate([(1, sop_class, [syntax])]).contexts == {1: (0, syntax)}, name
            assert peer.store(dataset, context_id=1, sop_class=sop_class, instance=uid) == 0
            assert peer.release() == 6
        sent[uid] = (syntax, dataset)
    received = {
        item.sop_instance_uid: (item.transfer_syntax_uid, item.dataset)
        for item in archive.keeper.received
    }
    assert received == sent
    assert len({syntax for syntax, _ in sent.values()}) >= 12


@pytest.mark.parametrize(
    ("sop_class", "syntax"),
    [("1.3.12.2.1107.5.9.1", EXPLICIT), (CT, "1.2.840.113619.5.2"), ("9.9.9", "9.9.8")],
)
def test_private_classes_and_syntaxes_are_stored(
    archive: Archive, sop_class: str, syntax: str
) -> None:
    dataset = bytes(range(256)) * 3
    with RawPeer(archive.port) as peer:
        peer.associate([(5, sop_class, [syntax])])
        assert peer.store(dataset, context_id=5, sop_class=sop_class) == 0
    (received,) = archive.keeper.received
    assert (received.dataset, received.transfer_syntax_uid) == (dataset, syntax)
    assert received.sop_class_uid == sop_class
    assert (received.calling_ae_title, received.called_ae_title) == ("PEER", "TUIPACS")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (StorageFullError("the disk is full"), 0xA700),
        (StorageFailedError("an fsync failed"), 0xA700),
        (UnavailableError("busy"), 0xA700),
        (UidMismatchError("other UIDs"), 0xA900),
        (InvalidObjectError("not a dataset"), 0xC000),
        (ForbiddenError("not yours"), 0x0124),
        (ConflictError("in the way"), 0x0110),
        (KeyError("Doe^John"), 0x0110),
    ],
)
def test_an_error_is_a_status_and_the_association_goes_on(
    archive: Archive, error: Exception, status: int
) -> None:
    archive.keeper.result = error
    with RawPeer(archive.port) as peer:
        peer.associate([CT_CONTEXT])
        peer.request(3, command(1, CT, dataset=True, instance="1.2.3"), b"x" * 10)
        answer = peer.answer()
        assert int.from_bytes(answer[0x0900], "little") == status
        assert answer[0x0100] == b"\x01\x80"
        assert answer[0x1000] == b"1.2.3\0"
        comment = answer[0x0902].decode().strip()
        assert comment == (error.message if isinstance(error, TuipacsError) else "internal error")
        archive.keeper.result = IngestResult.STORED
        assert peer.store(b"x" * 10) == 0
        record = eventually(lambda: next((r for r in archive.records() if r.stored), None))
    assert (record.refused, record.stored, record.bytes_received) == (1, 1, 20)


def test_a_comment_never_exceeds_64_characters_of_ascii(archive: Archive) -> None:
    archive.keeper.result = InvalidObjectError("\x1b[2J é \\ " + "long " * 40)
    with RawPeer(archive.port) as peer:
        peer.associate([CT_CONTEXT])
        peer.request(3, command(1, CT, dataset=True, instance="1.2.3"), b"x" * 10)
        comment = peer.answer()[0x0902]
    assert len(comment) <= 64
    assert comment.startswith(b"?[2J ? ? long")
    assert comment.rstrip().endswith(b"...")


@pytest.mark.parametrize(
    ("result", "stored", "duplicate"),
    [
        (IngestResult.STORED, 1, 0),
        (IngestResult.DUPLICATE, 0, 1),
        (IngestResult.CONFLICT, 1, 0),
    ],
)
def test_kept_objects_are_success_and_counted(
    archive: Archive, result: IngestResult, stored: int, duplicate: int
) -> None:
    archive.keeper.result = result
    with RawPeer(archive.port) as peer:
        peer.associate([CT_CONTEXT])
        assert peer.store(b"x" * 10) == 0
        assert peer.release() == 6
    record = archive.record(AssociationState.RELEASED)
    assert (record.stored, record.duplicate, record.refused) == (stored, duplicate, 0)
    assert record.last_status == "0x0000 Success"
    assert record.reason == ""


@pytest.mark.parametrize(
    ("context_id", "data", "dataset", "status"),
    [
        (
            3,
            command(0x0001, "1.2.840.10008.5.1.4.1.1.4", dataset=True, instance="1.2"),
            b"x",
            0x0122,
        ),
        (3, command(0x0001, "", dataset=True, instance="1.2"), b"x", 0x0122),
        (1, command(0x0001, CT, dataset=True, instance="1.2"), b"x", 0x0122),
        (1, command(0x0001, VERIFICATION, dataset=True, instance="1.2"), b"x", 0x0122),
        (3, command(0x0030, CT, dataset=False), None, 0x0122),
        (3, command(0x0001, CT, dataset=True), b"x", 0x0117),  # PS3.7 9.1.1.1.9
        (3, command(0x0001, CT, dataset=False, instance="1.2"), None, 0xC000),
        (3, command(0x0020, CT, dataset=True), b"x", 0x0122),
        (3, command(0x0021, CT, dataset=True), b"x", 0x0211),
        (3, command(0x0140, CT, dataset=False), None, 0x0211),
        (3, command(0x7777, CT, dataset=False), None, 0x0211),
    ],
)
def test_a_request_that_does_not_fit_is_answered(
    archive: Archive, context_id: int, data: bytes, dataset: bytes | None, status: int
) -> None:
    with RawPeer(archive.port) as peer:
        peer.associate([ECHO_CONTEXT, CT_CONTEXT])
        peer.request(context_id, data, dataset)
        assert peer.status() == status
        assert peer.echo() == 0
    assert archive.keeper.received == []


def test_an_object_over_the_limit_is_refused_and_the_next_one_stored(
    make_archive: MakeArchive,
) -> None:
    archive = make_archive(max_object_bytes=10_000)
    with RawPeer(archive.port) as peer:
        peer.associate([CT_CONTEXT])
        assert peer.store(b"x" * 50_000) == 0xA700
        assert peer.store(b"x" * 10_000) == 0
    assert [len(item.dataset) for item in archive.keeper.received] == [10_000]


def test_fragments_of_any_size_make_the_same_object(archive: Archive) -> None:
    """A command and a dataset byte by byte, and several values in one PDU."""
    data = command(1, CT, dataset=True, instance="1.2")
    with RawPeer(archive.port) as peer:
        peer.associate([CT_CONTEXT])
        for number, byte in enumerate(data, start=1):
            peer.send(p_data(3, 3 if number == len(data) else 1, bytes((byte,))))
        values = [p_data(3, 2 if i == 9 else 0, bytes((i,)) * (i + 1))[6:] for i in range(10)]
        body = b"".join(values) + b""
        peer.send(b"\x04\0" + len(body).to_bytes(4, "big") + body)
        assert peer.status() == 0
    assert archive.keeper.received[0].dataset == b"".join(bytes((i,)) * (i + 1) for i in range(10))


def test_an_object_larger_than_all_buffers_arrives_whole(archive: Archive) -> None:
    dataset = dataset_bytes(make_dataset()) + bytes(range(256)) * 20_000
    with RawPeer(archive.port) as peer:
        peer.associate([CT_CONTEXT])
        assert peer.store(dataset) == 0
    assert archive.keeper.received[0].dataset == dataset


def test_a_removed_node_is_a_stranger_in_the_middle_of_its_association(
    make_archive: MakeArchive,
) -> None:
    """Its association ends, after the answer to what it was sending."""

    archive = make_archive(unknown=UnknownCallers.ECHO)
    key = archive.know("PEER")
    with RawPeer(archive.port) as peer:
        peer.associate([CT_CONTEXT])
        assert peer.store(b"x") == 0
        archive.nodes.remove(ADMIN, NodeRemoveRequest(key=key))
        assert peer.read()[0] == 7
    assert archive.record(AssociationState.ABORTED).reason == "the node was removed or changed"
