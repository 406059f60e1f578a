"""Synthetic studies: phantoms with the modules that real objects of their kind carry (PS3.3 A).

Pixels and texts repeat for a seed; UIDs are new each time, so two starts are two sets of studies.
"""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    CTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    UltrasoundMultiFrameImageStorage,
)

from tuipacs.demo import phantoms
from tuipacs.demo.people import PATIENTS, DemoPatient
from tuipacs.dicom.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from tuipacs.domain.uid import new_uid

Study = Sequence[Dataset]
Maker = Callable[[DemoPatient, dt.datetime, int], Iterator[Dataset]]

_SUPINE_AXIAL = [1, 0, 0, 0, 1, 0]


def _base(
    patient: DemoPatient, when: dt.datetime, seed: int, *, sop_class: UID, modality: str
) -> Dataset:
    """Patient, General Study, General Series, General Equipment and SOP Common modules."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = sop_class
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    ds.file_meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    ds.SpecificCharacterSet = patient.character_set.split("\\")
    ds.SOPClassUID = sop_class
    ds.StudyInstanceUID = new_uid()
    ds.SeriesInstanceUID = new_uid()
    date, time = f"{when:%Y%m%d}", f"{when:%H%M%S}"
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = date
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = time
    ds.AccessionNumber = f"D{when:%y%j}{seed % 10000:04d}"
    ds.Modality = modality
    ds.Manufacturer = "tuipacs"
    ds.ManufacturerModelName = "Phantom"
    ds.InstitutionName = "Demonstration Hospital"
    ds.StationName = f"DEMO{modality}"
    ds.DeviceSerialNumber = "1"
    ds.SoftwareVersions = IMPLEMENTATION_VERSION_NAME
    ds.ReferringPhysicianName = "REFERRER^RITA"
    ds.PatientName = patient.name
    ds.PatientID = patient.patient_id
    ds.IssuerOfPatientID = "TUIPACS DEMO"
    ds.PatientBirthDate = patient.birth_date
    ds.PatientSex = patient.sex
    ds.PatientComments = "Synthetic: this person does not exist"
    ds.StudyID = f"{seed % 10000}"
    ds.SeriesNumber = 1
    ds.PatientOrientation = ""
    ds.BurnedInAnnotation = "NO"
    return ds


def _grey(ds: Dataset, rows: int, columns: int, *, stored: int, signed: bool) -> None:
    """Image Pixel module for 16-bit grey samples (PS3.3 C.7.6.3)."""
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = rows, columns
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, stored, stored - 1
    ds.PixelRepresentation = int(signed)


def _instance(base: Dataset, number: int) -> Dataset:
    """A copy of the common part with an instance number and a UID of its own."""
    ds = copy.deepcopy(base)  # Dataset(base) would share its elements
    ds.InstanceNumber = number
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = UID(new_uid())
    return ds


def _plane(ds: Dataset, size: int, *, field: float, thickness: float, z: float) -> None:
    """Image Plane and Frame of Reference modules of a supine axial slice; millimetres."""
    ds.PatientPosition = "HFS"
    ds.PositionReferenceIndicator = ""
    ds.PixelSpacing = [round(field / size, 6)] * 2
    ds.ImageOrientationPatient = _SUPINE_AXIAL
    ds.ImagePositionPatient = [-field / 2, -field / 2, round(z, 3)]
    ds.SliceThickness = thickness
    ds.SliceLocation = round(z, 3)


def _ct(
    base: Dataset,
    shapes: list[phantoms.Ellipsoid],
    seed: int,
    *,
    size: int,
    slices: int,
    field: float,
) -> Iterator[Dataset]:
    base.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    base.KVP = 120
    base.XRayTubeCurrent = 180
    base.ExposureTime = 500
    base.ConvolutionKernel = "DEMO"
    base.AcquisitionNumber = 1
    base.FrameOfReferenceUID = new_uid()
    base.RescaleIntercept, base.RescaleSlope, base.RescaleType = -1024, 1, "HU"
    base.PixelPaddingValue = -976  # -2000 HU
    _grey(base, size, size, stored=16, signed=True)
    random = np.random.default_rng(seed)
    thickness = round(300 / slices, 2)
    for number in range(1, slices + 1):
        ds = _instance(base, number)
        place = 1 - 2 * (number - 0.5) / slices
        _plane(ds, size, field=field, thickness=thickness, z=place * 150)
        picture = phantoms.ct_slice(shapes, size, place * 0.95, random)
        ds.PixelData = (picture + 1024).astype("<i2").tobytes()
        yield ds


def ct_chest(
    patient: DemoPatient, when: dt.datetime, seed: int, *, size: int = 512, slices: int = 48
) -> Iterator[Dataset]:
    """A chest CT with lung and soft tissue windows."""
    base = _base(patient, when, seed, sop_class=CTImageStorage, modality="CT")
    base.StudyDescription, base.SeriesDescription = "CT CHEST", "THORAX AXIAL"
    base.ProtocolName, base.BodyPartExamined = "CHEST DEMO", "CHEST"
    base.WindowCenter, base.WindowWidth = [40, -600], [400, 1500]
    base.WindowCenterWidthExplanation = ["SOFT TISSUE", "LUNG"]
    yield from _ct(base, phantoms.chest(seed), seed, size=size, slices=slices, field=400)


def ct_head(
    patient: DemoPatient, when: dt.datetime, seed: int, *, size: int = 512, slices: int = 40
) -> Iterator[Dataset]:
    """A head CT with a brain window."""
    base = _base(patient, when, seed, sop_class=CTImageStorage, modality="CT")
    base.StudyDescription, base.SeriesDescription = "CT HEAD", "BRAIN AXIAL"
    base.ProtocolName, base.BodyPartExamined = "HEAD DEMO", "HEAD"
    base.WindowCenter, base.WindowWidth = 40, 80
    yield from _ct(base, phantoms.head(seed), seed, size=size, slices=slices, field=240)


def mr_head(
    patient: DemoPatient, when: dt.datetime, seed: int, *, size: int = 256, slices: int = 32
) -> Iterator[Dataset]:
    """A head MR, T1 weighted."""
    base = _base(patient, when, seed, sop_class=MRImageStorage, modality="MR")
    base.StudyDescription, base.SeriesDescription = "MR BRAIN", "T1 AXIAL"
    base.ProtocolName, base.BodyPartExamined = "BRAIN DEMO", "HEAD"
    base.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]  # C.8.3.1.1.1
    base.ScanningSequence, base.SequenceVariant, base.ScanOptions = "SE", "NONE", ""
    base.MRAcquisitionType = "2D"
    base.RepetitionTime, base.EchoTime, base.EchoTrainLength = 500, 12, 1
    base.MagneticFieldStrength = 1.5
    base.FrameOfReferenceUID = new_uid()
    base.WindowCenter, base.WindowWidth = 420, 840
    _grey(base, size, size, stored=12, signed=False)
    shapes, random = phantoms.head(seed, magnetic=True), np.random.default_rng(seed)
    for number in range(1, slices + 1):
        ds = _instance(base, number)
        place = 1 - 2 * (number - 0.5) / slices
        _plane(ds, size, field=230, thickness=5, z=place * 80)
        picture = phantoms.mr_slice(shapes, size, place * 0.95, random)
        ds.PixelData = picture.astype("<u2").tobytes()
        yield ds


def cr_chest(
    patient: DemoPatient, when: dt.datetime, seed: int, *, rows: int = 1024, columns: int = 896
) -> Iterator[Dataset]:
    """One chest radiograph, MONOCHROME1."""
    ds = _base(patient, when, seed, sop_class=ComputedRadiographyImageStorage, modality="CR")
    ds.StudyDescription, ds.SeriesDescription = "CHEST PA", "PA"
    ds.BodyPartExamined, ds.ViewPosition = "CHEST", "PA"  # not paired: no Laterality
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    ds.PatientOrientation = ["R", "F"]
    ds.ImagerPixelSpacing = [0.4, 0.4]
    _grey(ds, rows, columns, stored=12, signed=False)
    ds.PhotometricInterpretation = "MONOCHROME1"
    ds.WindowCenter, ds.WindowWidth = 1900, 3600
    ds.PixelData = phantoms.radiograph(seed, rows, columns).astype("<u2").tobytes()
    yield _instance(ds, 1)


def us_heart(
    patient: DemoPatient, when: dt.datetime, seed: int, *, frames: int = 16
) -> Iterator[Dataset]:
    """One colour ultrasound loop."""
    rows, columns = 360, 480
    ds = _base(patient, when, seed, sop_class=UltrasoundMultiFrameImageStorage, modality="US")
    ds.StudyDescription, ds.SeriesDescription = "US HEART", "FOUR CHAMBER LOOP"
    ds.BodyPartExamined = "HEART"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "", "0001"]
    ds.NumberOfFrames = frames
    ds.FrameTime = 62.5
    ds.FrameIncrementPointer = 0x00181063
    ds.CineRate, ds.RecommendedDisplayFrameRate = 16, 16
    ds.SamplesPerPixel, ds.PlanarConfiguration = 3, 0
    ds.PhotometricInterpretation = "RGB"
    ds.Rows, ds.Columns = rows, columns
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.LossyImageCompression = "00"
    ds.PixelData = phantoms.ultrasound(seed, frames, rows, columns).tobytes()
    yield _instance(ds, 1)


def start_studies(now: dt.datetime, seed: int = 1) -> Iterator[Iterator[Dataset]]:
    """The studies that the demo archive starts with, from today and from years before."""
    makers: tuple[tuple[Maker, int], ...] = (
        (ct_chest, 0),
        (cr_chest, 0),
        (mr_head, 1),
        (us_heart, 1),
        (ct_head, 3),
        (cr_chest, 9),
        (us_heart, 40),
        (cr_chest, 200),
        (mr_head, 400),
        (cr_chest, 1100),
    )
    for index, (maker, days) in enumerate(makers):
        patient = PATIENTS[index % len(PATIENTS)]
        when = now - dt.timedelta(days=days, minutes=37 * index)
        yield maker(patient, when, seed + index)
    # The first patient has a history, so that there is something to compare.
    yield cr_chest(PATIENTS[0], now - dt.timedelta(days=730), seed + len(makers))


def next_study(number: int, now: dt.datetime) -> list[Dataset]:
    """What the simulated modality sends as its study ``number``; smaller, so that it flows."""
    patient = PATIENTS[number % len(PATIENTS)]
    seed = 1000 + number
    kinds: tuple[Iterator[Dataset], ...] = (
        ct_chest(patient, now, seed, size=256, slices=24),
        mr_head(patient, now, seed, size=192, slices=20),
        cr_chest(patient, now, seed, rows=768, columns=640),
        ct_head(patient, now, seed, size=256, slices=24),
    )
    return list(kinds[number % len(kinds)])
