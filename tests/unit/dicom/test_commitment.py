"""The lists of storage commitment: what we write is what we read, and hostile bytes are refused."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from tuipacs.dicom.commitment import (
    CommitmentDataset,
    TooManyReferencesError,
    encode_commitment,
    read_commitment,
)
from tuipacs.domain.commitment import Failed, Reference
from tuipacs.errors import InvalidObjectError

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
CT = "1.2.840.10008.5.1.4.1.1.2"
uids = st.integers(0, 10**50).map("2.25.{}".format)
references = st.lists(st.builds(Reference, uids, uids), max_size=5)
failures = st.lists(st.builds(Failed, uids, uids, st.integers(0, 0xFFFF)), max_size=5)


def _with_pydicom(
    syntax: str, uid: str, referenced: list[Reference], failed: list[Failed]
) -> bytes:
    """The same list by another writer, with sequences and items of undefined length."""
    dataset = Dataset()
    dataset.TransactionUID = uid
    dataset.ReferencedSOPSequence = [_item(*one) for one in referenced]
    dataset.FailedSOPSequence = [_item(*one) for one in failed]
    for name in ("ReferencedSOPSequence", "FailedSOPSequence"):
        dataset[name].is_undefined_length = True
    file = DicomBytesIO()
    file.is_little_endian, file.is_implicit_VR = syntax != BIG, syntax == IMPLICIT
    write_dataset(file, dataset)
    return file.getvalue()


def _item(sop_class: str, sop_instance: str, reason: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, sop_instance
    if reason is not None:
        item.FailureReason = reason
    item.is_undefined_length_sequence_item = True
    return item


@settings(max_examples=40)
@given(uid=uids, referenced=references, failed=failures, implicit=st.booleans())
def test_what_is_written_is_what_is_read(
    uid: str, referenced: list[Reference], failed: list[Failed], implicit: bool
) -> None:
    data = encode_commitment(uid, referenced, failed, implicit=implicit)
    read = read_commitment(data, IMPLICIT if implicit else EXPLICIT)
    assert read == CommitmentDataset(uid, referenced, failed)


@settings(max_examples=40)
@given(
    uid=uids,
    referenced=references,
    failed=failures,
    syntax=st.sampled_from([IMPLICIT, EXPLICIT, BIG]),
)
def test_lists_of_another_writer_are_read(
    uid: str, referenced: list[Reference], failed: list[Failed], syntax: str
) -> None:
    data = _with_pydicom(syntax, uid, referenced, failed)
    assert read_commitment(data, syntax) == CommitmentDataset(uid, referenced, failed)


@pytest.mark.parametrize("implicit", [False, True])
def test_another_reader_reads_what_is_written(implicit: bool) -> None:
    data = encode_commitment("1.2.3", [(CT, "1.2.4")], [(CT, "1.2.5", 0x0112)], implicit=implicit)
    dataset = read_dataset(io.BytesIO(data), implicit, is_little_endian=True)
    assert dataset.TransactionUID == "1.2.3"
    assert dataset.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "1.2.4"
    assert dataset.FailedSOPSequence[0].FailureReason == 0x0112
    assert [int(element.tag) for element in dataset] == sorted(int(e.tag) for e in dataset)


@given(data=st.binary(max_size=200), syntax=st.sampled_from([IMPLICIT, EXPLICIT, BIG]))
def test_random_bytes_are_refused_or_read(data: bytes, syntax: str) -> None:
    try:
        read_commitment(data, syntax)
    except InvalidObjectError as error:
        assert error.message


@given(st.data())
def test_half_a_list_is_no_list(data: st.DataObject) -> None:
    """Whatever is cut off the end: never a shorter list that looks whole."""
    whole = encode_commitment("1.2.3", [(CT, "1.2.4"), (CT, "1.2.5")], implicit=False)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    try:
        read = read_commitment(cut, EXPLICIT)
    except InvalidObjectError:
        return
    assert read == CommitmentDataset("1.2.3")  # cut between two elements: nothing is named


def test_a_reference_in_a_deeper_sequence_names_nothing() -> None:
    inner = encode_commitment("1.2.9", [(CT, "1.2.6")], implicit=True)
    item = b"\xfe\xff\x00\xe0" + len(inner).to_bytes(4, "little") + inner
    nested = b"\x08\x00\x40\x11" + len(item).to_bytes(4, "little") + item  # (0008,1140)
    data = nested + encode_commitment("1.2.3", [(CT, "1.2.4")], implicit=True)
    assert read_commitment(data, IMPLICIT).referenced == [Reference(CT, "1.2.4")]


@pytest.mark.parametrize("bad", ["", "../../etc/passwd", "1.2 3", "1.2\\1.3", "\x1b[2J", "1" * 129])
def test_what_is_no_uid_refuses_the_whole_list(bad: str) -> None:
    for pair in ((CT, bad), (bad, "1.2.3")):
        data = encode_commitment("1.2.3", [(CT, "1.2.4"), pair], implicit=True)
        with pytest.raises(InvalidObjectError):
            read_commitment(data, IMPLICIT)


def test_an_element_twice_is_no_clear_list() -> None:
    data = encode_commitment("1.2.3", [(CT, "1.2.4")], implicit=True)
    with pytest.raises(InvalidObjectError, match="twice"):
        read_commitment(data + data, IMPLICIT)


def test_a_failure_without_its_reason_has_none() -> None:
    data = encode_commitment("1.2.3", [(CT, "1.2.4")], implicit=True)
    failed = data.replace(b"\x08\x00\x99\x11", b"\x08\x00\x98\x11")
    assert read_commitment(failed, IMPLICIT).failed == [Failed(CT, "1.2.4", 0)]


def test_a_list_has_an_end() -> None:
    data = encode_commitment("1.2.3", [(CT, "1.2")] * 11, implicit=True)
    assert len(read_commitment(data, IMPLICIT, most=11).referenced) == 11
    with pytest.raises(TooManyReferencesError):
        read_commitment(data, IMPLICIT, most=10)
    empty_items = b"\x08\x00\x40\x11\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\0\0\0\0" * 200
    with pytest.raises(TooManyReferencesError):
        read_commitment(empty_items, IMPLICIT, most=10)
