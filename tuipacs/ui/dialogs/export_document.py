"""Writes an encapsulated document to a file that the person names; never over another."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path

from textual import work
from textual.widget import Widget
from textual.widgets import Button, Input

from tuipacs.domain.content import Document
from tuipacs.domain.records import InstanceRecord
from tuipacs.errors import TuipacsError
from tuipacs.ui.desk import Desk
from tuipacs.ui.dialogs.dialog import Dialog, label, words
from tuipacs.ui.format import size
from tuipacs.ui.widgets.push_button import PushButton

_ENDINGS = {"application/pdf": ".pdf", "text/xml": ".xml", "model/stl": ".stl"}


class ExportDialog(Dialog[bool]):
    """True when the file was written."""

    heading = "Export a document"
    AUTO_FOCUS = "#path"

    def __init__(self, desk: Desk, instance: InstanceRecord, document: Document) -> None:
        super().__init__()
        self._desk, self._instance, self._document = desk, instance, document

    def compose_form(self) -> Iterable[Widget]:
        kind = self._document.media_type or "a document"
        yield words(
            f"{kind}, {size(self._document.size)}, to a file on this machine. The file will hold"
            " patient data in the clear; only you can read it. The export is audited."
        )
        yield words("")
        yield label("File")
        ending = _ENDINGS.get(self._document.media_type, ".bin")
        yield Input(f"~/document-{self._instance.key}{ending}", id="path", max_length=4096)

    def buttons(self) -> Iterable[Button]:
        yield PushButton("Cancel", id="cancel")
        yield PushButton("Export", id="ok")

    def chosen(self, button: str) -> None:
        text = self.query_one("#path", Input).value.strip()
        if text:
            self.write(Path(text).expanduser())
        else:
            self.complain("Which file?")

    @work(exclusive=True, exit_on_error=True)
    async def write(self, path: Path) -> None:
        """Fetch everything, then make the file: a download that fails leaves none."""
        try:
            content = b""
            async for chunk in self._desk.link.download(self._instance.key, document=True):
                content += chunk
            await asyncio.to_thread(write_new_file, path, content)
        except TuipacsError as error:
            self.complain(error.message)
        except FileExistsError:
            self.complain(f"{path} exists already; choose another name.")
        except OSError as error:
            self.complain(f"{path}: {error.strerror}")
        else:
            self.notify(f"written: {path}", markup=False)
            self.dismiss(True)


def write_new_file(path: Path, content: bytes) -> None:
    """Make a file that only its owner can read. Raises `FileExistsError` and other `OSError`s."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
