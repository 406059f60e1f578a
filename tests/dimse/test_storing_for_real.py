"""From the wire to the disk: what was sent lies there, and only that was promised."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pydicom.data
import pytest
from pydicom.filereader import read_file_meta_info

from tests.builders import dataset_bytes, make_dataset
from tests.dimse.archive import ADMIN, Archive
from tests.dimse.conftest import MakeArchive
from tests.dimse.raw_peer import CT, CT_CONTEXT, RawPeer, command, p_data
from tests.waiting import eventually
from tuipacs.dimse.syntaxes import is_storage_class
from tuipacs.domain.admission import UnknownCallers
from tuipacs.domain.clock import system_clock
from tuipacs.domain.node import AssociationState
from tuipacs.index.database import Index
from tuipacs.schema.node_messages import NodeRemoveRequest
from tuipacs.services.ingest import Ingest
from tuipacs.services.wakeups import Wakeups
from tuipacs.storage.local import LocalStore
from tuipacs.storage.quarantine import Quarantine

TEST_FILES = sorted((Path(pydicom.data.__file__).parent / "test_files").glob("*.dcm"))
MAX_FILE = 1_000_000  # bytes


def _ingest(index: Index, folder: Path) -> Ingest:
    store = LocalStore(folder / "objects", reserve=0)
    quarantine = Quarantine(folder / "quarantine")
    return Ingest(index, system_clock, store, quarantine, Wakeups())


@pytest.fixture
def real(make_archive: MakeArchive) -> Archive:
    return make_archive(ingest=_ingest)


def stored(archive: Archive) -> dict[str, bytes]:
    """SOP Instance UID to the digest of the dataset, as the index has it."""
    with archive.index.read() as reader:
        rows = reader.all("SELECT sop_instance_uid, dataset_sha256 FROM instance")
    return dict(rows)


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, about its own odd files
def test_success_means_indexed_with_the_digest_of_what_was_sent(
    real: Archive, tmp_path: Path
) -> None:
    promised: dict[str, bytes] = {}
    datasets: list[bytes] = []
    for name in TEST_FILES:
        data = name.read_bytes()
        if len(data) > MAX_FILE or data[128:138] != b"DICM\x02\0\0\0UL":
            continue
        meta = read_file_meta_info(name)
        sop_class = str(meta.get("MediaStorageSOPClassUID", ""))
        uid = str(meta.get("MediaStorageSOPInstanceUID", ""))
        syntax = str(meta.get("TransferSyntaxUID", ""))
        if not syntax or not is_storage_class(sop_class) or uid in promised:
            continue
        dataset = data[144 + int(meta.FileMetaInformationGroupLength) :]
        with RawPeer(real.port) as peer:
            peer.associate([(1, sop_class, [syntax])])
            status = peer.store(dataset, context_id=1, sop_class=sop_class, instance=uid)
            assert status in (0x0000, 0xA900, 0xC000), name
        if status == 0:
            promised[uid] = hashlib.sha256(dataset).digest()
            datasets.append(dataset)
    assert stored(real) == promised
    assert len(promised) > 30
    files = [path.read_bytes() for path in tmp_path.glob("0/objects/**/*") if path.is_file()]
    for dataset in datasets:
        assert any(file.endswith(dataset) for file in files)


def test_statuses_of_what_is_not_kept(real: Archive) -> None:
    dataset = make_dataset()
    data = dataset_bytes(dataset)
    with RawPeer(real.port) as peer:
        peer.associate([CT_CONTEXT])
        assert peer.store(data, instance="1.2.3.4") == 0xA900
        assert peer.store(b"this is no dataset") == 0xC000
        assert peer.store(b"") == 0xC000
        assert peer.store(data, instance=dataset.SOPInstanceUID) == 0x0000
        assert peer.store(data, instance=dataset.SOPInstanceUID) == 0x0000
        peer.release()
    assert list(stored(real)) == [dataset.SOPInstanceUID]
    record = real.records()[0]
    assert (record.stored, record.duplicate, record.refused) == (1, 1, 3)
    assert CT in record.contexts[0].abstract_syntax


def test_a_stranger_stores_nothing_even_on_an_old_association(make_archive: MakeArchive) -> None:
    """The right is asked for each object, not only at association."""
    archive = make_archive(ingest=_ingest, unknown=UnknownCallers.ECHO)
    archive.nodes.on_change = lambda: None  # leave the association open
    key = archive.know("PEER")
    with RawPeer(archive.port) as peer:
        peer.associate([CT_CONTEXT])
        archive.nodes.remove(ADMIN, NodeRemoveRequest(key=key))
        dataset = make_dataset()
        assert peer.store(dataset_bytes(dataset), instance=dataset.SOPInstanceUID) == 0x0124
    assert stored(archive) == {}
    assert "lacks dicom-store" in archive.audited("dicom-store")


def test_who_is_removed_while_the_object_comes_stores_nothing(
    make_archive: MakeArchive, tmp_path: Path
) -> None:
    """Slow objects take hours: what counts is what the node may do when the last byte is there."""
    archive = make_archive(ingest=_ingest, unknown=UnknownCallers.ECHO)
    key = archive.know("PEER")
    dataset = make_dataset(Rows=256, Columns=256)
    dataset.PixelData = bytes(2 * 256 * 256)
    data = dataset_bytes(dataset)
    with RawPeer(archive.port) as peer:
        peer.associate([CT_CONTEXT])
        peer.send(p_data(3, 3, command(1, CT, dataset=True, instance=dataset.SOPInstanceUID)))
        for start in range(0, len(data) - 100, 50_000):
            peer.send(p_data(3, 0, data[: len(data) - 100][start : start + 50_000]))
        eventually(lambda: list(tmp_path.rglob("*.part")))
        archive.nodes.remove(ADMIN, NodeRemoveRequest(key=key))
        peer.send(p_data(3, 2, data[-100:]))
        assert peer.status() == 0x0124
        assert peer.read()[0] == 7  # and the association ends
    assert stored(archive) == {}
    assert "lacks dicom-store" in archive.audited("dicom-store")
    assert not list(tmp_path.rglob("objects/*/*"))


def test_a_peer_that_vanishes_in_the_middle_of_an_object_leaves_nothing(
    real: Archive, tmp_path: Path
) -> None:
    """It lay on the disk while it came; nobody was promised anything."""
    with RawPeer(real.port) as peer:
        peer.associate([CT_CONTEXT])
        peer.send(p_data(3, 3, command(1, CT, dataset=True, instance="1.2.3")))
        for _ in range(16):
            peer.send(p_data(3, 0, bytes(64_000)))
        eventually(lambda: list(tmp_path.rglob("*.part")))
    record = real.record(AssociationState.ABORTED)
    assert "inside an object" in record.reason
    eventually(lambda: not list(tmp_path.rglob("*.part")))
    assert stored(real) == {}
    assert not list(tmp_path.rglob("objects/*/*"))
