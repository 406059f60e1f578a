"""C-FIND by DCMTK's findscu against our listener; rows that would betray a wrong rule."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from tests.dimse.archive import Archive
from tests.unit.find_rows import CT, entry, put
from tests.waiting import eventually
from tuipacs.domain.admission import UnknownCallers
from tuipacs.domain.permissions import NodeService

pytestmark = pytest.mark.dcmtk
SR = "1.2.840.10008.5.1.4.1.1.88.11"
MR = "1.2.840.10008.5.1.4.1.1.4"

STUDIES = [
    {
        "patient_name": "DOE^JOHN^^",
        "patient_id": "P1",
        "accession_number": "A1",
        "study_description": "50% DOSE",
        "study_date": "20240131",
        "study_time": "1030",
        "referring_physician_name": "HOUSE^GREGORY",
    },
    {
        "patient_name": "doe^jane",
        "patient_id": "P10",
        "accession_number": "A_1",
        "study_description": "50 ML DOSE",
        "study_date": "20240201",
        "study_time": "103000.5",
        "modality": "MR",
        "sop_class_uid": MR,
    },
    {
        "patient_name": "Müller^Änne",
        "patient_id": "p1",
        "accession_number": "AX1",
        "study_description": "chest",
        "study_date": "2024.02.29",
        "study_time": "235959",
    },
    {
        "patient_name": "Yamada^Tarou=山田^太郎=やまだ^たろう",
        "patient_id": "P1 X",
        "accession_number": "A\\1",
        "study_description": "CHEST",
        "study_date": "20240301",
        "study_time": "000000",
    },
    {"study_description": "CHEST PA"},  # no patient, no dates
]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    archive = Archive(tmp_path_factory.mktemp("find"), unknown=UnknownCallers.ECHO)
    archive.know("ASKING", NodeService.ECHO, NodeService.QUERY)
    archive.know("STORING", NodeService.ECHO, NodeService.STORE)
    for n, fields in enumerate(STUDIES):
        uids = {"study_instance_uid": f"1.2.{n}", "series_instance_uid": f"1.2.{n}.1"}
        put(
            archive.index,
            (
                entry(**uids, **fields, sop_instance_uid=f"1.2.{n}.1.{k}", instance_number=f"0{k}")
                for k in (1, 2)
            ),
        )
    put(
        archive.index,
        [
            entry(
                **STUDIES[0] | {"modality": "SR", "sop_class_uid": SR},
                study_instance_uid="1.2.0",
                series_instance_uid="1.2.0.2",
                sop_instance_uid="1.2.0.2.1",
                series_number="007",
                number_of_frames=3,
                rows=512,
            )
        ],
    )
    yield archive
    archive.close()


class Asker:
    """findscu, with its answers written to files."""

    def __init__(self, archive: Archive, folder: Path) -> None:
        self.archive = archive
        self.folder = folder
        self.said = ""

    def __call__(
        self, *keys: str, title: str = "ASKING", options: str = "", model: str = "-S"
    ) -> list[Dataset]:
        for old in self.folder.glob("rsp*.dcm"):
            old.unlink()
        words = [part for key in keys for part in ("-k", key)]
        done = subprocess.run(
            [*self.command(title, model), "-v", *options.split(), *words],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.said = done.stderr + done.stdout
        return [dcmread(path) for path in sorted(self.folder.glob("rsp*.dcm"))]

    def command(self, title: str = "ASKING", model: str = "-S") -> list[str]:
        """Up to the options: the model (Study Root), answers into files."""
        called = ("-aec", "TUIPACS", "127.0.0.1", str(self.archive.port))
        return ["findscu", model, "-X", "-aet", title, *called]

    def studies(self, *keys: str, options: str = "") -> list[str]:
        """The last number of the Study Instance UIDs found; Success is asked for."""
        found = self("0008,0052=STUDY", "0020,000d", *keys, options=options)
        assert "Success" in self.said, self.said
        return sorted(one.StudyInstanceUID.rpartition(".")[2] for one in found)

    def status(self, *keys: str) -> str:
        """The words of a final answer that is no Success; there are no others."""
        assert self(*keys) == []
        return self.said


@pytest.fixture
def ask(archive: Archive, tmp_path: Path) -> Asker:
    return Asker(archive, tmp_path)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("0010,0010=DOE^JOHN", "0"),
        ("0010,0010=doe*", "01"),
        ("0010,0010=MULLER^ANNE", "2"),
        ("0010,0010=DOE", ""),
        ("0010,0010=*", "01234"),
        ("0010,0010", "01234"),
        ("0010,0020=P1", "0"),
        ("0010,0020=P1 ", "0"),
        ("0010,0020=P1*", "013"),
        ("0010,0020=P?", "0"),
        ("0010,0020=*", "01234"),
        ("0008,0050=A_1", "1"),
        ("0008,0050=A%", ""),
        ("0008,0050=A?1", "123"),
        ("0008,1030=50%*", "0"),
        ("0008,1030=CHEST", "3"),
        ("0008,1030=CHEST*", "34"),
        ("0008,1030=*DOSE", "01"),
        ("0008,0020=20240131", "0"),
        ("0008,0020=20240131-20240229", "012"),
        ("0008,0020=-20240201", "01"),
        ("0008,0020=20240229-", "23"),
        ("0008,0020=2024.02.29", "2"),
        ("0008,0030=1030", "01"),
        ("0008,0030=103000-103000.4", "0"),
        ("0008,0030=-103000", "013"),
        ("0008,0061=SR", "0"),
        ("0008,0061=SR\\MR", "01"),
        ("0008,0061=M*", "1"),
        (f"0008,0062={SR}", "0"),
        ("0020,000d=1.2.1\\1.2.3\\9.9", "13"),
        ("0020,000d=1.2.*", ""),
        ("0020,1208=3", "0"),
        ("0020,1208=02", "1234"),
        ("0008,0090=house^greg*", "0"),
        ("0008,0054=TUIPACS", "01234"),
        ("0008,0054=OTHER", ""),
        ("0008,0056=ONLINE", "01234"),
    ],
)
def test_findscu_finds_these_and_no_others(ask: Asker, key: str, expected: str) -> None:
    assert "".join(ask.studies(key)) == expected


def test_all_keys_have_to_match(ask: Asker) -> None:
    assert ask.studies("0010,0010=doe*", "0008,0020=20240201-", "0008,0061=MR") == ["1"]
    assert ask.studies("0010,0010=doe*", "0008,0020=20240201-", "0008,0061=CT") == []


def test_an_answer_holds_what_was_asked_for_and_nothing_else(ask: Asker) -> None:
    (one,) = ask(
        "0008,0052=STUDY",
        "0020,000d=1.2.0",
        "0008,0061=SR",
        *("0008,0062", "0008,0056", "0020,1206", "0020,1208", "0010,4000", "0020,1200"),
    )
    assert {element.keyword: element.value for element in one} == {
        "QueryRetrieveLevel": "STUDY",
        "RetrieveAETitle": "TUIPACS",
        "InstanceAvailability": "ONLINE",
        "ModalitiesInStudy": ["CT", "SR"],
        "SOPClassesInStudy": [CT, SR],
        "StudyInstanceUID": "1.2.0",
        "NumberOfStudyRelatedSeries": 2,
        "NumberOfStudyRelatedInstances": 3,
        "PatientComments": "",
        "NumberOfPatientRelatedStudies": 1,
    }


def test_series_and_images_below_their_uids(ask: Asker) -> None:
    series = ask("0008,0052=SERIES", "0020,000d=1.2.0", "0020,000e", "0020,0011=7", "0020,1209")
    assert [one.SeriesInstanceUID for one in series] == ["1.2.0.2"]
    assert (series[0].SeriesNumber, series[0].NumberOfSeriesRelatedInstances) == (7, 1)
    image = ("0008,0052=IMAGE", "0020,000d=1.2.0")
    both = ask(*image, "0020,000e=1.2.0.1", "0008,0018", "0020,0013", "0010,0010")
    assert [one.SOPInstanceUID for one in both] == ["1.2.0.1.1", "1.2.0.1.2"]
    assert both[0].PatientName == "DOE^JOHN^^"
    (second,) = ask(*image, "0020,000e=1.2.0.1", "0008,0018", "0020,0013=2", "0028,0010")
    assert (second.SOPInstanceUID, second.Rows) == ("1.2.0.1.2", None)
    wanted = ("0020,000e=1.2.0.2", "0008,0018=1.2.0.2.1", "0028,0010=512", "0028,0008")
    (report,) = ask(*image, *wanted)
    assert (report.NumberOfFrames, report.Rows) == (3, 512)


@pytest.mark.parametrize("model", ["-P", "-O"])
def test_findscu_asks_for_patients_and_then_for_their_studies(ask: Asker, model: str) -> None:
    patient = ("0008,0052=PATIENT", "0010,0020", "0020,1200", "0020,1204")
    (doe,) = ask(*patient, "0010,0010=doe^john", model=model)
    assert (doe.PatientID, doe.NumberOfPatientRelatedStudies) == ("P1", 1)
    assert doe.NumberOfPatientRelatedInstances == 3
    assert len(ask(*patient, "0010,0010", model=model)) == 5
    assert "Success" in ask.said
    (study,) = ask("0008,0052=STUDY", "0010,0020=P1", "0020,000d", model=model)
    assert study.StudyInstanceUID == "1.2.0"
    assert ask("0008,0052=STUDY", "0020,000d", model=model) == []
    assert re.search("DataSetDoesNotMatch|does not match", ask.said)


@pytest.mark.parametrize("options", ["-xi", "-xe", "-xb"])
def test_every_uncompressed_transfer_syntax(ask: Asker, options: str) -> None:
    found = ask(
        "0008,0052=IMAGE",
        *("0020,000d=1.2.0", "0020,000e=1.2.0.2", "0028,0010=512", "0008,0018", "0010,0010=doe*"),
        options=options,
    )
    assert [(one.Rows, one.PatientName) for one in found] == [(512, "DOE^JOHN^^")]


@pytest.mark.parametrize(
    "keys",
    [
        ("0008,0052=PATIENT", "0010,0020=P1"),
        ("0008,0052=STUDIES",),
        ("0020,000d",),
        ("0008,0052=SERIES", "0020,000e"),
        ("0008,0052=SERIES", "0020,000d=*"),
        ("0008,0052=SERIES", "0020,000d=1.2.0\\1.2.1"),
        ("0008,0052=IMAGE", "0020,000d=1.2.0"),
        ("0008,0052=IMAGE", "0020,000e=1.2.0.1"),
        ("0008,0052=STUDY", "0020,000e=1.2.0.1"),
    ],
)
def test_a_level_or_hierarchy_that_the_model_has_not_is_refused(
    ask: Asker, keys: tuple[str, ...]
) -> None:
    assert re.search("DataSetDoesNotMatch|does not match", ask.status(*keys))


@pytest.mark.parametrize("key", ["0008,0020=2024*", "0008,0020=-", "0008,0030=noon", "0020,1208=*"])
def test_what_is_no_value_of_its_vr_is_refused(ask: Asker, key: str) -> None:
    assert re.search("[Uu]nable", ask.status("0008,0052=STUDY", key))


def test_keys_that_are_not_supported_are_flagged_and_passed_over(ask: Asker) -> None:
    for keys in (["0009,0010=X"], ["0008,0060"], ["0032,1060=HEAD"], ["0040,0275"]):
        assert ask.studies(*keys) == list("01234")
        assert "WarningUnsupportedOptionalKeys" in ask.said, ask.said
    assert ask.studies("0008,0061=CT") == list("0234")
    assert "WarningUnsupportedOptionalKeys" not in ask.said


def test_only_a_node_that_may_query_gets_answers(ask: Asker) -> None:
    for title in ("STORING", "STRANGER"):
        assert ask("0008,0052=STUDY", "0010,0010", title=title) == []
        assert "No Acceptable Presentation Contexts" in ask.said or "Reject" in ask.said


def test_each_query_leaves_one_record_with_its_keys_and_its_end(ask: Asker) -> None:
    ask.studies("0010,0010=DOE*", "0010,0020=P10", "0009,0010=X")
    ask.status("0008,0052=SERIES", "0010,0020=P77")
    archive = ask.archive
    (good,) = eventually(lambda: archive.audited("P10,"))
    assert good == (
        "Study Root STUDY: PatientName=DOE*, PatientID=P10, (0009,0010), StudyInstanceUID;"
        " 1 answer, complete"
    )
    with archive.index.read() as reader:
        rows = reader.all(
            "SELECT event_code, outcome, actor, patient_id FROM audit"
            " WHERE detail LIKE '%=P10,%' OR operation = 'query.find' ORDER BY seq DESC LIMIT 2"
        )
    assert rows == [
        ("110112", "failure", "ASKING", ""),
        ("110112", "success", "ASKING", "P10"),
    ]


# --- character sets


def _file(folder: Path, name: str, charset: str, **keys: object) -> str:
    """A query file in a character set, for what a command line cannot say."""
    asked = Dataset()
    asked.SpecificCharacterSet = charset.split("\\")
    asked.QueryRetrieveLevel = "STUDY"
    asked.StudyInstanceUID = ""
    for keyword, value in keys.items():
        setattr(asked, keyword, value)
    asked.save_as(folder / name, implicit_vr=False, little_endian=True)
    return name


@pytest.mark.parametrize(
    ("charset", "name", "answered_in"),
    [
        ("ISO_IR 100", "müll*", "ISO_IR 100"),
        ("ISO_IR 192", "müll*", "ISO_IR 192"),
        ("ISO_IR 101", "MÜLLER^*", "ISO_IR 101"),
        ("ISO_IR 144", "MULLER*", "ISO_IR 192"),
        ("ISO_IR 192", "山田*", "ISO_IR 192"),
        ("\\ISO 2022 IR 87", "山田^太郎", "\\ISO 2022 IR 87"),
        ("\\ISO 2022 IR 87", "Yamada^*=山田^*", "\\ISO 2022 IR 87"),
        ("ISO_IR 100", "yamada*", "ISO_IR 192"),
        ("GB18030", "山田*", "GB18030"),
    ],
)
def test_names_are_asked_and_answered_in_a_set_the_asker_can_read(
    ask: Asker, charset: str, name: str, answered_in: str
) -> None:
    file = _file(ask.folder, "query", charset, PatientName=name, InstanceAvailability="")
    (one,) = _by_file(ask, file)
    assert charset_of(one) == answered_in
    one.decode()
    assert str(one.PatientName) in {fields.get("patient_name") for fields in STUDIES}


def charset_of(found: Dataset) -> str:
    value = found.SpecificCharacterSet
    return value if isinstance(value, str) else "\\".join(value)


def _by_file(ask: Asker, file: str) -> list[Dataset]:
    subprocess.run(
        [*ask.command(), file],
        cwd=ask.folder,
        capture_output=True,
        timeout=60,
        check=True,
    )
    return [dcmread(path) for path in sorted(ask.folder.glob("rsp*.dcm"))]


def test_an_answer_of_ascii_names_no_character_set(ask: Asker) -> None:
    file = _file(ask.folder, "query", "ISO_IR 100", PatientName="DOE^JOHN")
    (one,) = _by_file(ask, file)
    assert "SpecificCharacterSet" not in one
