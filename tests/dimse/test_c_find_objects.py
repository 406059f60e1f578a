"""C-FIND for what only the stored objects know, across models; pynetdicom stores and asks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import CTImageStorage
from pynetdicom import AE
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation

from tests.builders import make_dataset
from tests.dimse.archive import Archive
from tests.dimse.raw_peer import BIG, EXPLICIT, IMPLICIT
from tuipacs.dimse.syntaxes import PATIENT_ROOT_FIND, PATIENT_STUDY_ONLY_FIND, STUDY_ROOT_FIND
from tuipacs.domain.clock import system_clock
from tuipacs.domain.permissions import NodeService
from tuipacs.index.database import Index
from tuipacs.services.ingest import Ingest
from tuipacs.services.wakeups import Wakeups
from tuipacs.storage.local import LocalStore
from tuipacs.storage.quarantine import Quarantine

MODELS = (PATIENT_ROOT_FIND, STUDY_ROOT_FIND, PATIENT_STUDY_ONLY_FIND)
UIDS = {"StudyInstanceUID": "1.1", "SeriesInstanceUID": "1.1.1"}


def request_item(procedure: str, step: str, **more: object) -> Dataset:
    item = Dataset()
    item.RequestedProcedureID, item.ScheduledProcedureStepID = procedure, step
    for keyword, value in more.items():
        setattr(item, keyword, value)
    return item


def code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "99T", meaning
    return item


def objects() -> Iterator[tuple[Dataset, str]]:
    """Two images of one series in two encodings, then a series with two requests, and one more."""
    common = {"PatientID": "P1", "PatientName": "Müller^Änne", "StudyInstanceUID": "1.1"}
    for number, (syntax, charset) in enumerate(((EXPLICIT, "ISO_IR 100"), (BIG, "ISO_IR 192")), 1):
        image = make_dataset(
            **common,
            SeriesInstanceUID="1.1.1",
            SOPInstanceUID=f"1.1.1.{number}",
            InstanceNumber=number,
            SpecificCharacterSet=charset,
            ImageComments=f"größe 50% {number}",
            SliceThickness=["1.0", "2.50"][number - 1],
            PixelSpacing=[0.5, 0.25],
            AcquisitionDateTime=["20240131120000-0500", "20240131120000+0100"][number - 1],
            ContrastBolusAgent=None if number == 1 else "IODINE",
            ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
            ProcedureCodeSequence=Items([code("C1", "Schädel"), code("C2", "Hals")]),
            RequestAttributesSequence=Items([request_item("RP1", "S1")]),
            RedPaletteColorLookupTableData=b"\1\2",
        )
        image.add_new(0x00091010, "LO", "PRIVATE")
        image.add_new(0x00181310, "US", [0, 512, 512, 0])
        image.add_new(0x00089459, "FL", 1.5)
        yield image, syntax
    both = [
        request_item("RP7", "S7", RequestedProcedureDescription="KNEE"),
        request_item("RP8", "S8", RequestedProcedureDescription="HIP", AccessionNumber="A8"),
    ]
    yield (
        make_dataset(
            **common,
            SeriesInstanceUID="1.1.2",
            SOPInstanceUID="1.1.2.1",
            RequestAttributesSequence=Items(both),
        ),
        IMPLICIT,
    )
    yield make_dataset(**common, SeriesInstanceUID="1.1.3", SOPInstanceUID="1.1.3.1"), EXPLICIT
    other = common | {"StudyInstanceUID": "1.2", "PatientID": "P2", "PatientName": "DOE"}
    yield make_dataset(**other, SeriesInstanceUID="1.2.1", SOPInstanceUID="1.2.1.1"), EXPLICIT


def _ingest(index: Index, folder: Path) -> Ingest:
    store = LocalStore(folder / "objects", reserve=0)
    return Ingest(index, system_clock, store, Quarantine(folder / "quarantine"), Wakeups())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("objects")


@pytest.fixture(scope="module")
def archive(folder: Path) -> Iterator[Archive]:
    archive = Archive(folder, ingest=_ingest)
    archive.know("ASKER", NodeService.ECHO, NodeService.QUERY, NodeService.STORE)
    for dataset, syntax in objects():
        store(archive, dataset, syntax)
    yield archive
    archive.close()


def store(archive: Archive, dataset: Dataset, syntax: str = EXPLICIT) -> None:
    ae = AE(ae_title="ASKER")
    ae.add_requested_context(CTImageStorage, syntax)
    association = ae.associate("127.0.0.1", archive.port, ae_title="TUIPACS")
    dataset.file_meta = _meta(dataset, syntax)
    assert association.send_c_store(dataset).Status == 0
    association.release()


def _meta(dataset: Dataset, syntax: str) -> Any:
    from pydicom.dataset import FileMetaDataset

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = syntax
    return meta


class Asked:
    """The statuses of one query, its answers, and the final one."""

    def __init__(
        self,
        archive: Archive,
        model: str,
        wanted: Dataset,
        *,
        syntax: str = EXPLICIT,
        extended: bytes = b"",
        title: str = "ASKER",
    ) -> None:
        ae = AE(ae_title=title)
        ae.add_requested_context(model, syntax)
        negotiation: list[Any] = []
        if extended:
            one = SOPClassExtendedNegotiation()
            one.sop_class_uid, one.service_class_application_information = model, extended
            negotiation.append(one)
        association = ae.associate(
            "127.0.0.1", archive.port, ae_title="TUIPACS", ext_neg=negotiation
        )
        self.agreed = association.acceptor.sop_class_extended
        found = list(association.send_c_find(wanted, model))
        association.release()
        *pending, (self.final, _) = found
        self.statuses = {status.Status for status, _ in pending}
        self.answers = [answer for _, answer in pending if answer is not None]

    @property
    def status(self) -> int:
        return int(self.final.Status)

    def values(self, keyword: str) -> list[str]:
        return [str(getattr(answer, keyword)) for answer in self.answers]


def identifier(level: str, **keys: object) -> Dataset:
    wanted = Dataset()
    wanted.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(wanted, keyword, value)
    return wanted


def images(archive: Archive, syntax: str = EXPLICIT, **keys: object) -> Asked:
    """Of the first series."""
    wanted = identifier("IMAGE", **UIDS | {"SOPInstanceUID": ""} | keys)
    return Asked(archive, STUDY_ROOT_FIND, wanted, syntax=syntax)


def series(archive: Archive, *items: Dataset, **keys: object) -> Asked:
    """Of the first study; with items of Request Attributes Sequence."""
    keys = {"StudyInstanceUID": "1.1", "SeriesInstanceUID": "", **keys}
    wanted = identifier("SERIES", **keys, RequestAttributesSequence=Items(items))
    return Asked(archive, STUDY_ROOT_FIND, wanted)


# --- what the index does not hold


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG])
def test_any_stored_attribute_is_returned_at_image_level(archive: Archive, syntax: str) -> None:
    """In the answer's own encoding and character set, whatever those of the objects are."""
    asked = images(
        archive,
        syntax,
        SpecificCharacterSet="ISO_IR 100",
        ImageComments="",
        SliceThickness="",
        PixelSpacing="",
        TagAngleFirstAxis=None,
        ContrastBolusAgent="",
        AcquisitionMatrix=None,
        RecommendedDisplayFrameRateInFloat=None,
        ProcedureCodeSequence=[],
        PatientAddress="",
    )
    assert (asked.statuses, asked.status) == ({0xFF00}, 0)
    assert asked.values("ImageComments") == ["größe 50% 1", "größe 50% 2"]
    assert asked.values("SpecificCharacterSet") == ["ISO_IR 100"] * 2
    assert asked.values("SliceThickness") == ["1.0", "2.50"]
    assert asked.values("ContrastBolusAgent") == ["", "IODINE"]
    for answer in asked.answers:
        assert answer.PixelSpacing == [0.5, 0.25]
        assert answer.AcquisitionMatrix == [0, 512, 512, 0]
        assert answer.RecommendedDisplayFrameRateInFloat == 1.5
        assert [item.CodeMeaning for item in answer.ProcedureCodeSequence] == ["Schädel", "Hals"]
        assert answer.PatientAddress == ""
        assert "TagAngleFirstAxis" in answer
        assert list(answer.keys()) == sorted(answer.keys())


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"ImageComments": "größe 50% 2"}, "2"),
        ({"ImageComments": "größe 50%*"}, "12"),
        ({"ImageComments": "größe*1"}, "1"),
        ({"ImageComments": "GRÖSSE*"}, ""),
        ({"SliceThickness": "2.5"}, "2"),
        ({"SliceThickness": "01"}, "1"),
        ({"PixelSpacing": "0.25"}, "12"),
        ({"ContrastBolusAgent": "*"}, "12"),
        ({"ContrastBolusAgent": "I*"}, "2"),
        ({"AcquisitionDateTime": "20240131120000-0500"}, "1"),
        ({"AcquisitionDateTime": "2024013117+0000"}, "1"),
        ({"AcquisitionDateTime": "20240131+0000-20240131+0000"}, "12"),
        ({"AcquisitionDateTime": "-20240131113000+0000"}, "2"),
        ({"AcquisitionDateTime": "20240131113000+0000-"}, "1"),
        ({"RecommendedDisplayFrameRateInFloat": 1.5}, "12"),
        ({"RecommendedDisplayFrameRateInFloat": 2.5}, ""),
        ({"PatientAddress": "X*"}, ""),
        ({"ProcedureCodeSequence": [code("C2", "H*")]}, "12"),
        ({"ProcedureCodeSequence": [code("C1", "Hals")]}, ""),
    ],
)
def test_what_objects_know_is_matched_by_the_same_rules(
    archive: Archive, keys: dict[str, Any], expected: str
) -> None:
    asked = images(archive, SpecificCharacterSet="ISO_IR 192", **keys)
    assert (asked.statuses <= {0xFF00}, asked.status) == (True, 0)
    assert asked.values("SOPInstanceUID") == [f"1.1.1.{number}" for number in expected]


