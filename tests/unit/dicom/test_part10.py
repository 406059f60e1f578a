"""The dataset of a file is found for certain, or the file is refused in words."""

from __future__ import annotations

import io
import mmap
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.data import get_testdata_file

from tuipacs.dicom.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from tuipacs.dicom.part10 import encode_header, read_part10, split_part10
from tuipacs.domain.uid import is_valid_uid
from tuipacs.errors import InvalidObjectError

from .datasets import BIG, CT, EXPLICIT, IMPLICIT, dataset, element, text


def header(**changes: str) -> bytes:
    fields = {
        "sop_class_uid": CT,
        "sop_instance_uid": "1.2.3.1.1.1",
        "transfer_syntax_uid": EXPLICIT,
        "calling_ae_title": "MODALITY",
        "called_ae_title": "TUIPACS",
    } | changes
    return encode_header(**fields)


def test_a_header_is_what_pydicom_reads() -> None:
    meta = dcmread(io.BytesIO(header() + dataset())).file_meta
    assert meta.MediaStorageSOPClassUID == CT
    assert meta.MediaStorageSOPInstanceUID == "1.2.3.1.1.1"
    assert meta.TransferSyntaxUID == EXPLICIT
    assert meta.FileMetaInformationVersion == b"\0\1"
    assert meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert meta.ImplementationVersionName == IMPLEMENTATION_VERSION_NAME
    assert meta.SourceApplicationEntityTitle == "MODALITY"
    assert meta.SendingApplicationEntityTitle == "MODALITY"
    assert meta.ReceivingApplicationEntityTitle == "TUIPACS"
    assert meta.FileMetaInformationGroupLength == len(header()) - 128 - 4 - 12


def test_the_implementation_names_itself_as_the_standard_allows() -> None:
    assert is_valid_uid(IMPLEMENTATION_CLASS_UID)
    assert len(IMPLEMENTATION_VERSION_NAME) <= 16


@pytest.mark.parametrize("title", ["", "A" * 17, "A\\B", "\x1b[2J", "ÄRZTE", "A\nB"])
def test_an_impossible_ae_title_is_left_out(title: str) -> None:
    head = header(calling_ae_title=title, called_ae_title=title)
    assert split_part10(head + dataset()).source_ae_title == ""
    assert b"\x02\x00\x18\x00" not in head


@pytest.mark.parametrize("uid", ["", "../x", "1" * 129, "1.2\\1.3"])
def test_a_header_with_an_unusable_uid_is_refused(uid: str) -> None:
    with pytest.raises(InvalidObjectError):
        header(sop_instance_uid=uid)


@given(st.from_regex(r"[1-9](\.[1-9][0-9]{0,8}){0,6}", fullmatch=True), st.integers(0, 16))
def test_what_is_written_is_read_again(uid: str, title_length: int) -> None:
    head = header(sop_instance_uid=uid, calling_ae_title="A" * title_length)
    parts = split_part10(head + dataset())
    assert parts.dataset_offset == len(head)
    assert parts.media_storage_sop_instance_uid == uid
    assert parts.source_ae_title == "A" * title_length
    assert parts.remarks == ()


def test_a_file_of_our_own_has_no_remarks() -> None:
    parts = split_part10(header() + dataset())
    assert parts.has_preamble
    assert parts.media_storage_sop_class_uid == CT
    assert parts.transfer_syntax_uid == EXPLICIT
    assert parts.remarks == ()


def test_meta_information_without_preamble_is_found() -> None:
    parts = split_part10(header()[132:] + dataset())
    assert parts.dataset_offset == len(header()) - 132
    assert parts.transfer_syntax_uid == EXPLICIT
    assert parts.remarks == ("the file has no preamble",)


def test_a_prefix_without_preamble_is_found() -> None:
    parts = split_part10(header()[128:] + dataset())
    assert parts.dataset_offset == len(header()) - 128


