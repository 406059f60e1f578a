"""Orthanc as the asker at each level: patients, series, images, and what only objects know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydicom.dataset import Dataset

from tests.builders import make_dataset, part10_bytes
from tests.e2e.daemon_fixture import RunningArchive
from tests.interop.orthanc import Orthanc, running_orthanc
from tuipacs.domain.uid import new_uid

pytestmark = pytest.mark.orthanc
STUDY, SERIES = new_uid(), new_uid()


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory, archive: RunningArchive) -> Iterator[Orthanc]:
    item = Dataset()
    item.RequestedProcedureID, item.ScheduledProcedureStepID = "RP-Q", "S-Q"
    images = [
        make_dataset(
            PatientID="Q-1",
            PatientName="Ørsted^Bjørn",
            StudyInstanceUID=STUDY,
            SeriesInstanceUID=SERIES,
            InstanceNumber=number,
            ImageComments=f"høyre {number}",
            RequestAttributesSequence=[item],
        )
        for number in (1, 2)
    ]
    with running_orthanc(tmp_path_factory.mktemp("orthanc"), {}) as running:
        running.know("archive", "TUIPACS", archive.port)
        for image in images:
            stored = running.ask("POST", "/instances", part10_bytes(image))["ID"]
            running.ask("POST", "/modalities/archive/store", [stored])
        yield running


def ask(orthanc: Orthanc, level: str, **keys: str) -> list[dict[str, Any]]:
    query = {"Level": level, "Query": keys, "Normalize": False}
    asked = orthanc.ask("POST", "/modalities/archive/query", query)
    found = orthanc.ask("GET", f"/queries/{asked['ID']}/answers?expand&simplify")
    return list(found)


def test_asks_for_a_patient_with_counts(orthanc: Orthanc) -> None:
    (found,) = ask(
        orthanc,
        "Patient",
        SpecificCharacterSet="ISO_IR 192",
        PatientID="",
        PatientName="ørsted*",
        NumberOfPatientRelatedStudies="",
        NumberOfPatientRelatedInstances="",
    )
    assert (found["PatientID"], found["PatientName"]) == ("Q-1", "Ørsted^Bjørn")
    assert found["NumberOfPatientRelatedStudies"] == "1"
    assert found["NumberOfPatientRelatedInstances"] == "2"


def test_asks_for_series_and_images_and_what_only_objects_know(orthanc: Orthanc) -> None:
    (series,) = ask(orthanc, "Series", StudyInstanceUID=STUDY, SeriesInstanceUID="", Modality="CT")
    assert series["SeriesInstanceUID"] == SERIES
    images = ask(
        orthanc,
        "Instance",
        SpecificCharacterSet="ISO_IR 192",
        StudyInstanceUID=STUDY,
        SeriesInstanceUID=SERIES,
        SOPInstanceUID="",
        InstanceNumber="",
        ImageComments="*2",
    )
    assert [(one["InstanceNumber"], one["ImageComments"]) for one in images] == [("2", "høyre 2")]
