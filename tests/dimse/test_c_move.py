"""C-MOVE by DCMTK's movescu: objects go out as they came in, and everybody is told how it went."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from tests.builders import make_dataset, make_study
from tests.dimse.faulty_peer import FaultyPeer
from tests.dimse.retrieving import Receiver, Source, received, storescp
from tests.ports import unused_port
from tuipacs.domain.admission import UnknownCallers
from tuipacs.domain.node import CallService
from tuipacs.domain.permissions import NodeService
from tuipacs.domain.uid import new_uid

pytestmark = pytest.mark.dcmtk
MR = "1.2.840.10008.5.1.4.1.1.4"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Source]:
    archive = Source(tmp_path_factory.mktemp("move"), unknown=UnknownCallers.ECHO)
    archive.know("ASKING", NodeService.ECHO, NodeService.MOVE)
    archive.know("FINDING", NodeService.ECHO, NodeService.QUERY)
    yield archive
    archive.close()


@pytest.fixture(scope="module")
def dest(archive: Source, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """Known as DEST."""
    with storescp(tmp_path_factory.mktemp("dest") / "in") as receiver:
        archive.destination("DEST", receiver.port)
        yield receiver


@pytest.fixture(scope="module")
def study(archive: Source) -> list[Dataset]:
    """Two series of three objects each, beside others."""
    archive.keep_all(make_study(1, 1, PatientID="OTHER"))
    made = list(make_study(2, 3, PatientID="P 1", StudyDescription="one"))
    archive.keep_all(made)
    archive.keep_all(make_study(1, 2, PatientID="P 1", StudyDescription="two"))
    return made


class Said:
    """What movescu -d says."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.statuses = [int(s, 16) for s in re.findall(r"DIMSE Status +: 0x(\w{4})", text)]
        last = text.rpartition("DIMSE Status")[0].rpartition("Message Type")[2]
        found = re.findall(r"(\w+) Suboperations +: (\d+|none)", last)
        self.counts = {name: int(count) for name, count in found if count != "none"}

    @property
    def status(self) -> int:
        return self.statuses[-1]


