"""What one person likes on screen, kept in the user's configuration folder."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import msgspec


class Preferences(msgspec.Struct, frozen=True, kw_only=True):
    """Small choices that are remembered. No patient data, no archive data."""

    theme: str = ""
    flat_list: bool = False


def read_preferences(path: Path) -> Preferences:
    """The remembered choices; defaults when there are none or the file cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Preferences)
    except (OSError, msgspec.MsgspecError):
        return Preferences()


def write_preferences(path: Path, preferences: Preferences) -> None:
    """Replace the file as a whole. Raises `OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".ui-")
    with os.fdopen(handle, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(preferences)))
    Path(name).replace(path)
