"""Bytes out are bytes in: every bundled test file of pydicom, in every transfer syntax it has.

The raw sender puts a file's dataset on the wire as it stands, so the source file itself is the
oracle. DCMTK's storescu re-encodes what it reads (group lengths, padding, lengths of sequences), so
there the oracle is what DCMTK's own storescp keeps, bit for bit, of the very same sending.
"""

from __future__ import annotations

import socket
import subprocess
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest

from tests.dimse.raw_peer import RawPeer, command
from tests.e2e import hostile
from tests.e2e.daemon_fixture import PATIENCE, ArchiveFactory
from tests.e2e.proof import check_whole, dataset_of, export_all, run, sha256
from tests.ports import unused_port

TEST_FILES = Path(pydicom.__file__).parent / "data" / "test_files"
MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"

_PROPOSE = {  # storescu's option for a transfer syntax; it can send no other ones
    "1.2.840.10008.1.2": "-xi",
    "1.2.840.10008.1.2.1": "-xe",
    "1.2.840.10008.1.2.2": "-xb",
    "1.2.840.10008.1.2.1.99": "-xd",
    "1.2.840.10008.1.2.4.50": "-xy",
    "1.2.840.10008.1.2.4.51": "-xx",
    "1.2.840.10008.1.2.4.70": "-xs",
    "1.2.840.10008.1.2.4.80": "-xt",
    "1.2.840.10008.1.2.4.81": "-xu",
    "1.2.840.10008.1.2.4.90": "-xv",
    "1.2.840.10008.1.2.4.91": "-xw",
    "1.2.840.10008.1.2.5": "-xr",
}


@dataclass(frozen=True)
class Sendable:
    """A file with all that C-STORE needs to be said about it."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    dataset: bytes


def part10_files() -> Iterator[Path]:
    for path in sorted(TEST_FILES.rglob("*")):
        if path.is_file() and path.read_bytes()[128:132] == b"DICM":
            yield path


def sendable_files() -> list[Sendable]:
    """Those whose dataset names its SOP class and instance, and whose file names the syntax."""
    found = []
    for path in part10_files():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = pydicom.dcmread(path, force=True, stop_before_pixels=True)
        syntax = header.file_meta.get("TransferSyntaxUID", "")
        sop_class, instance = header.get("SOPClassUID", ""), header.get("SOPInstanceUID", "")
        if syntax and sop_class and instance:
            data = dataset_of(path.read_bytes())
            found.append(Sendable(path, str(sop_class), str(instance), str(syntax), data))
    return found


def send_raw(port: int, file: Sendable) -> int:
    """C-STORE of the bytes as they stand; the status."""
    with RawPeer(port) as peer:
        reply = peer.associate([(1, file.sop_class_uid, [file.transfer_syntax_uid])])
        assert reply.contexts == {1: (0, file.transfer_syntax_uid)}, file.path
        request = command(0x0001, file.sop_class_uid, dataset=True, instance=file.sop_instance_uid)
        peer.request(1, request, file.dataset)
        status = peer.status()
        peer.release()
        return status


def test_every_sendable_file_comes_back_byte_for_byte(
    running_archive: ArchiveFactory, tmp_path: Path
) -> None:
    """Also broken, truncated and private ones, without a study, and several with one UID."""
    archive = running_archive()
    files = sendable_files()
    statuses = {file.path.name: send_raw(archive.port, file) for file in files}
    assert statuses == dict.fromkeys(statuses, 0)
    assert len({file.transfer_syntax_uid for file in files}) >= 12
    kept = check_whole(archive, tmp_path / "out")
    sent = {(f.sop_instance_uid, sha256(f.dataset)) for f in files}
    assert len(sent) > 140
    assert Counter((s.sop_instance_uid, s.dataset_sha256) for s in kept) == Counter(sent)


@contextmanager
def storescp(folder: Path) -> Iterator[int]:
    """DCMTK's receiver, which writes what it hears bit for bit; its port."""
    port = unused_port()
    folder.mkdir()
    receiver = subprocess.Popen(
        ["storescp", "-q", "+B", "+xa", "-pm", "+uf", "-od", str(folder), str(port)]
    )
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert time.monotonic() < deadline, "storescp does not listen"
            time.sleep(0.02)
        yield port
    finally:
        receiver.terminate()
        receiver.wait(PATIENCE)


