"""Orthanc retrieves from here, to itself; who takes nothing compressed gets the same pixels."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pydicom import dcmread

from tests.dimse.retrieving import Source, received, storescp
from tests.interop.orthanc import running_orthanc
from tests.interop.samples import ANY, as_one_study
from tests.interop.tap import Tap
from tests.ports import unused_port
from tests.unit.pixels.images import render_frame
from tuipacs.domain.admission import UnknownCallers
from tuipacs.domain.permissions import NodeService

pytestmark = [pytest.mark.orthanc, pytest.mark.dcmtk]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Source]:
    archive = Source(tmp_path_factory.mktemp("archive"), unknown=UnknownCallers.ECHO)
    archive.know("ASKING", NodeService.MOVE, NodeService.GET)
    yield archive
    archive.close()


def test_orthanc_finds_a_study_of_many_syntaxes_and_has_it_moved_to_itself(
    archive: Source, tmp_path: Path
) -> None:
    study, files = as_one_study(tmp_path, list(ANY.values()))
    kept = dict(archive.keep_file(path) for path in files.values())
    port = unused_port()
    settings = {"DicomPort": port, "DicomAlwaysAllowStore": True}
    with running_orthanc(tmp_path, settings) as orthanc, closing(Tap(port)) as tap:
        archive.destination("ORTHANC", tap.port, may=(NodeService.QUERY, NodeService.MOVE))
        orthanc.know("archive", "TUIPACS", archive.port)
        query = {"Level": "Study", "Query": {"StudyInstanceUID": study}}
        asked = orthanc.ask("POST", "/modalities/archive/query", query)
        job = {"TargetAet": "ORTHANC", "Synchronous": True}
        orthanc.ask("POST", f"/queries/{asked['ID']}/retrieve", job)
        assert tap.stored() == kept
        assert orthanc.ask("GET", "/statistics")["CountInstances"] == len(kept)
    details = [r.detail for r in archive.audit_of("retrieve.move", "110104", [study])]
    assert details == [f"C-MOVE to ORTHANC: {len(kept)} of {len(kept)} objects sent, complete"]


COMPRESSED = ("MR_small_jp2klossless.dcm", "MR_small_RLE.dcm", "MR_small_jpeg_ls_lossless.dcm")


def check_pixels(files: dict[str, Path], folder: Path) -> None:
    """All came, uncompressed, with the pixels that they had."""
    came = received(folder)
    assert set(came) == set(files)
    for path in folder.iterdir():
        found = dcmread(path)
        assert found.file_meta.TransferSyntaxUID.name == "Explicit VR Little Endian"
        assert render_frame(path).pixels == render_frame(files[found.SOPInstanceUID]).pixels


def test_who_takes_nothing_compressed_gets_the_same_pixels(archive: Source, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    study, files = as_one_study(tmp_path / "files", list(COMPRESSED))
    for path in files.values():
        archive.keep_file(path)
    keys = ("-k", "0008,0052=STUDY", "-k", f"0020,000d={study}")
    to = ("-aet", "ASKING", "-aec", "TUIPACS", "127.0.0.1", str(archive.port))
    with storescp(tmp_path / "moved") as receiver:
        archive.destination("PLAIN", receiver.port)
        subprocess.run(["movescu", "-S", "-aem", "PLAIN", *keys, *to], check=True, timeout=60)
        check_pixels(files, receiver.folder)
    got = tmp_path / "got"
    got.mkdir()
    subprocess.run(["getscu", "-S", "+B", "-od", str(got), *keys, *to], check=True, timeout=60)
    check_pixels(files, got)