def test_private_and_bulk_values_are_passed_over_and_flagged(archive: Archive) -> None:
    for tag, vr, value in (
        (0x00091010, "LO", "PRIVATE"),
        (0x7FE00010, "OW", b""),
        (0x00281201, "OW", b""),
        (0x00190010, "UN", b""),
    ):
        wanted = identifier("IMAGE", **UIDS, SOPInstanceUID="")
        wanted.add_new(tag, vr, value)
        asked = Asked(archive, STUDY_ROOT_FIND, wanted)
        assert (asked.statuses, len(asked.answers)) == ({0xFF01}, 2)
        assert all(tag not in answer for answer in asked.answers)


def test_an_object_that_cannot_be_read_has_empty_values_and_the_query_goes_on(
    archive: Archive, folder: Path
) -> None:
    dataset = make_dataset(
        StudyInstanceUID="5.1", SeriesInstanceUID="5.2", ImageComments="X", PatientID="P5"
    )
    before = set(folder.glob("objects/*/*"))
    store(archive, dataset)
    (path,) = set(folder.glob("objects/*/*")) - before
    keys = {"StudyInstanceUID": "5.1", "SeriesInstanceUID": "5.2"}
    whole = images(archive, ImageComments="", **keys)
    assert (whole.statuses, whole.values("ImageComments")) == ({0xFF00}, ["X"])
    saved = path.with_suffix(".saved")
    shutil.copy(path, saved)
    for spoil in (
        path.unlink,
        lambda: path.write_bytes(b"\xff" * 700),
        lambda: path.write_bytes(b""),
    ):
        spoil()
        asked = images(archive, ImageComments="", **keys)
        assert (asked.statuses, asked.status) == ({0xFF01}, 0)
        assert asked.values("ImageComments") == [""]
        assert images(archive, ImageComments="X", **keys).answers == []
        shutil.copy(saved, path)


