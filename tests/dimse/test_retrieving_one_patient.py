"""One UID, two patients or two studies: nothing is sent until it is said which, and people know."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from pydicom.dataset import Dataset

from tests.builders import make_dataset
from tests.dimse.getting import Getter, extended, roles
from tests.dimse.raw_peer import CT
from tests.dimse.retrieving import Source
from tuipacs.dimse.syntaxes import STUDY_ROOT_GET
from tuipacs.domain.admission import UnknownCallers
from tuipacs.domain.permissions import NodeService
from tuipacs.domain.uid import new_uid

RELATIONAL = roles(CT) + extended(STUDY_ROOT_GET, 1)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Source]:
    archive = Source(tmp_path_factory.mktemp("one"), unknown=UnknownCallers.ECHO)
    archive.know("ASKING", NodeService.GET)
    yield archive
    archive.close()


def got(archive: Source, level: str, **keys: object) -> tuple[int, str, list[str]]:
    """Final status, its comment, and the patients of what came."""
    with Getter(archive, user=RELATIONAL) as peer:
        peer.ask_for(level, **keys)
        seen = []
        while (store := peer.next_store()) is not None:
            patients = (b"THE-SAME", b"HIS", b"HERS")
            seen += [patient.decode() for patient in patients if patient in store[1]]
            peer.acknowledge(store[0])
        (final,) = peer.finals
        return peer.final()[0], final.get(0x0902, b"").decode().rstrip(), seen


def in_two_studies(archive: Source, *patients: str) -> tuple[Dataset, Dataset]:
    """Two objects of one SOP Instance UID, each in a study of its own."""
    first, second = (make_dataset(PatientID=patient) for patient in patients)
    second.SOPInstanceUID = first.SOPInstanceUID
    archive.keep_all([first])
    archive.keep_all([second])
    return first, second


REPEATED: tuple[int, str, list[str]] = (
    0xC000,
    "a SOP Instance UID is in several studies: name one (0020,000D)",
    [],
)


def test_a_sop_instance_uid_of_two_studies_is_sent_only_for_one_that_is_named(
    archive: Source,
) -> None:
    """By that UID alone a receiver would get the one's picture and never know of the other."""
    his, hers = in_two_studies(archive, "HIS", "HERS")
    uid = his.SOPInstanceUID
    assert got(archive, "IMAGE", SOPInstanceUID=uid) == REPEATED
    both = [his.StudyInstanceUID, hers.StudyInstanceUID]
    assert got(archive, "STUDY", StudyInstanceUID=both) == REPEATED
    for one, patient in ((his, "HIS"), (hers, "HERS")):
        study = one.StudyInstanceUID
        assert got(archive, "STUDY", StudyInstanceUID=study) == (0x0000, "", [patient])
        named = got(archive, "IMAGE", SOPInstanceUID=uid, StudyInstanceUID=study)
        assert named == (0x0000, "", [patient])


def test_a_sop_instance_uid_of_two_studies_of_one_patient_is_not_halved_either(
    archive: Source,
) -> None:
    first, second = in_two_studies(archive, "THE-SAME", "THE-SAME")
    both = [first.StudyInstanceUID, second.StudyInstanceUID]
    assert got(archive, "STUDY", StudyInstanceUID=both) == REPEATED
    assert got(archive, "STUDY", StudyInstanceUID=both[1:])[2] == ["THE-SAME"]


def test_who_is_on_site_sees_which_study_cannot_be_retrieved(
    archive: Source, caplog: pytest.LogCaptureFixture
) -> None:
    """In the audit log once a minute, in the daemon's without PHI, and beside the caller."""
    uid = new_uid()
    archive.keep_all([make_dataset(StudyInstanceUID=uid, PatientID=p) for p in ("HIS", "HERS")])
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            status, words, sent = got(archive, "STUDY", StudyInstanceUID=uid)
            assert (status, sent) == (0xC000, [])
    alerts = archive.audit_of("retrieve.ambiguous", "110113", [uid])
    assert [alert.detail for alert in alerts] == [f"C-GET refused: {words}"]
    assert (alerts[0].actor, alerts[0].outcome.value) == ("ASKING", "refused")
    logged = [record.getMessage() for record in caplog.records if uid in record.getMessage()]
    assert logged == [f"a retrieve was refused for {uid}: {words}"]
    assert f"0xC000 unable to process: {words} ({uid})" in [
        record.last_status for record in archive.records()
    ]
