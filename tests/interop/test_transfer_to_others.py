"""What the archive holds arrives at peers that take nothing compressed, with the same pixels."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread

from tests.bundled import bundled_files
from tests.interop.orthanc import running_orthanc
from tests.ports import unused_port
from tests.unit.pixels.images import render_frame
from tests.unit.services.parts import Parts
from tuipacs.dicom.transcoding.process import Transcoder, Transcoders
from tuipacs.errors import UnavailableError
from tuipacs.scu.c_echo import echo
from tuipacs.scu.c_store import StoreOutcome, store_objects
from tuipacs.scu.requestor import Peer
from tuipacs.services.transfer import Transfer

NAMES = (
    "CT_small.dcm",
    "JPEG-lossy.dcm",
    "JPEG2000.dcm",
    "SC_rgb_jls_lossy_line.dcm",
    "MR_small_RLE.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_jp2klossless.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "SC_rgb_rle_2frame.dcm",
    "examples_jpeg2k.dcm",
    "image_dfl.dcm",
)
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
BIG = "1.2.840.10008.1.2.2"


class Archive:
    """Stored objects, and a way to send them all."""

    def __init__(self, folder: Path) -> None:
        self.parts = Parts(folder)
        self._pool = Transcoders([Transcoder()])
        self.transfer = Transfer(self.parts.index, self.parts.store, self._pool, folder=folder)
        self.files: dict[str, Path] = {}  # by SOP Instance UID
        for name in NAMES:
            path = next(path for path in bundled_files(name) if path.parent.name != "dicomdirtests")
            uid = str(dcmread(path).SOPInstanceUID)
            if uid not in self.files:  # several are one object in other syntaxes
                self.files[uid] = path
                self.parts.bring(path.read_bytes())

    def send(self, peer: Peer) -> list[StoreOutcome]:
        keys = [row[0] for row in self.parts.rows("SELECT id FROM instance ORDER BY id")]
        plan = self.transfer.plan(keys)
        return list(store_objects(peer, self.transfer.objects(keys), plan.contexts))

    def close(self) -> None:
        self.transfer.close()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    one = Archive(tmp_path_factory.mktemp("archive"))
    yield one
    one.close()


@contextlib.contextmanager
def storescp(folder: Path, *options: str) -> Iterator[Peer]:
    port = unused_port()
    process = subprocess.Popen(
        ["storescp", *options, "-od", str(folder), str(port)],
        env=os.environ | {"TCP_NODELAY": "1"},
    )
    peer = Peer("127.0.0.1", port, "STORESCP", "TUIPACS")
    try:
        _wait_for(peer)
        yield peer
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(peer: Peer) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            echo(peer)
            return
        except UnavailableError:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def picture(path: Path) -> NDArray[Any]:
    """The first frame as it is shown."""
    frame = render_frame(path)
    return np.frombuffer(frame.pixels, np.uint8)


def compare(archive: Archive, arrived: dict[str, Path], syntaxes: set[str]) -> None:
    missing = [archive.files[uid] for uid in archive.files.keys() - arrived.keys()]
    assert [path.name for path in missing if "StudyInstanceUID" in dcmread(path)] == []
    for uid, path in arrived.items():
        dataset, original = dcmread(path), dcmread(archive.files[uid])
        assert str(dataset.file_meta.TransferSyntaxUID) in syntaxes
        assert dataset.get("PatientName") == original.get("PatientName")
        np.testing.assert_array_equal(picture(path), picture(archive.files[uid]))


@pytest.mark.dcmtk
@pytest.mark.parametrize(
    ("options", "syntaxes"),
    [(("+xi",), {IMPLICIT}), (("+x=",), {EXPLICIT, IMPLICIT, BIG})],
)
def test_dcmtk_gets_all_it_can_take(
    archive: Archive, tmp_path: Path, options: tuple[str, ...], syntaxes: set[str]
) -> None:
    with storescp(tmp_path, *options) as peer:
        outcomes = archive.send(peer)
    assert [outcome.comment for outcome in outcomes] == [""] * len(archive.files)
    assert all(outcome.stored for outcome in outcomes)
    assert sum(outcome.transcoded for outcome in outcomes) >= len(outcomes) - 3
    arrived = {str(dcmread(path).SOPInstanceUID): path for path in tmp_path.iterdir()}
    compare(archive, arrived, syntaxes)


@pytest.mark.dcmtk
def test_dcmtk_that_takes_everything_gets_the_bytes(archive: Archive, tmp_path: Path) -> None:
    with storescp(tmp_path, "+xa", "+B") as peer:
        outcomes = archive.send(peer)
    assert all(outcome.stored for outcome in outcomes)
    assert {outcome.transfer_syntax_uid for outcome in outcomes if outcome.transcoded} == set()


@pytest.mark.orthanc
def test_orthanc_that_takes_nothing_compressed_gets_the_pictures(
    archive: Archive, tmp_path: Path
) -> None:
    port = unused_port()
    settings = {"DicomPort": port, "AcceptedTransferSyntaxes": [IMPLICIT, EXPLICIT]}
    with running_orthanc(tmp_path, settings) as orthanc:
        outcomes = archive.send(Peer("127.0.0.1", port, "ORTHANC", "TUIPACS"))
        assert [outcome.comment for outcome in outcomes] == [""] * len(archive.files)
        arrived = {}
        for name in orthanc.ask("GET", "/instances"):
            data = orthanc.fetch(f"/instances/{name}/file")
            path = tmp_path / name
            path.write_bytes(data)
            arrived[str(dcmread(path).SOPInstanceUID)] = path
    compare(archive, arrived, {IMPLICIT, EXPLICIT})