# --- sequences


def test_a_series_is_found_by_any_item_of_its_requests(archive: Archive) -> None:
    for procedure, expected in {"RP1": "1", "RP7": "2", "RP8": "2", "RP?": "12", "": "123"}.items():
        found = series(archive, request_item(procedure, ""))
        assert (found.statuses, found.status) == ({0xFF00}, 0)
        assert found.values("SeriesInstanceUID") == [f"1.1.{n}" for n in expected]


def test_one_item_has_to_match_all_keys(archive: Archive) -> None:
    """The procedure of one request with the step of the other is no request of the series."""
    assert len(series(archive, request_item("RP7", "S7")).answers) == 1
    assert series(archive, request_item("RP7", "S8")).answers == []
    described = request_item("", "", RequestedProcedureDescription="HIP", AccessionNumber="A8")
    assert series(archive, described).values("SeriesInstanceUID") == ["1.1.2"]
    described.RequestedProcedureID = "RP7"
    assert series(archive, described).answers == []


def test_a_sequence_is_answered_with_the_keys_that_were_asked_in_each_item(
    archive: Archive,
) -> None:
    (found,) = series(archive, request_item("RP8", "")).answers
    assert [dict(_texts(item)) for item in found.RequestAttributesSequence] == [
        {"RequestedProcedureID": "RP7", "ScheduledProcedureStepID": "S7"},
        {"RequestedProcedureID": "RP8", "ScheduledProcedureStepID": "S8"},
    ]


