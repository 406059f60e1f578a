"""DICOMDIR: which files a medium says it holds (PS3.3 F, PS3.10 8), and where they really are.

Nothing in a DICOMDIR is trusted: a reference leads to a regular file below the folder of the
DICOMDIR, through plain folders, or nowhere.
"""

from __future__ import annotations

import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tuipacs.dicom.encoding import EXPLICIT_BE, LONG_VRS, UNDEFINED, is_vr_letters
from tuipacs.dicom.part10 import split_part10
from tuipacs.errors import InvalidObjectError
from tuipacs.jobs.import_item import kind_of, reason_of

MAX_SIZE = 64 << 20  # bytes; 150,000 records and more
MAX_COMPONENTS = 8  # PS3.10 8.2

_DIRECTORY_RECORD_SEQUENCE = (0x0004, 0x1220)
_REFERENCED_FILE_ID = (0x0004, 0x1500)
_DELIMITER_GROUP = 0xFFFE


def is_dicomdir_name(name: str) -> bool:
    """Whether a file of this name is a medium's directory; mounts differ in case and version."""
    return _folded(name) == "DICOMDIR"


def read_references(stream: BinaryIO) -> tuple[tuple[str, ...], ...]:
    """The Referenced File IDs in the order of the records, each once, split into components.

    Raises `InvalidObjectError` when the bytes are no DICOMDIR.
    """
    data = stream.read(MAX_SIZE + 1)
    if len(data) > MAX_SIZE:
        raise InvalidObjectError(f"larger than {MAX_SIZE >> 20} MiB")
    parts = split_part10(data)
    if not parts.is_directory:
        raise InvalidObjectError("its file meta information names another SOP class")
    big_endian = parts.transfer_syntax_uid == EXPLICIT_BE
    values = _file_ids(data, parts.dataset_offset, ">" if big_endian else "<")
    return tuple(dict.fromkeys(_components(value) for value in values if value))


def _file_ids(data: bytes, position: int, order: str) -> Iterator[bytes]:
    """Values of Referenced File ID, in one pass that opens every record without recursion."""
    tag = struct.Struct(order + "HH")
    short, long = struct.Struct(order + "H"), struct.Struct(order + "L")
    implicit = not is_vr_letters(data[position + 4 : position + 6].ljust(2, b"\0"))
    while position + 8 <= len(data):
        key = tag.unpack_from(data, position)
        vr = data[position + 4 : position + 6]
        if key[0] == _DELIMITER_GROUP:  # items and delimiters: step into what they hold
            position += 8
            continue
        if implicit or not is_vr_letters(vr):
            (length,) = long.unpack_from(data, position + 4)
            position += 8
        elif vr in LONG_VRS:
            if position + 12 > len(data):
                break
            (length,) = long.unpack_from(data, position + 8)
            position += 12
        else:
            (length,) = short.unpack_from(data, position + 6)
            position += 8
        if key == _DIRECTORY_RECORD_SEQUENCE or length == UNDEFINED:
            continue
        if position + length > len(data):
            break
        if key == _REFERENCED_FILE_ID:
            yield data[position : position + length]
        position += length
    if position != len(data):
        raise InvalidObjectError("it ends in the middle of a record")


def _components(value: bytes) -> tuple[str, ...]:
    """A Referenced File ID as trimmed components; beyond ASCII it is not allowed to go."""
    return tuple(part.strip("\0 ") for part in value.decode("latin-1").split("\\"))


def components_problem(components: tuple[str, ...]) -> str:
    """Why a reference cannot name a file of the medium; empty when it can."""
    if len(components) > MAX_COMPONENTS:
        return "the reference in the DICOMDIR has too many components"
    if any(part in ("", ".", "..") or "/" in part or "\0" in part for part in components):
        return "the reference in the DICOMDIR leads out of the medium"
    return ""


class Medium:
    """Finds referenced files below one folder, whatever the case a mount gives their names."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._names: dict[Path, dict[str, Path]] = {}

    def resolve(self, components: tuple[str, ...]) -> Path:
        """The path of a referenced file. Raises `InvalidObjectError` with the reason."""
        problem = components_problem(components)
        if problem:
            raise InvalidObjectError(problem)
        path = self._root
        for index, part in enumerate(components):
            path, mode = self._step(path, part)
            last = index == len(components) - 1
            if not last and not stat.S_ISDIR(mode):
                raise InvalidObjectError(kind_of(mode) or "a file where a folder should be")
            if last and not stat.S_ISREG(mode):
                raise InvalidObjectError(kind_of(mode))
        return path

    def _step(self, folder: Path, name: str) -> tuple[Path, int]:
        try:
            path = folder / name
            try:
                return path, path.lstat().st_mode
            except FileNotFoundError:
                path = self._names_in(folder)[_folded(name)]
                return path, path.lstat().st_mode
        except (KeyError, FileNotFoundError):
            raise InvalidObjectError("named in the DICOMDIR and missing on the medium") from None
        except OSError as error:
            raise InvalidObjectError(reason_of(error)) from error

    def _names_in(self, folder: Path) -> dict[str, Path]:
        if folder not in self._names:
            paths = sorted(folder.iterdir(), reverse=True)
            self._names[folder] = {_folded(path.name): path for path in paths}
        return self._names[folder]


def _folded(name: str) -> str:
    """ISO 9660 names as some mounts show them: lower case, a dot or version at the end."""
    return name.upper().removesuffix(";1").removesuffix(".")


def missing_references(
    references: tuple[tuple[str, ...], ...], root: Path
) -> Iterator[tuple[str, str]]:
    """Yield (reference, reason) for each reference that leads to no regular file below ``root``."""
    medium = Medium(root)
    for components in references:
        try:
            medium.resolve(components)
        except InvalidObjectError as error:
            yield "\\".join(components), error.message
