"""The real objects that come with pydicom: which of them the demo archive shows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pydicom.data

from tuipacs.dicom.attributes import read_attributes
from tuipacs.dicom.part10 import read_part10
from tuipacs.errors import InvalidObjectError

# Broken on purpose, to test readers: an archive with nothing wrong should not start with them.
_BROKEN = frozenset(("MR_truncated.dcm", "badVR.dcm", "rtplan_truncated.dcm"))


def bundled_files() -> Iterator[Path]:
    """Files inside the installed wheel that can be stored, one for each SOP Instance UID.

    Nothing is downloaded. Many of pydicom's files are one object in several transfer syntaxes; an
    archive would rightly flag these as conflicts, so the first by name stands for all.
    """
    root = Path(pydicom.data.__file__).parent
    seen: set[str] = set()
    for folder in ("charset_files", "test_files"):
        for path in sorted((root / folder).rglob("*")):
            if path.name in _BROKEN or not path.is_file():
                continue
            uid = _sop_instance_uid(path)
            if uid and uid not in seen:
                seen.add(uid)
                yield path


def _sop_instance_uid(path: Path) -> str:
    """The object's UID; empty when the file is no object that an archive can keep."""
    try:
        parts = read_part10(path)
        data = path.read_bytes()[parts.dataset_offset :]
        return read_attributes(data, parts.transfer_syntax_uid).instance.sop_instance_uid
    except InvalidObjectError:
        return ""
