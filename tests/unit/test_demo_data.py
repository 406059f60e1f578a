"""The demo's data: right enough to be stored and shown, and of nobody."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from io import BytesIO
from itertools import pairwise

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import ComputedRadiographyImageStorage, CTImageStorage, MRImageStorage
from pynetdicom import AE, evt

from tuipacs.demo import synthetic
from tuipacs.demo.bundled import bundled_files
from tuipacs.demo.modality import Modality, Pace
from tuipacs.demo.people import PATIENTS, DemoPatient
from tuipacs.dicom.attributes import read_attributes
from tuipacs.dicom.part10 import read_part10
from tuipacs.scu.requestor import Peer

NOW = dt.datetime(2026, 11, 20, 9, 30, tzinfo=dt.UTC)


def _written(dataset: Dataset) -> bytes:
    out = BytesIO()
    dcmwrite(out, dataset, enforce_file_format=True)
    return out.getvalue()


def _small_studies() -> Iterator[list[Dataset]]:
    alice = PATIENTS[0]
    yield list(synthetic.ct_chest(alice, NOW, 1, size=64, slices=4))
    yield list(synthetic.ct_head(alice, NOW, 2, size=64, slices=3))
    yield list(synthetic.mr_head(alice, NOW, 3, size=64, slices=3))
    yield list(synthetic.cr_chest(alice, NOW, 4, rows=96, columns=64))
    yield list(synthetic.us_heart(alice, NOW, 5, frames=2))


def test_every_synthetic_object_is_stored_without_a_remark() -> None:
    for study in _small_studies():
        for dataset in study:
            data = _written(dataset)
            parts = read_part10(BytesIO(data))
            found = read_attributes(data[parts.dataset_offset :], parts.transfer_syntax_uid)
            assert parts.remarks == ()
            assert found.remarks == ()
            assert found.patient.issuer_of_patient_id == "TUIPACS DEMO"


def test_synthetic_objects_keep_the_conditions_of_their_modules() -> None:
    """What dciodvfy found: PS3.3 C.7.3.1 (Laterality), C.8.3.1.1.1 (Image Type of MR)."""
    for study in _small_studies():
        for dataset in study:
            assert "Laterality" not in dataset  # chest, head and heart are not paired
            assert dataset.BodyPartExamined in ("CHEST", "HEAD", "HEART")
            if dataset.SOPClassUID == MRImageStorage:
                assert list(dataset.ImageType) == ["ORIGINAL", "PRIMARY", "OTHER"]


def test_the_slices_of_a_study_belong_together_and_have_places_of_their_own() -> None:
    slices = list(synthetic.ct_chest(PATIENTS[0], NOW, 1, size=64, slices=5))
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        assert len({dataset[keyword].value for dataset in slices}) == 1
    assert len({dataset.SOPInstanceUID for dataset in slices}) == 5
    places = [float(dataset.ImagePositionPatient[2]) for dataset in slices]
    steps = {round(a - b, 2) for a, b in pairwise(places)}
    assert steps == {float(slices[0].SliceThickness)}


def test_pixels_repeat_for_a_seed_and_uids_never_do() -> None:
    first, again = (
        list(synthetic.ct_head(PATIENTS[0], NOW, 7, size=64, slices=2)) for _ in range(2)
    )
    assert [d.PixelData for d in first] == [d.PixelData for d in again]
    assert not {d.SOPInstanceUID for d in first} & {d.SOPInstanceUID for d in again}
    assert first[0].StudyInstanceUID != again[0].StudyInstanceUID


def test_a_chest_ct_has_the_densities_of_a_chest() -> None:
    middle = list(synthetic.ct_chest(PATIENTS[0], NOW, 1, size=128, slices=9))[4]
    stored = dcmread(BytesIO(_written(middle))).pixel_array
    density = stored * float(middle.RescaleSlope) + float(middle.RescaleIntercept)
    assert density[0, 0] == -2000  # beyond the field of view
    assert -900 < np.median(density[60:68, 30:40]) < -800  # right lung, on the left of the image
    assert 100 < np.median(density[72:78, 68:72]) < 220  # aorta


def test_bone_is_low_in_the_monochrome1_radiograph() -> None:
    (dataset,) = synthetic.cr_chest(PATIENTS[0], NOW, 1, rows=96, columns=96)
    picture = dcmread(BytesIO(_written(dataset))).pixel_array
    assert dataset.PhotometricInterpretation == "MONOCHROME1"
    assert picture[48, 48] < picture[48, 25] < picture[48, 0]  # spine, lung, air beside


@pytest.mark.parametrize("patient", PATIENTS, ids=[p.patient_id for p in PATIENTS])
def test_every_name_survives_its_character_set(patient: DemoPatient) -> None:
    (dataset,) = synthetic.cr_chest(patient, NOW, 1, rows=8, columns=8)
    data = _written(dataset)
    parts = read_part10(BytesIO(data))
    found = read_attributes(data[parts.dataset_offset :], parts.transfer_syntax_uid)
    assert found.patient.patient_name == patient.name


def test_bundled_files_are_storable_and_no_two_are_the_same_object() -> None:
    files = list(bundled_files())
    uids = []
    for path in files:
        parts = read_part10(path)
        data = path.read_bytes()[parts.dataset_offset :]
        uids.append(read_attributes(data, parts.transfer_syntax_uid).instance.sop_instance_uid)
    assert len(uids) == len(set(uids)) > 100


def test_the_modality_sends_a_whole_study_under_its_own_title() -> None:
    calling, uids = set(), []

    def store(event: evt.Event) -> int:
        calling.add(event.assoc.requestor.ae_title)
        uids.append(event.dataset.StudyInstanceUID)
        return 0x0000

    entity = AE(ae_title="ARCHIVE")
    for sop_class in (CTImageStorage, MRImageStorage, ComputedRadiographyImageStorage):
        entity.add_supported_context(sop_class)
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)]
    )
    try:
        port = server.socket.getsockname()[1]
        modality = Modality(
            Peer("127.0.0.1", port, "ARCHIVE", "DEMOSCAN"), Pace(0, 0, 0), threading.Event()
        )
        outcomes = list(modality.send(0))
    finally:
        server.shutdown()
    assert len(outcomes) == len(uids) == 24
    assert all(outcome.stored for outcome in outcomes)
    assert calling == {"DEMOSCAN"}
    assert len(set(uids)) == 1