def movescu(
    archive: Source,
    to: str,
    *keys: str,
    options: str = "-S",
    title: str = "ASKING",
    folder: Path | None = None,
) -> Said:
    """Ask for what these keys name; ``folder`` is where movescu works, and writes."""
    words = [part for key in keys for part in ("-k", key)]
    called = ("-aec", "TUIPACS", "127.0.0.1", str(archive.port))
    done = subprocess.run(
        ["movescu", "-d", *options.split(), "-aet", title, "-aem", to, *words, *called],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Said(done.stderr + done.stdout)


def key(tag: str, *values: str) -> str:
    return f"{tag}=" + "\\".join(values)


def names(dest: Receiver, wanted: list[Dataset], found: Said) -> None:
    """Exactly these came, each once."""
    uids = {str(one.SOPInstanceUID) for one in wanted}
    assert found.status == 0x0000, found.text
    assert found.counts == {"Completed": len(uids), "Failed": 0, "Warning": 0}
    came = received(dest.folder)
    assert set(came) == uids
    for path in dest.folder.iterdir():
        path.unlink()


STUDY, SERIES, IMAGE, PATIENT = (
    key("0008,0052", level) for level in ("STUDY", "SERIES", "IMAGE", "PATIENT")
)


def test_a_study_arrives_byte_for_byte(archive: Source, dest: Receiver) -> None:
    study = make_study(2, 2)
    kept = archive.keep_all(study)
    said = movescu(archive, "DEST", STUDY, key("0020,000d", study[0].StudyInstanceUID))
    assert dest.received() == kept
    names(dest, list(study), said)


def test_each_level_takes_one_uid_or_a_list(
    archive: Source, dest: Receiver, study: list[Dataset]
) -> None:
    uid, series = study[0].StudyInstanceUID, [one.SeriesInstanceUID for one in study]
    below = (SERIES, key("0020,000d", uid))
    names(dest, study, movescu(archive, "DEST", STUDY, key("0020,000d", uid, new_uid())))
    names(dest, study[3:], movescu(archive, "DEST", *below, key("0020,000e", series[3])))
    names(dest, study, movescu(archive, "DEST", *below, key("0020,000e", series[0], series[3])))
    image = (IMAGE, key("0020,000d", uid), key("0020,000e", series[0]))
    some = [one.SOPInstanceUID for one in (study[0], study[2], study[5])]  # one of another series
    names(dest, [study[0], study[2]], movescu(archive, "DEST", *image, key("0008,0018", *some)))


def test_patient_root_begins_with_the_patient(
    archive: Source, dest: Receiver, study: list[Dataset]
) -> None:
    uid = study[0].StudyInstanceUID
    all_of_it = movescu(archive, "DEST", PATIENT, key("0010,0020", "P 1"), options="-P")
    assert all_of_it.counts["Completed"] == 8
    for path in dest.folder.iterdir():
        path.unlink()
    one = (STUDY, key("0010,0020", "P 1"), key("0020,000d", uid))
    names(dest, study, movescu(archive, "DEST", *one, options="-P"))
    names(dest, study, movescu(archive, "DEST", *one, options="-O"))
    other = (STUDY, key("0010,0020", "OTHER"), key("0020,000d", uid))
    assert movescu(archive, "DEST", *other, options="-P").counts["Completed"] == 0


@pytest.mark.parametrize(
    ("options", "keys", "status"),
    [
        ("-S", [key("0020,000d", "1.2")], 0xA900),
        ("-S", [PATIENT, key("0010,0020", "P 1")], 0xA900),
        (
            "-O",
            [SERIES, key("0010,0020", "P"), key("0020,000d", "1"), key("0020,000e", "2")],
            0xA900,
        ),
        ("-S", [key("0008,0052", "FRAME"), key("0020,000d", "1.2")], 0xA900),
        ("-S", [STUDY], 0xA900),
        ("-S", [STUDY, "0020,000d"], 0xA900),
        ("-S", [STUDY, key("0020,000d", "1.2.*")], 0xA900),
        ("-S", [SERIES, key("0020,000e", "1.2")], 0xA900),
        ("-S", [SERIES, key("0020,000d", "1.2", "1.3"), key("0020,000e", "1.2")], 0xA900),
        ("-S", [IMAGE, key("0020,000d", "1"), key("0008,0018", "1.2")], 0xA900),
        ("-S", [STUDY, key("0020,000d", "1.2"), key("0020,000e", "1.2.3")], 0xA900),
        ("-P", [STUDY, key("0020,000d", "1.2")], 0xA900),
        ("-P", [PATIENT, "0010,0020"], 0xA900),
        ("-P", [PATIENT, key("0010,0020", "P*")], 0xA900),
        ("-S", [STUDY, "0020,000d=\\"], 0xC000),
    ],
)
def test_what_the_model_does_not_allow_is_refused(
    archive: Source, dest: Receiver, options: str, keys: list[str], status: int
) -> None:
    said = movescu(archive, "DEST", *keys, options=options)
    assert said.statuses == [status], said.text
    assert received(dest.folder) == {}


def test_no_match_is_a_success_of_nothing(archive: Source, dest: Receiver) -> None:
    names(dest, [], movescu(archive, "DEST", STUDY, key("0020,000d", new_uid())))


def test_movescu_receives_what_it_asked_for_itself(
    archive: Source, study: list[Dataset], tmp_path: Path
) -> None:
    port = unused_port()
    archive.destination("MYSELF", port)
    said = movescu(
        archive,
        "MYSELF",
        STUDY,
        key("0020,000d", study[0].StudyInstanceUID),
        options=f"-S +P {port} +B",
        folder=tmp_path,
    )
    assert said.status == 0x0000
    assert set(received(tmp_path)) == {str(one.SOPInstanceUID) for one in study}


class TestDestinations:
    """0xA801 is for who cannot be meant; who is not there at the moment fails (0xA702)."""

    @pytest.fixture(autouse=True)
    def _uid(self, archive: Source, study: list[Dataset]) -> None:
        self.archive, self.study = archive, study
        self.keys = (STUDY, key("0020,000d", study[0].StudyInstanceUID))

    def test_an_unknown_title_is_no_destination(self) -> None:
        assert movescu(self.archive, "NOBODY", *self.keys).statuses == [0xA801]

    def test_the_archive_itself_is_no_destination(self) -> None:
        assert movescu(self.archive, "TUIPACS", *self.keys).statuses == [0xA801]
        with FaultyPeer() as node:
            self.archive.destination("TUIPACS", node.port)
            assert movescu(self.archive, "TUIPACS", *self.keys).statuses == [0xA801]
        assert node.attempts == 0

    def test_another_name_for_our_own_port_is_no_destination(self) -> None:
        self.archive.destination("LOOP", self.archive.port)
        assert movescu(self.archive, "LOOP", *self.keys).statuses == [0xA801]

    def test_a_node_that_may_only_call_is_no_destination(self) -> None:
        assert movescu(self.archive, "FINDING", *self.keys).statuses == [0xA801]

    def test_a_node_that_is_not_sent_to_is_no_destination(self) -> None:
        self.archive.destination("ECHOED", 104, services=(CallService.ECHO,))
        assert movescu(self.archive, "ECHOED", *self.keys).statuses == [0xA801]

    def test_a_known_node_that_is_not_there_fails_each_object(self) -> None:
        self.archive.destination("AWAY", unused_port())
        said = movescu(self.archive, "AWAY", *self.keys)
        assert said.status == 0xA702
        assert said.counts == {"Completed": 0, "Failed": 6, "Warning": 0}
        listed = said.text.rpartition("Response Identifiers")[2]
        assert all(one.SOPInstanceUID in listed for one in self.study)


def test_who_may_only_query_may_not_move(archive: Source, dest: Receiver) -> None:
    said = movescu(archive, "DEST", STUDY, key("0020,000d", "1.2"), title="FINDING")
    assert said.statuses == []
    assert "No valid Presentation Context" in said.text


def test_each_sub_operation_says_whose_move_it_is(archive: Source, study: list[Dataset]) -> None:
    with FaultyPeer() as node:
        archive.destination("ORIGIN", node.port)
        movescu(archive, "ORIGIN", STUDY, key("0020,000d", study[0].StudyInstanceUID))
    assert {held.originator for held in node.stored} == {("ASKING", 1)}


def test_warnings_and_failures_of_the_destination_are_counted_apart(
    archive: Source, study: list[Dataset]
) -> None:
    with FaultyPeer(store=[0xB000, 0xA700, 0x0000, 0xC001, 0xB007]) as node:
        archive.destination("GRUMBLES", node.port)
        said = movescu(archive, "GRUMBLES", STUDY, key("0020,000d", study[0].StudyInstanceUID))
    assert said.status == 0xB000
    assert said.counts == {"Completed": 2, "Failed": 2, "Warning": 2}
    with FaultyPeer(store=[0xB000]) as node:
        archive.destination("REMARKS", node.port)
        said = movescu(archive, "REMARKS", STUDY, key("0020,000d", study[0].StudyInstanceUID))
    assert said.status == 0xB000
    assert said.counts == {"Completed": 5, "Failed": 0, "Warning": 1}
    assert "(0008,0058) UI (no value available)" in said.text, "nothing failed, and it says so"


def test_each_study_has_its_records(archive: Source) -> None:
    first, second = make_study(1, 2, PatientID="A"), make_study(1, 1, PatientID="B")
    archive.keep_all([*first, *second])
    uids = [str(made[0].StudyInstanceUID) for made in (first, second)]
    with FaultyPeer(store=[0, 0xA700]) as node:
        archive.destination("AUDITED", node.port)
        movescu(archive, "AUDITED", STUDY, key("0020,000d", *uids))
    begun = archive.audit_of("retrieve.move", "110102", uids)
    ended = archive.audit_of("retrieve.move", "110104", uids)
    assert [(r.patient_id, r.study_instance_uid) for r in begun] == [("A", uids[0]), ("B", uids[1])]
    assert [r.detail for r in begun] == [
        "C-MOVE to AUDITED: 2 objects",
        "C-MOVE to AUDITED: 1 object",
    ]
    assert [r.detail for r in ended] == [
        "C-MOVE to AUDITED: 1 of 2 objects sent, 1 failed (0xA700 out of resources), complete",
        "C-MOVE to AUDITED: 1 of 1 object sent, complete",
    ]
    assert [r.outcome.value for r in ended] == ["failure", "success"]
    assert {r.actor for r in (*begun, *ended)} == {"ASKING"}


def test_one_study_uid_under_two_patients_is_sent_only_for_one_that_is_named(
    archive: Source, dest: Receiver
) -> None:
    """A viewer would show the one's pictures under the other's name."""
    uid = new_uid()
    his, hers = (
        make_dataset(StudyInstanceUID=uid, PatientID=patient) for patient in ("HIS", "HERS")
    )
    archive.keep_all([his, hers])
    named = (STUDY, key("0020,000d", uid))
    said = movescu(archive, "DEST", *named)
    assert said.statuses == [0xC000]
    assert "name (0010,0020)" in said.text
    names(dest, [his], movescu(archive, "DEST", *named, key("0010,0020", "HIS")))
    names(dest, [hers], movescu(archive, "DEST", *named, key("0010,0020", "HERS"), options="-P"))
    series = (SERIES, key("0020,000d", uid), key("0020,000e", hers.SeriesInstanceUID))
    names(dest, [hers], movescu(archive, "DEST", *series))


def test_one_patient_id_of_two_issuers_is_two_patients(archive: Source, dest: Receiver) -> None:
    ours = make_dataset(PatientID="SHARED", IssuerOfPatientID="US")
    theirs = make_dataset(PatientID="SHARED", IssuerOfPatientID="THEM")
    archive.keep_all([ours, theirs])
    named = (PATIENT, key("0010,0020", "SHARED"))
    said = movescu(archive, "DEST", *named, options="-P")
    assert said.statuses == [0xC000]
    assert "name (0010,0021)" in said.text
    issued = movescu(archive, "DEST", *named, key("0010,0021", "THEM"), options="-P")
    names(dest, [theirs], issued)


def test_of_several_versions_the_first_goes_out(archive: Source, dest: Receiver) -> None:
    first = make_dataset(PatientComments="first")
    second = make_dataset(
        PatientComments="second",
        SOPInstanceUID=first.SOPInstanceUID,
        StudyInstanceUID=first.StudyInstanceUID,
        SeriesInstanceUID=first.SeriesInstanceUID,
    )
    kept = archive.keep_all([first])
    archive.keep_all([second])
    said = movescu(archive, "DEST", STUDY, key("0020,000d", first.StudyInstanceUID))
    assert dest.received() == kept
    names(dest, [first], said)


def test_a_damaged_or_missing_file_is_one_failed_object(archive: Source, dest: Receiver) -> None:
    study = make_study(1, 4)
    archive.keep_all(study)
    damaged, missing = (str(study[n].SOPInstanceUID) for n in (1, 2))
    with archive.index.read() as reader:
        keys = dict(reader.all("SELECT sop_instance_uid, blob_key FROM instance"))
    path = archive.store.path(keys[damaged])
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")
    archive.store.path(keys[missing]).unlink()
    said = movescu(archive, "DEST", STUDY, key("0020,000d", study[0].StudyInstanceUID))
    assert said.status == 0xB000
    assert said.counts == {"Completed": 2, "Failed": 2, "Warning": 0}
    listed = said.text.rpartition("Response Identifiers")[2]
    assert damaged in listed
    assert missing in listed
    assert set(received(dest.folder)) == {str(study[n].SOPInstanceUID) for n in (0, 3)}
