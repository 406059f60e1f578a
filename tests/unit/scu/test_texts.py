"""Texts on their way out are said exactly or not at all."""

from __future__ import annotations

import io

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import dcmread, read_dataset

from tests.builders import dataset_bytes, make_dataset, part10_bytes
from tuipacs.dimse.contract import AcceptedContext
from tuipacs.dimse.faults import SourceFailedError
from tuipacs.dimse.syntaxes import STUDY_ROOT_FIND
from tuipacs.errors import UsageError
from tuipacs.scu.c_find import encode_identifier
from tuipacs.scu.sources import dataset_source, opened
from tuipacs.scu.texts import can_be_said, is_said

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
NAMES = [
    (None, "M*", None),
    (None, "Müller*", "ISO_IR 192"),
    (None, "山田*", "ISO_IR 192"),
    ("ISO_IR 6", "Müller*", "ISO_IR 192"),
    ("ISO_IR 100", "Müller*", "ISO_IR 100"),
    ("ISO_IR 100", "Łukasz*", "ISO_IR 192"),
    ("ISO_IR 192", "Łukasz*", "ISO_IR 192"),
    (["", "ISO 2022 IR 87"], "Yamada=山田*", ["", "ISO 2022 IR 87"]),
    (["", "ISO 2022 IR 87"], "Müller*", "ISO_IR 192"),
    (["ISO 2022 IR 13", "ISO 2022 IR 87"], "Łukasz*", "ISO_IR 192"),
    ("GB18030", "Wang=王^小东", "GB18030"),
]


def question(charset: str | list[str] | None, name: str) -> Dataset:
    step = Dataset()
    step.ScheduledPerformingPhysicianName = name
    asked = Dataset()
    if charset is not None:
        asked.SpecificCharacterSet = charset
    asked.QueryRetrieveLevel = "STUDY"
    asked.PatientName = name
    asked.ScheduledProcedureStepSequence = [step]
    return asked


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
@pytest.mark.parametrize(("charset", "name", "sent_in"), NAMES)
def test_a_question_is_asked_as_it_is_in_a_set_that_can_say_it(
    charset: str | list[str] | None, name: str, sent_in: str | list[str] | None, syntax: str
) -> None:
    """pydicom alone writes a question mark, which asks for any character."""
    asked = question(charset, name)
    data = encode_identifier(asked, AcceptedContext(1, STUDY_ROOT_FIND, syntax))
    sent = read_dataset(io.BytesIO(data), syntax == IMPLICIT, True)
    named = sent.get("SpecificCharacterSet")
    assert (named if named is None or isinstance(named, str) else list(named)) == sent_in
    assert str(sent.PatientName) == name
    (step,) = sent.ScheduledProcedureStepSequence
    assert str(step.ScheduledPerformingPhysicianName) == name
    assert asked == question(charset, name)


def test_what_an_item_names_for_itself_counts_there() -> None:
    asked = question("ISO_IR 100", "Müller")
    asked.ScheduledProcedureStepSequence[0].SpecificCharacterSet = "ISO_IR 144"
    data = encode_identifier(asked, AcceptedContext(1, STUDY_ROOT_FIND, EXPLICIT))
    assert data.count("Müller".encode()) == 2
    assert b"ISO_IR 192" in data
    assert b"ISO_IR 144" not in data


@pytest.mark.parametrize(("keyword", "text"), [("PatientName", "\ud800"), ("PatientID", "\udcff")])
def test_a_question_that_nothing_can_say_is_not_asked(keyword: str, text: str) -> None:
    asked = Dataset()
    setattr(asked, keyword, text)
    with pytest.raises(UsageError):
        encode_identifier(asked, AcceptedContext(1, STUDY_ROOT_FIND, EXPLICIT))


def whole() -> Dataset:
    dataset = make_dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = EXPLICIT
    return dataset


@pytest.mark.parametrize(
    ("charset", "name"),
    [(None, "Müller"), ("ISO_IR 100", "Łukasz"), (["", "ISO 2022 IR 87"], "Müller=山田")],
)
def test_an_object_whose_name_cannot_be_said_is_not_sent(
    charset: str | list[str] | None, name: str
) -> None:
    dataset = whole()
    dataset.pop("SpecificCharacterSet", None)
    if charset is not None:
        dataset.SpecificCharacterSet = charset
    for change in ("PatientName", "item"):
        if change == "PatientName":
            dataset.PatientName = name
        else:
            dataset.PatientName = "PLAIN"
            item = Dataset()
            item.OtherPatientIDs = item.PatientName = name
            dataset.OtherPatientIDsSequence = [item]
        with pytest.raises(SourceFailedError, match="character set cannot say"):
            opened(dataset_source(dataset))


@pytest.mark.parametrize("charset", ["ISO_IR 100", "ISO_IR 192"])
def test_an_object_that_can_be_said_is_sent_as_it_is(charset: str) -> None:
    dataset = whole()
    dataset.SpecificCharacterSet = charset
    dataset.PatientName = "Müller^Änne"
    file, source = opened(dataset_source(dataset))
    with file:
        assert source.left == len(dataset_bytes(dataset))
        assert file.read() == dataset_bytes(dataset)


def test_to_look_at_a_dataset_changes_nothing_in_it() -> None:
    """pydicom encodes anew what was decoded: bytes that nobody changed could be others then."""
    dataset = make_dataset()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.PatientName = "Müller"
    item = Dataset()
    item.PatientName = "Änne"
    dataset.OtherPatientIDsSequence = [item]
    data = part10_bytes(dataset)
    read, written = dcmread(io.BytesIO(data)), dcmread(io.BytesIO(data))
    assert can_be_said(read)
    assert is_said(read, written)
    assert read.get_item("PatientName").is_raw
    file, _ = opened(dataset_source(read))
    with file:
        assert data.endswith(file.read())
