"""What to import: paths on the archive's machine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

from textual.suggester import Suggester
from textual.widget import Widget
from textual.widgets import Button, Input

from tuipacs.ui.dialogs.dialog import Dialog, label, words
from tuipacs.ui.widgets.push_button import PushButton


class PathSuggester(Suggester):
    """Completes the path from the folder on this machine, which is the archive's."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        """The first entry of the folder that begins so."""
        return await asyncio.to_thread(complete, value)


def complete(value: str) -> str | None:
    """The path of the first entry of the folder that begins like the last part of ``value``."""
    folder, _, begin = value.rpartition("/")
    if not begin:
        return None
    try:
        names = sorted(
            entry.name + ("/" if entry.is_dir() else "")
            for entry in Path(folder or "/").expanduser().iterdir()
            if entry.name.startswith(begin)
        )
    except OSError:
        return None
    return f"{folder}/{names[0]}" if names else None


class ImportDialog(Dialog[tuple[str, ...]]):
    """Answers with absolute paths."""

    heading = "Import"
    AUTO_FOCUS = "#path"

    def __init__(self, path: str = "") -> None:
        super().__init__()
        self._path = path

    def compose_form(self) -> Iterable[Widget]:
        yield words(
            "Files, folders, ZIPs and DICOM media. Everything is copied; what is there already is"
            " left alone, and what cannot be taken is listed with the reason."
        )
        yield words("")
        yield label("Path (→ completes)")
        yield Input(self._path, id="path", suggester=PathSuggester(), max_length=4096)

    def buttons(self) -> Iterable[Button]:
        yield PushButton("Cancel", id="cancel")
        yield PushButton("Import", id="ok")

    def chosen(self, button: str) -> None:
        text = self.query_one("#path", Input).value.strip()
        path = Path(text).expanduser()
        if not text:
            self.complain("Which path?")
        elif not path.is_absolute():
            self.complain("The path must be absolute: the archive has another working folder.")
        else:
            self.dismiss((str(path),))