@pytest.mark.parametrize("items", [[], [Dataset()]])
def test_an_empty_sequence_asks_for_all_of_it(archive: Archive, items: Sequence[Dataset]) -> None:
    first, second, third = series(archive, *items).answers
    assert [dict(_texts(item)) for item in second.RequestAttributesSequence] == [
        {
            "RequestedProcedureID": "RP7",
            "ScheduledProcedureStepID": "S7",
            "RequestedProcedureDescription": "KNEE",
        },
        {
            "AccessionNumber": "A8",
            "RequestedProcedureID": "RP8",
            "ScheduledProcedureStepID": "S8",
            "RequestedProcedureDescription": "HIP",
        },
    ]
    assert len(first.RequestAttributesSequence) == 1
    assert len(third.RequestAttributesSequence) == 0


def _texts(item: Dataset) -> list[tuple[str, str]]:
    return [(element.keyword, str(element.value)) for element in item]


def test_a_request_that_a_later_object_brought_is_found(archive: Archive) -> None:
    uids = {"StudyInstanceUID": "6.1", "SeriesInstanceUID": "6.2", "PatientID": "P6"}
    store(archive, make_dataset(**uids))
    late = make_dataset(**uids, RequestAttributesSequence=Items([request_item("RP6", "S6")]))
    store(archive, late)
    found = series(archive, request_item("RP6", ""), StudyInstanceUID="6.1")
    (item,) = found.answers[0].RequestAttributesSequence
    assert (item.RequestedProcedureID, item.ScheduledProcedureStepID) == ("RP6", "S6")
    assert series(archive, request_item("RP9", ""), StudyInstanceUID="6.1").answers == []


def test_more_than_one_item_is_no_question(archive: Archive) -> None:
    asked = series(archive, request_item("RP7", ""), request_item("RP8", ""))
    assert (asked.status, asked.answers) == (0xC000, [])
    assert asked.final.OffendingElement == 0x00400275


# --- models, and queries across levels


@pytest.mark.parametrize("model", [PATIENT_ROOT_FIND, PATIENT_STUDY_ONLY_FIND])
def test_patients_are_asked_for_with_their_counts(archive: Archive, model: str) -> None:
    asked = Asked(
        archive,
        model,
        identifier(
            "PATIENT",
            PatientID="",
            PatientName="muller*",
            NumberOfPatientRelatedStudies="",
            NumberOfPatientRelatedSeries="",
            NumberOfPatientRelatedInstances="",
        ),
    )
    (answer,) = asked.answers
    assert (asked.statuses, asked.status) == ({0xFF00}, 0)
    assert (answer.PatientID, answer.PatientName) == ("P1", "Müller^Änne")
    assert answer.QueryRetrieveLevel == "PATIENT"
    assert answer.NumberOfPatientRelatedStudies == 1
    assert answer.NumberOfPatientRelatedSeries == 3
    assert answer.NumberOfPatientRelatedInstances == 4