@pytest.mark.parametrize("claimed", [0, 1, 4, 999_999, 0xFFFFFFFF])
def test_a_wrong_group_length_is_not_believed(claimed: int) -> None:
    head = bytearray(header())
    head[140:144] = struct.pack("<L", claimed)
    parts = split_part10(bytes(head) + dataset())
    assert parts.dataset_offset == len(head)
    assert parts.remarks == ("the group length of the file meta information is wrong",)


def test_a_missing_group_length_is_remarked() -> None:
    head = header()
    head = head[:132] + head[144:]
    parts = split_part10(head + dataset())
    assert parts.dataset_offset == len(head)
    assert parts.remarks == ("the file meta information has no group length",)


def test_implicit_meta_information_is_read() -> None:
    meta = text(0x00020010, "UI", IMPLICIT, syntax=IMPLICIT)
    parts = split_part10(b"\0" * 128 + b"DICM" + meta + dataset(syntax=IMPLICIT))
    assert parts.transfer_syntax_uid == IMPLICIT
    assert "the file meta information is implicit VR" in parts.remarks


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG])
def test_a_dataset_alone_tells_its_encoding(syntax: str) -> None:
    parts = split_part10(dataset(syntax=syntax))
    assert parts.dataset_offset == 0
    assert parts.transfer_syntax_uid == syntax
    assert parts.remarks == ("the file has no preamble", "the file has no meta information")


def test_meta_information_without_syntax_is_completed_by_the_dataset() -> None:
    meta = text(0x00020003, "UI", "1.2.3")
    parts = split_part10(b"\0" * 128 + b"DICM" + meta + dataset(syntax=IMPLICIT))
    assert parts.transfer_syntax_uid == IMPLICIT
    assert "the file meta information names no transfer syntax" in parts.remarks


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 131,
        b"\0" * 128 + b"DICM",
        header(),
        header()[:150],
        b"hello, this is no DICOM at all" * 10,
        b"\x7fELF" + b"\0" * 200,
        b"%PDF-1.7\n" * 20,
        b"PK\x03\x04" + b"\0" * 200,
        b"\x02\x00\x10\x00UN\0\0\xff\xff\xff\xff" + b"1" * 200,
    ],
)
def test_what_is_no_dicom_file_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidObjectError):
        split_part10(data)


def test_endless_meta_information_is_refused() -> None:
    meta = element(0x00020102, "OB", b"", length=(1 << 31))
    with pytest.raises(InvalidObjectError):
        split_part10(b"\0" * 128 + b"DICM" + meta + b"\0" * 64)


@given(st.binary(max_size=300), st.sampled_from([b"", b"\0" * 128 + b"DICM"]))
def test_random_bytes_are_split_or_refused(data: bytes, prefix: bytes) -> None:
    try:
        parts = split_part10(prefix + data)
    except InvalidObjectError:
        return
    assert 0 <= parts.dataset_offset < len(prefix + data)
    assert parts.transfer_syntax_uid


def test_files_and_mappings_are_read_without_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "big.dcm"
    path.write_bytes(header() + dataset())
    with path.open("r+b") as file:
        file.truncate(1 << 31)  # sparse: reading it all would take 2 GiB
        parts = read_part10(file)
        assert file.tell() == parts.dataset_offset
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapping:
            assert split_part10(mapping) == parts
    assert read_part10(path) == parts


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "ExplVR_BigEnd.dcm", "image_dfl.dcm", "rtplan.dcm", "JPEG2000.dcm"]
)
def test_files_of_other_makers_are_split_as_pydicom_does(name: str) -> None:
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str)
    meta = dcmread(path).file_meta
    parts = read_part10(Path(path))
    assert parts.transfer_syntax_uid == meta.TransferSyntaxUID
    assert parts.media_storage_sop_instance_uid == meta.MediaStorageSOPInstanceUID


def test_a_dicomdir_is_told() -> None:
    path = get_testdata_file("DICOMDIR", download=False)
    assert isinstance(path, str)
    assert read_part10(Path(path)).is_directory
