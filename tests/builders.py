"""Small synthetic datasets for all tests: no PHI, new UIDs each time, nothing read from disk."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from tuipacs.domain.uid import new_uid

IMPLEMENTATION_CLASS_UID = UID("2.25.190274283411826405138246839103857103")

_DEFAULTS = {
    "SpecificCharacterSet": "ISO_IR 192",
    "SOPClassUID": CTImageStorage,
    "StudyDate": "20240131",
    "StudyTime": "093000",
    "Modality": "CT",
    "PatientName": "TEST^PATIENT",
    "PatientID": "T-1",
    "PatientBirthDate": "19700101",
    "PatientSex": "O",
    "AccessionNumber": "A-1",
    "StudyDescription": "SYNTHETIC",
    "SeriesDescription": "AXIAL",
    "SeriesNumber": 1,
    "InstanceNumber": 1,
}


def make_dataset(*, pixels: bool = True, **keywords: object) -> Dataset:
    """A complete little CT image, 8 x 8 of 16 bits.

    Keywords replace attributes; None removes one.
    """
    dataset = Dataset()
    for keyword, value in _DEFAULTS.items():
        setattr(dataset, keyword, value)
    dataset.SOPInstanceUID = new_uid()
    dataset.StudyInstanceUID = new_uid()
    dataset.SeriesInstanceUID = new_uid()
    if pixels:
        dataset.Rows = dataset.Columns = 8
        dataset.SamplesPerPixel = 1
        dataset.PhotometricInterpretation = "MONOCHROME2"
        dataset.BitsAllocated = dataset.BitsStored = 16
        dataset.HighBit = 15
        dataset.PixelRepresentation = 1
        dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
        dataset.PixelSpacing = [1, 1]
        samples = b"".join((100 * i - 1000).to_bytes(2, "little", signed=True) for i in range(64))
        dataset.add_new(0x7FE00010, "OW", samples)
    for keyword, value in keywords.items():
        if value is None:
            if keyword in dataset:
                delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return dataset


def part10_bytes(dataset: Dataset, transfer_syntax: str = ExplicitVRLittleEndian) -> bytes:
    """``dataset`` as a Part 10 file (PS3.10 7.1) in one of the uncompressed transfer syntaxes.

    A big endian file needs its OW pixels swapped by the caller: pydicom writes raw bytes as given.
    """
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", CTImageStorage)
    meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", "2.25.1")
    meta.TransferSyntaxUID = UID(transfer_syntax)
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    out = BytesIO()
    whole = FileDataset(out, dataset, preamble=b"\0" * 128, file_meta=meta)
    dcmwrite(out, whole, enforce_file_format=True)
    return out.getvalue()


def dataset_bytes(dataset: Dataset, transfer_syntax: str = ExplicitVRLittleEndian) -> bytes:
    """Only the dataset as it stands after the file meta information: what C-STORE carries."""
    whole = part10_bytes(dataset, transfer_syntax)
    group_length = int.from_bytes(whole[140:144], "little")
    return whole[144 + group_length :]


def make_study(n_series: int = 1, n_instances: int = 2, **keywords: object) -> Sequence[Dataset]:
    """``n_series`` x ``n_instances`` objects of one study, series by series, numbered from 1."""
    study_instance_uid = new_uid()
    objects = []
    for series_number in range(1, n_series + 1):
        series_instance_uid = new_uid()
        for instance_number in range(1, n_instances + 1):
            given = {
                "StudyInstanceUID": study_instance_uid,
                "SeriesInstanceUID": series_instance_uid,
                "SeriesNumber": series_number,
                "InstanceNumber": instance_number,
                **keywords,
            }
            objects.append(make_dataset(**given))  # type: ignore[arg-type]
    return objects