def storescu(port: int, option: str, paths: Sequence[Path]) -> int:
    """Send with DCMTK; how many were answered with Success."""
    done = subprocess.run(
        ["storescu", "-v", "-nh", "-R", "-aec", "TUIPACS", option, "127.0.0.1", str(port), *paths],
        capture_output=True,
        text=True,
        check=True,
    )
    return (done.stdout + done.stderr).count("Received Store Response (Success)")


@pytest.mark.dcmtk
@pytest.mark.parametrize("most", [6, pytest.param(1000, marks=pytest.mark.long)])
def test_what_dcmtk_sends_is_what_is_exported(
    running_archive: ArchiveFactory, tmp_path: Path, most: int
) -> None:
    """storescu in each file's own transfer syntax, ``most`` files of one: storescp takes long."""
    archive = running_archive()
    by_option: dict[str, list[Path]] = defaultdict(list)
    for file in sendable_files():
        if file.transfer_syntax_uid in _PROPOSE:
            by_option[_PROPOSE[file.transfer_syntax_uid]].append(file.path)
    with storescp(tmp_path / "heard") as port:
        for option, paths in by_option.items():
            told = storescu(archive.port, option, paths[:most])
            assert told == storescu(port, option, paths[:most])
    heard = {sha256(dataset_of(p.read_bytes())) for p in (tmp_path / "heard").iterdir()}
    kept = export_all(archive, tmp_path / "out")
    assert len(heard) > (130 if most > 100 else 40)
    assert Counter(stored.dataset_sha256 for stored in kept) == Counter(heard)


@pytest.mark.dcmtk
def test_an_object_with_a_uid_that_is_too_long_arrives_from_dcmtk(
    running_archive: ArchiveFactory, tmp_path: Path
) -> None:
    """storescu cuts the UID in the command to 64 characters and leaves it whole in the dataset."""
    archive = running_archive()
    long_uid = "1.2.826.0.1." + "7" * 55
    data = hostile.make({0x00080018: ("UI", hostile.uid(long_uid))})
    (tmp_path / "long.dcm").write_bytes(hostile.part10(data))
    assert storescu(archive.port, "-xe", [tmp_path / "long.dcm"]) == 1
    (stored,) = check_whole(archive, tmp_path / "out")
    assert (stored.sop_instance_uid, stored.dataset_sha256) == (long_uid, sha256(data))


def test_objects_of_one_series_with_different_modalities_are_counted_right(
    running_archive: ArchiveFactory, tmp_path: Path
) -> None:
    """Found with real data: an object's modality need not be its series'."""
    archive = running_archive()
    same = {0x0020000D: ("UI", hostile.uid("1.2.3")), 0x0020000E: ("UI", hostile.uid("1.2.3.4"))}
    for modality in (b"CT", b"SR", b"OT"):
        data = hostile.make({**same, 0x00080060: ("CS", modality)})
        uid = hostile.instance_of(data, hostile.EXPLICIT)
        file = Sendable(tmp_path, hostile.CT, uid, hostile.EXPLICIT, data)
        assert send_raw(archive.port, file) == 0
    assert len(check_whole(archive, tmp_path / "out")) == 3
    uses = run(archive, "status", "--json").json["modalities"]
    assert [(use["modality"], use["instances"]) for use in uses] == [("CT", 3)]


def test_imported_files_come_back_whole(running_archive: ArchiveFactory, tmp_path: Path) -> None:
    """Preamble and meta information too; what is refused is no DICOM, or has no identity."""
    archive = running_archive()
    told = run(archive, "import", str(TEST_FILES), "--json").json
    kept = check_whole(archive, tmp_path / "out")
    assert told["stored"] == len(kept)
    there = {stored.path.read_bytes() for stored in kept}
    datasets = {sha256(dataset_of(whole)) for whole in there}
    refused = {row["path"] for row in told["refused"]}
    offered = [path.read_bytes() for path in part10_files() if str(path) not in refused]
    objects = [w for w in offered if MEDIA_DIRECTORY.encode() not in w[:512]]
    assert {sha256(dataset_of(whole)) for whole in objects} <= datasets
    # The few others have no meta information to speak of, or are copies of a stored dataset.
    assert len(there & set(objects)) >= len(there) - 8
    reasons = {Path(row["path"]).name: row["reason"] for row in told["refused"]}
    assert reasons["README.txt"] == "this is not a DICOM file"
    assert reasons["UN_sequence.dcm"] == "the dataset has no SOP Class UID"
    again = run(archive, "import", str(TEST_FILES), "--json").json
    assert again["stored"] == 0
    assert again["duplicate"] == told["stored"] + told["duplicate"]
    assert again["refused"] == told["refused"]
