"""DCMTK's own clients against our listener."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pydicom.data
import pytest
from pydicom.filereader import read_file_meta_info
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from tests.builders import make_study, part10_bytes
from tests.dimse.archive import Archive
from tests.dimse.conftest import MakeArchive
from tuipacs.domain.admission import UnknownCallers
from tuipacs.domain.node import AssociationState

pytestmark = pytest.mark.dcmtk
TEST_FILES = Path(pydicom.data.__file__).parent / "test_files"


def run(program: str, archive: Archive, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    called = ("-aec", "TUIPACS", "-aet", "DCMTK", "127.0.0.1", str(archive.port))
    options = [str(a) for a in arguments if str(a).startswith(("-", "+"))]
    files = [str(a) for a in arguments if str(a) not in options]
    return subprocess.run(
        [program, *options, *called, *files],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_echoscu_is_answered(archive: Archive) -> None:
    assert run("echoscu", archive).returncode == 0
    assert archive.record(AssociationState.RELEASED).last_status == "0x0000 Success"


def test_a_stranger_is_told_that_its_title_is_not_recognized(make_archive: MakeArchive) -> None:
    archive = make_archive(unknown=UnknownCallers.ECHO)
    assert run("echoscu", archive).returncode == 0
    result = run("storescu", archive, TEST_FILES / "CT_small.dcm")
    assert result.returncode != 0
    assert "Calling AE Title Not Recognized" in result.stderr


@pytest.mark.parametrize(
    ("option", "name"),
    [
        ("-xe", "CT_small.dcm"),
        ("-xb", "MR_small_bigendian.dcm"),
        ("-xi", "MR_small_implicit.dcm"),
        ("-xy", "SC_rgb_jpeg_dcmtk.dcm"),
        ("-xs", "SC_rgb_jpeg_gdcm.dcm"),
        ("-xx", "JPGExtended.dcm"),
        ("-xv", "MR_small_jp2klossless.dcm"),
        ("-xw", "JPEG2000.dcm"),
        ("-xt", "MR_small_jpeg_ls_lossless.dcm"),
        ("-xu", "JPEGLSNearLossless_08.dcm"),
        ("-xr", "MR_small_RLE.dcm"),
        ("-xd", "image_dfl.dcm"),
    ],
)
def test_storescu_proposing_what_it_holds_is_taken_as_it_is(
    archive: Archive, option: str, name: str
) -> None:
    path = TEST_FILES / name
    result = run("storescu", archive, option, path)
    assert result.returncode == 0, result.stderr
    (received,) = archive.keeper.received
    meta = read_file_meta_info(path)
    assert received.transfer_syntax_uid == meta.TransferSyntaxUID
    assert received.sop_instance_uid == meta.MediaStorageSOPInstanceUID
    assert archive.record(AssociationState.RELEASED).stored == 1


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]
)
def test_a_study_in_one_association(archive: Archive, tmp_path: Path, syntax: str) -> None:
    paths = []
    for number, dataset in enumerate(make_study(2, 10)):
        paths.append(tmp_path / f"{number}.dcm")
        paths[-1].write_bytes(part10_bytes(dataset, syntax))
    result = run("storescu", archive, *paths)
    assert result.returncode == 0, result.stderr
    record = archive.record(AssociationState.RELEASED)
    assert (record.stored, record.refused) == (20, 0)
    assert len({item.sop_instance_uid for item in archive.keeper.received}) == 20
