"""What stored objects say comes back as another reader reads it: pydicom, on its own odd files."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from tests.bundled import bundled_files
from tests.unit.find_rows import BIG, EXPLICIT, IMPLICIT, answer
from tuipacs.dicom.find_answer import AnswerEncoder
from tuipacs.dicom.find_object import read_object, supported_vr
from tuipacs.dicom.part10 import read_part10
from tuipacs.domain.find import FindQuery
from tuipacs.domain.find_object import MAX_VALUE, ObjectKey
from tuipacs.domain.level import Level
from tuipacs.errors import InvalidObjectError

LARGEST = 400_000  # bytes
NOT_KEYS = (0x00080005, 0x00080052, 0x00080054, 0x00080056)


def files() -> Iterator[Path]:
    for path in bundled_files("*.dcm"):
        if path.stat().st_size <= LARGEST:
            yield path


def asked_of(dataset: Dataset) -> tuple[ObjectKey, ...]:
    """All that can be asked of it, at its top level."""
    return tuple(
        ObjectKey(int(tag), vr)
        for tag in sorted(dataset.keys())
        if tag not in NOT_KEYS and (vr := supported_vr(int(tag), str(dataset.get_item(tag).VR)))
    )


def plain(value: object) -> object:
    """Without what no answer keeps: private and bulk elements, and padding."""
    if isinstance(value, Dataset):
        return {
            int(e.tag): plain(e.value)
            for e in value
            if e.tag != 0x00080005 and supported_vr(int(e.tag), e.VR)
        }
    if isinstance(value, MultiValue | list) or type(value).__name__ == "Sequence":
        parts = [plain(part) for part in value]  # type: ignore[attr-defined]
        return parts[0] if len(parts) == 1 and not isinstance(parts[0], dict) else parts
    if value is None or value == "" or value == []:
        return ""
    return str(value).strip(" \0")


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG])
def test_values_survive_the_way_from_the_file_to_the_answer(syntax: str) -> None:
    compared = 0
    for path in files():
        try:
            parts = read_part10(path)
            expected = dcmread(path, force=True)
            keys = asked_of(expected)
            with path.open("rb") as file:
                found = read_object(file, parts.dataset_offset, parts.transfer_syntax_uid, keys)
        except InvalidObjectError:
            continue
        query = FindQuery(level=Level.INSTANCE, keys=(), object_keys=keys)
        got = answer(AnswerEncoder(query, syntax, "T").encode_with((), found.values), syntax)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for key in keys:
                if key.tag in found.values:
                    assert plain(got[key.tag].value) == plain(expected[key.tag].value), (path, key)
                    compared += 1
                else:
                    raw = expected.get_item(key.tag)
                    assert not found.is_whole, (path, key)
                    assert key.vr == "SQ" or len(raw.value or b"") > MAX_VALUE, (path, key)
    assert compared > 2000