def test_each_level_of_patient_root_stands_on_the_one_above(archive: Archive) -> None:
    for level, keys, count in (
        ("STUDY", {"PatientID": "P1", "StudyInstanceUID": ""}, 1),
        ("SERIES", {"PatientID": "P1", "StudyInstanceUID": "1.1"}, 3),
        ("SERIES", {"PatientID": "P2", "StudyInstanceUID": "1.1"}, 0),
        ("IMAGE", {"PatientID": "P1", **UIDS}, 2),
        ("IMAGE", {"PatientID": "P2", **UIDS}, 0),
    ):
        asked = Asked(archive, PATIENT_ROOT_FIND, identifier(level, **keys))
        assert (len(asked.answers), asked.status) == (count, 0), keys


@pytest.mark.parametrize(
    ("model", "level", "keys", "tag"),
    [
        (PATIENT_ROOT_FIND, "STUDY", {"StudyInstanceUID": ""}, 0x00100020),
        (PATIENT_ROOT_FIND, "STUDY", {"PatientID": "P*"}, 0x00100020),
        (PATIENT_ROOT_FIND, "SERIES", {"PatientID": "P1"}, 0x0020000D),
        (
            PATIENT_ROOT_FIND,
            "SERIES",
            {"PatientID": "P1", "StudyInstanceUID": ["1.1", "1.2"]},
            0x0020000D,
        ),
        (PATIENT_ROOT_FIND, "IMAGE", {"PatientID": "P1", "StudyInstanceUID": "1.1"}, 0x0020000E),
        (PATIENT_ROOT_FIND, "PATIENT", {"StudyInstanceUID": "1.1"}, 0x0020000D),
        (STUDY_ROOT_FIND, "STUDY", {"SeriesInstanceUID": "1.1.2"}, 0x0020000E),
        (PATIENT_STUDY_ONLY_FIND, "SERIES", {"PatientID": "P1"}, 0x00080052),
        (STUDY_ROOT_FIND, "PATIENT", {"PatientID": "P1"}, 0x00080052),
        (STUDY_ROOT_FIND, "", {"PatientID": "P1"}, 0x00080052),
    ],
)
def test_a_hierarchy_that_the_model_has_not_is_refused_with_the_element_to_blame(
    archive: Archive, model: str, level: str, keys: dict[str, Any], tag: int
) -> None:
    asked = Asked(archive, model, identifier(level, **keys))
    assert (asked.status, asked.answers) == (0xA900, [])
    assert asked.final.OffendingElement == tag


@pytest.mark.parametrize(
    ("asks", "answer"),
    [
        (b"\1", b"\1"),
        (b"\0", b"\0"),
        (b"\1\1\1\1\1", b"\1\0\0\0\0"),
        (b"\2\1", b"\0\0"),
        (b"\1" * 9, b"\1\0\0\0\0"),
    ],
)
def test_extended_negotiation_is_answered_by_what_there_is(
    archive: Archive, asks: bytes, answer: bytes
) -> None:
    """PS3.4 C.5.1.1.1: relational queries; neither combined dates, fuzzy names nor time zones."""
    asked = Asked(archive, STUDY_ROOT_FIND, identifier("STUDY", PatientID="P1"), extended=asks)
    assert asked.agreed == {STUDY_ROOT_FIND: answer}


