"""pydicom's own test files, those in its wheel: asking pydicom by pattern would download."""

from __future__ import annotations

from pathlib import Path

import pydicom

FOLDER = Path(pydicom.__file__).parent / "data" / "test_files"


def bundled_files(pattern: str = "*") -> list[Path]:
    """Files below the folder of pydicom's test files whose name matches, in order."""
    return sorted(path for path in FOLDER.rglob(pattern) if path.is_file())
