"""The DICOM file format: what stands before a dataset in a file (PS3.10 7), read and written.

Reading is lenient where the dataset can still be found for certain (no preamble, no group length, a
wrong one, no meta information at all) and says so in ``remarks``; it refuses the rest.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from tuipacs.dicom.encoding import (
    EXPLICIT_BE,
    EXPLICIT_LE,
    IMPLICIT_LE,
    LONG_VRS,
    UNDEFINED,
    Buffer,
    is_vr_letters,
    looks_big_endian,
)
from tuipacs.dicom.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from tuipacs.domain.ae_title import ae_title_fault, strip_ae_title
from tuipacs.domain.uid import MAX_KEPT_UID_LENGTH, is_usable_uid, strip_uid
from tuipacs.errors import InvalidObjectError

MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"  # DICOMDIR
MAX_META_LENGTH = 1 << 20  # bytes from the start of a file up to its dataset

_SHORT = struct.Struct("<HH2sH")
_IMPLICIT = struct.Struct("<HHL")
_LENGTH = struct.Struct("<L")
_TEXT_TAGS = {
    0x0002: "media_storage_sop_class_uid",
    0x0003: "media_storage_sop_instance_uid",
    0x0010: "transfer_syntax_uid",
    0x0016: "source_ae_title",
}


class Part10Parts(Struct, frozen=True, kw_only=True):
    """Where the dataset starts, and what the file meta information says about it.

    Texts are empty when absent; all are as stored, without padding, and untrusted.
    ``transfer_syntax_uid`` is never empty: it is guessed from the first element if need be, and
    ``remarks`` says so. What is claimed may still be wrong: ``read_attributes`` finds the real one.
    ``remarks`` carries no values (no PHI).
    """

    dataset_offset: int
    transfer_syntax_uid: str
    media_storage_sop_class_uid: str = ""
    media_storage_sop_instance_uid: str = ""
    source_ae_title: str = ""
    has_preamble: bool = True
    remarks: tuple[str, ...] = ()

    @property
    def is_directory(self) -> bool:
        """Whether this is a DICOMDIR (PS3.10 8.6)."""
        return self.media_storage_sop_class_uid == MEDIA_STORAGE_DIRECTORY


def read_part10(source: Path | BinaryIO) -> Part10Parts:
    """:func:`split_part10` for a file, of which at most the first mebibyte is read.

    An open file must be seekable and is left at the start of its dataset; :class:`OSError` passes.
    """
    if isinstance(source, Path):
        with source.open("rb") as file:
            return split_part10(file.read(MAX_META_LENGTH))
    source.seek(0)
    parts = split_part10(source.read(MAX_META_LENGTH))
    source.seek(parts.dataset_offset)
    return parts


def split_part10(head: Buffer) -> Part10Parts:
    """Find the dataset in a file, given the file or (enough of) its start.

    Raises :class:`InvalidObjectError` if it is no DICOM file, or has no dataset.
    """
    if len(head) == 0:
        raise InvalidObjectError("the file is empty")
    has_preamble = bytes(head[128:132]) == b"DICM"
    offset = 132 if has_preamble else 4 if bytes(head[:4]) == b"DICM" else 0
    remarks: list[str] = [] if has_preamble else ["the file has no preamble"]
    texts: dict[str, str] = {}
    dataset_offset, group_length = _walk_meta(head, offset, texts, remarks)
    if dataset_offset == offset:
        remarks.append("the file has no meta information")
    elif group_length is None:
        remarks.append("the file meta information has no group length")
    elif offset + 12 + group_length != dataset_offset:
        remarks.append("the group length of the file meta information is wrong")
    if dataset_offset >= len(head):
        raise InvalidObjectError("the file ends before its dataset")
    syntax = texts.pop("transfer_syntax_uid", "")
    if not syntax:
        syntax = _guess_syntax(bytes(head[dataset_offset : dataset_offset + 8]))
        if dataset_offset != offset:
            remarks.append("the file meta information names no transfer syntax")
    return Part10Parts(
        dataset_offset=dataset_offset,
        transfer_syntax_uid=syntax,
        has_preamble=has_preamble,
        remarks=tuple(remarks),
        **texts,
    )


def _walk_meta(
    head: Buffer, offset: int, texts: dict[str, str], remarks: list[str]
) -> tuple[int, int | None]:
    """Walk group 0002 by its tags; return the offset behind it, and the group length it claims."""
    group_length: int | None = None
    end = len(head)
    while offset + 8 <= end:
        group, element, vr, length = _SHORT.unpack_from(head, offset)
        if group != 0x0002:
            break
        start = offset + 8
        if not is_vr_letters(vr):
            (length,) = _LENGTH.unpack_from(head, offset + 4)
            if "the file meta information is implicit VR" not in remarks:
                remarks.append("the file meta information is implicit VR")
        elif vr in LONG_VRS:
            if start + 4 > end:
                raise InvalidObjectError("the file ends in its meta information")
            (length,) = _LENGTH.unpack_from(head, start)
            start += 4
        if length == UNDEFINED or start + length > end:
            raise InvalidObjectError(
                "the file ends in its meta information, or that is longer than 1 MiB"
            )
        value = bytes(head[start : start + length])
        offset = start + length
        if element == 0 and length == 4:
            (group_length,) = _LENGTH.unpack(value)
        elif (name := _TEXT_TAGS.get(element)) and length <= 128:
            texts[name] = strip_uid(value.decode("latin_1")).strip()
    return offset, group_length


def _guess_syntax(first: bytes) -> str:
    """The encoding of a dataset by its first element; only what pydicom and DCMTK would accept.

    A file without meta information starts with one of the lowest groups, and its first value is
    short: else it is no DICOM.
    """
    if len(first) < 8:
        raise InvalidObjectError("this is not a DICOM file")
    group, _element, vr, _length = _SHORT.unpack(first)
    if is_vr_letters(vr):
        if looks_big_endian(first):
            return EXPLICIT_BE
        if group in _FIRST_GROUPS:
            return EXPLICIT_LE
    else:
        _group, _element, length = _IMPLICIT.unpack(first)
        if group in _FIRST_GROUPS and length < 0x10000:
            return IMPLICIT_LE
    raise InvalidObjectError("this is not a DICOM file")


_FIRST_GROUPS = frozenset((0x0004, 0x0008, 0x0010, 0x0018, 0x0020))


def encode_header(
    *,
    sop_class_uid: str,
    sop_instance_uid: str,
    transfer_syntax_uid: str,
    calling_ae_title: str = "",
    called_ae_title: str = "",
) -> bytes:
    """Preamble, prefix and file meta information of a dataset received over the network.

    Explicit VR little endian with the right group length (PS3.10 7.1). The calling AE title becomes
    Source and Sending AE Title, the called one Receiving AE Title; a title that is not 1 to 16
    printable ASCII characters is left out. Raises :class:`InvalidObjectError` for an unusable UID.
    """
    _check_uid(sop_instance_uid)
    before, after = _around_instance(
        sop_class_uid, transfer_syntax_uid, calling_ae_title, called_ae_title
    )
    instance = _element(0x0003, b"UI", strip_uid(sop_instance_uid), "\0")
    length = _GROUP_LENGTH.pack(2, 0, b"UL", 4, len(before) + len(instance) + len(after))
    return b"".join((_PREFIX, length, before, instance, after))


_PREFIX = b"\0" * 128 + b"DICM"
_GROUP_LENGTH = struct.Struct("<HH2sHL")


@lru_cache(maxsize=256)
def _around_instance(
    sop_class_uid: str, transfer_syntax_uid: str, calling_ae_title: str, called_ae_title: str
) -> tuple[bytes, bytes]:
    """What stands before and after the one element that differs within an association."""
    _check_uid(sop_class_uid)
    _check_uid(transfer_syntax_uid)
    before = b"\x02\x00\x01\x00OB\x00\x00\x02\x00\x00\x00\x00\x01" + _element(
        0x0002, b"UI", strip_uid(sop_class_uid), "\0"
    )
    after = (
        _element(0x0010, b"UI", strip_uid(transfer_syntax_uid), "\0")
        + _element(0x0012, b"UI", IMPLEMENTATION_CLASS_UID, "\0")
        + _element(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME, " ")
    )
    if calling := _ae_title(calling_ae_title):
        after += _element(0x0016, b"AE", calling, " ") + _element(0x0017, b"AE", calling, " ")
    if called := _ae_title(called_ae_title):
        after += _element(0x0018, b"AE", called, " ")
    return before, after


def _check_uid(uid: str) -> None:
    if not is_usable_uid(uid, longest=MAX_KEPT_UID_LENGTH):
        raise InvalidObjectError("a UID of the file meta information is not usable")


def _element(element: int, vr: bytes, text: str, pad: str) -> bytes:
    value = (text + pad if len(text) % 2 else text).encode("ascii")
    return struct.pack("<HH2sH", 0x0002, element, vr, len(value)) + value


def _ae_title(title: str) -> str:
    """The title if it follows PS3.5 6.2 (AE), else nothing."""
    return "" if ae_title_fault(title) else strip_ae_title(title)