@pytest.mark.parametrize("model", [PATIENT_ROOT_FIND, STUDY_ROOT_FIND])
def test_relational_queries_are_answered_only_where_they_were_agreed(
    archive: Archive, model: str
) -> None:
    image = identifier("IMAGE", SOPInstanceUID="", PatientName="doe")
    by_object = identifier("STUDY", StudyInstanceUID="", SOPInstanceUID="1.1.2.1")
    for wanted, expected in ((image, "1.2.1.1"), (by_object, "1.1")):
        agreed = Asked(archive, model, wanted, extended=b"\1")
        assert agreed.status == 0
        (answer,) = agreed.answers
        assert expected in (answer.get("SOPInstanceUID"), answer.get("StudyInstanceUID"))
        for refused in (
            Asked(archive, model, wanted),
            Asked(archive, model, wanted, extended=b"\0"),
        ):
            assert (refused.status, refused.answers) == (0xA900, [])


def test_a_key_below_the_level_of_a_relational_query_is_matched_and_not_returned(
    archive: Archive,
) -> None:
    wanted = identifier("STUDY", StudyInstanceUID="", Modality="CT", SeriesInstanceUID="1.1.2")
    asked = Asked(archive, STUDY_ROOT_FIND, wanted, extended=b"\1")
    assert (asked.statuses, asked.values("StudyInstanceUID")) == ({0xFF01}, ["1.1"])
    assert "Modality" not in asked.answers[0]
    wanted.Modality = "MR"
    assert Asked(archive, STUDY_ROOT_FIND, wanted, extended=b"\1").answers == []


def test_across_levels_the_models_end_where_they_end(archive: Archive) -> None:
    wanted = identifier("STUDY", StudyInstanceUID="", SeriesInstanceUID="1.1.2")
    asked = Asked(archive, PATIENT_STUDY_ONLY_FIND, wanted, extended=b"\1")
    assert (asked.status, asked.answers) == (0xA900, [])


@pytest.mark.parametrize(
    ("level", "keys", "found"),
    [
        ("STUDY", {"Modality": "CT"}, True),
        ("STUDY", {"Modality": "CT", "InstitutionName": "*"}, True),
        ("STUDY", {"Modality": "ZZ"}, False),
        ("STUDY", {"InstitutionName": "ZZ"}, False),
        ("STUDY", {"InstitutionName": "ZZ", "Rows": 1}, False),
        ("STUDY", {"Rows": 1}, True),  # of the objects only: passed over
        ("PATIENT", {"StudyDate": "18000101"}, False),
        ("PATIENT", {"Modality": "CT"}, True),
        ("PATIENT", {"Modality": "ZZ"}, False),
    ],
)
def test_a_condition_on_what_series_have_is_matched_above_them(
    archive: Archive, level: str, keys: dict[str, Any], found: bool
) -> None:
    """As if it were one on any of the study's series; not returned, which FF01 says."""
    model = PATIENT_ROOT_FIND if level == "PATIENT" else STUDY_ROOT_FIND
    unique = "PatientID" if level == "PATIENT" else "StudyInstanceUID"
    asked = Asked(archive, model, identifier(level, **{unique: ""}, **keys))
    assert asked.status == 0
    assert bool(asked.answers) == found
    assert asked.statuses == ({0xFF01} if found else set())
    assert not any("Modality" in answer for answer in asked.answers)


def test_a_study_is_found_by_any_of_its_series_and_once(archive: Archive) -> None:
    """As ModalitiesInStudy finds it."""
    found = [
        Asked(archive, STUDY_ROOT_FIND, identifier("STUDY", StudyInstanceUID="", **{key: "CT"}))
        for key in ("Modality", "ModalitiesInStudy")
    ]
    assert found[0].values("StudyInstanceUID") == found[1].values("StudyInstanceUID") != []


def test_what_only_objects_know_is_not_looked_for_in_the_whole_archive(archive: Archive) -> None:
    every = identifier("IMAGE", SOPInstanceUID="", ImageComments="größe 50% 2")
    every.SpecificCharacterSet = "ISO_IR 192"
    asked = Asked(archive, STUDY_ROOT_FIND, every, extended=b"\1")
    assert (asked.status, asked.final.OffendingElement) == (0xC000, 0x00204000)
    every.StudyInstanceUID = "1.1"
    asked = Asked(archive, STUDY_ROOT_FIND, every, extended=b"\1")
    assert asked.values("SOPInstanceUID") == ["1.1.1.2"]
