"""What a C-STORE sends: a dataset somewhere in a file, and the three UIDs that the peer is told."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filereader import dcmread
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID

from tuipacs.dicom.attributes import read_attributes
from tuipacs.dicom.encoding import DEFLATED
from tuipacs.dicom.part10 import Part10Parts, split_part10
from tuipacs.dimse.faults import SourceFailedError
from tuipacs.dimse.sending import DatasetSource
from tuipacs.domain.attributes import InstanceAttributes
from tuipacs.errors import InvalidObjectError, TuipacsError
from tuipacs.scu.requestor import Context
from tuipacs.scu.texts import can_be_said, is_said

_LOSSY = "it has a text that its character set cannot say"
_FIRST_LOOK, _LONGEST_LOOK = 1 << 16, 1 << 28  # bytes of a file, to find what it is


@dataclass(frozen=True)
class SourceObject:
    """An object to send: the bytes of ``open()`` from ``header_size`` to the end, unchanged.

    Only a deflated stream of odd length gets its NUL, as PS3.5 A.5 has it.

    The UIDs are the dataset's own, and the transfer syntax the one it is really in: a peer checks
    the first two, and can read nothing under a wrong third. ``open`` is called when its turn
    comes, and what it gives is closed after it.

    ``transcode`` gives the dataset in another transfer syntax, in a file of its own, or in its own
    with every value padded to even length; None: it is sent as it is or not at all. ``is_odd``: its
    length is odd, which only `transcode` can mend. ``key`` is for the caller, who finds it in the
    outcome. ``fault``: why this object cannot be sent at all, known before anything was tried.
    ``meanwhile`` is called when it was sent, before its answer is waited for.
    """

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    header_size: int
    open: Callable[[], BinaryIO]
    transcode: Callable[[str], BinaryIO] | None = None
    key: int = 0
    fault: str = ""
    is_odd: bool = False
    meanwhile: Callable[[], None] | None = None

    @property
    def context(self) -> Context:
        """What has to be accepted for it as it is."""
        return Context(self.sop_class_uid, self.transfer_syntax_uid)

    def is_changed_in(self, transfer_syntax_uid: str) -> bool:
        """Whether it goes out in that syntax with other bytes than those that are stored."""
        return self.is_odd or transfer_syntax_uid != self.transfer_syntax_uid


def opened(
    source: SourceObject, transfer_syntax_uid: str | None = None
) -> tuple[BinaryIO, DatasetSource]:
    """The open file of an object, and its dataset in it, in a syntax that `pick` has chosen.

    Without one it is what it is stored in. Close the file when the dataset was read. Raises
    `SourceFailedError`, and so may the reading: that object cannot be sent, others can.
    """
    if source.fault:
        raise SourceFailedError(source.fault)
    syntax = transfer_syntax_uid or source.transfer_syntax_uid
    if source.is_changed_in(syntax):
        return _measured(_transcoded(source, syntax), 0, syntax)
    file, dataset = _measured(_open(source.open), source.header_size, syntax)
    dataset.meanwhile = source.meanwhile
    return file, dataset


def _transcoded(source: SourceObject, syntax: str) -> BinaryIO:
    transcode = source.transcode
    if transcode is None:
        if source.is_odd:
            raise SourceFailedError("its dataset has an odd length, which no message can carry")
        raise SourceFailedError("it can only be sent as it is stored")
    return _open(lambda: transcode(syntax))


def _open(opener: Callable[[], BinaryIO]) -> BinaryIO:
    try:
        return opener()
    except TuipacsError as error:
        raise SourceFailedError(error.message) from error
    except OSError as error:
        raise SourceFailedError(f"it cannot be opened: {error.strerror}") from error


def _measured(
    file: BinaryIO, header_size: int, transfer_syntax_uid: str
) -> tuple[BinaryIO, DatasetSource]:
    try:
        size = file.seek(0, os.SEEK_END) - header_size
        file.seek(header_size)
    except OSError as error:
        file.close()
        raise SourceFailedError(f"it cannot be read: {error.strerror}") from error
    if size <= 0:
        file.close()
        raise SourceFailedError("it has no dataset")
    padded = bool(size % 2)
    if padded and transfer_syntax_uid not in DEFLATED:
        file.close()
        raise SourceFailedError("its dataset has an odd length, which no message can carry")
    return file, DatasetSource(file, size, padded=padded)  # type: ignore[arg-type]


def file_source(path: Path) -> SourceObject:
    """A DICOM file. What the dataset says counts; the file meta information only helps to read it.

    Raises `InvalidObjectError` if it is no object that can be sent; :class:`OSError` passes.
    """
    with path.open("rb") as file:
        parts, instance = _facts(file)
    return SourceObject(
        sop_class_uid=instance.sop_class_uid,
        sop_instance_uid=instance.sop_instance_uid,
        transfer_syntax_uid=instance.transfer_syntax_uid,
        header_size=parts.dataset_offset,
        open=lambda: path.open("rb"),
    )


def _facts(file: BinaryIO) -> tuple[Part10Parts, InstanceAttributes]:
    """From as much of the file as it takes. It is not mapped: others may make it shorter."""
    head = b""
    while True:
        wanted = max(_FIRST_LOOK, 16 * len(head))
        head += file.read(wanted - len(head))
        try:
            parts = split_part10(head)
            dataset = memoryview(head)[parts.dataset_offset :]
            return parts, read_attributes(dataset, parts.transfer_syntax_uid).instance
        except InvalidObjectError:
            if len(head) < wanted or wanted >= _LONGEST_LOOK:
                raise


def dataset_source(dataset: Dataset) -> SourceObject:
    """A dataset in memory that carries its file meta information; encoded when its turn comes."""
    context = context_of(dataset)
    return SourceObject(
        sop_class_uid=context.abstract_syntax,
        sop_instance_uid=str(dataset.SOPInstanceUID),
        transfer_syntax_uid=context.transfer_syntax,
        header_size=0,
        open=lambda: _encoded(dataset, context),
    )


def _encoded(dataset: Dataset, context: Context) -> BinaryIO:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = UID(context.transfer_syntax)
    if not can_be_said(dataset):
        raise SourceFailedError(_LOSSY)
    file = io.BytesIO()
    whole = FileDataset(file, dataset, preamble=bytes(128), file_meta=meta)
    dcmwrite(file, whole, enforce_file_format=True)
    if not is_said(dataset, dcmread(io.BytesIO(file.getvalue()))):
        raise SourceFailedError(_LOSSY)
    return io.BytesIO(file.getvalue()[split_part10(file.getvalue()).dataset_offset :])


def context_of(dataset: Dataset) -> Context:
    """What has to be proposed for a dataset that carries its file meta information."""
    return Context(str(dataset.SOPClassUID), str(dataset.file_meta.TransferSyntaxUID))
