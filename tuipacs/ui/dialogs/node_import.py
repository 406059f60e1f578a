"""Nodes from another program's list: which file, then what of it is added."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

from textual import work
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, Input, Static

from tuipacs.client.node_files import read_files, request_of
from tuipacs.domain.node import NodeRecord
from tuipacs.domain.node_files.found import FileNode, FileNodes, plan
from tuipacs.domain.node_words import endpoint
from tuipacs.errors import TuipacsError
from tuipacs.schema import operations as op
from tuipacs.schema.messages import Empty
from tuipacs.schema.node_messages import NodeAddAllRequest, NodeAdded
from tuipacs.ui.dialogs.dialog import Dialog, label, words
from tuipacs.ui.dialogs.import_paths import PathSuggester
from tuipacs.ui.format import error_words, plural
from tuipacs.ui.widgets.push_button import PushButton


class NodeFileDialog(Dialog[tuple[str, FileNodes]]):
    """Answers with the file's name and what can be added of it."""

    heading = "Import nodes"
    AUTO_FOCUS = "#path"

    def compose_form(self) -> Iterable[Widget]:
        yield words(
            "Orthanc's configuration (JSON), a dcmqrscp.cfg or Conquest's acrnema.map, on this"
            " machine. You see what would be added first: the nodes that it knows, not that program"
            " itself."
        )
        yield words("")
        yield label("File (→ completes)")
        yield Input(id="path", suggester=PathSuggester(), max_length=4096)

    def buttons(self) -> Iterable[Button]:
        yield PushButton("Cancel", id="cancel")
        yield PushButton("Read", id="ok")

    def chosen(self, button: str) -> None:
        text = self.query_one("#path", Input).value.strip()
        if text:
            self.read(Path(text).expanduser())
        else:
            self.complain("Which file?")

    @work(exclusive=True, exit_on_error=True)
    async def read(self, path: Path) -> None:
        """Look into the file and at what is known."""
        desk = self.tui.desk
        try:
            found = await asyncio.to_thread(read_files, [path], None)
            nodes = (await desk.link.call(op.NODES, Empty())).nodes
        except TuipacsError as error:
            self.complain(error_words(error))
            return
        health = desk.health
        tls = health.tls if health else None
        ports = [one.port for one in (health, tls) if one is not None]
        self.dismiss((path.name, plan(found, {node.ae_title for node in nodes}, ports)))


class NodesFoundDialog(Dialog[tuple[NodeRecord, ...]]):
    """Shows what would be added, and what not and why; adds it, all or none."""

    heading = "Import nodes"
    AUTO_FOCUS = "#cancel"

    DEFAULT_CSS = """
    NodesFoundDialog > .dialog--card { width: 100; }
    NodesFoundDialog VerticalScroll { height: auto; max-height: 14; }
    NodesFoundDialog.-high VerticalScroll { max-height: 30; }
    NodesFoundDialog VerticalScroll > Static { height: auto; }
    """

    def __init__(self, file: str, found: FileNodes) -> None:
        super().__init__()
        self._file, self._found = file, found

    def compose_form(self) -> Iterable[Widget]:
        count = len(self._found.nodes)
        yield words(f"{plural(count, 'node')} to add from {self._file}")
        yield words("")
        lines = [line for node in self._found.nodes for line in _node_lines(node)]
        lines += [
            Content.assemble(("left out  ", "$text-warning"), f"{left.entry}: {left.reason}")
            for left in self._found.left_out
        ]
        with VerticalScroll():
            yield Static(Content("\n").join(lines), markup=False)

    def buttons(self) -> Iterable[Button]:
        yield PushButton("Cancel", id="cancel")
        yield PushButton("Add", id="ok", disabled=not self._found.nodes)

    def chosen(self, button: str) -> None:
        request = NodeAddAllRequest(
            nodes=tuple(request_of(node) for node in self._found.nodes), source=self._file
        )
        self.ask(op.NODE_ADD_ALL, request, self._added)

    def _added(self, answer: NodeAdded) -> None:
        self.notify(f"{plural(len(answer.nodes), 'node')} added", markup=False)
        self.dismiss(answer.nodes)


def _node_lines(node: FileNode) -> Iterable[Content]:
    may = ", ".join(node.services) or "nothing"
    yield Content.assemble(
        (f"{node.ae_title:<16}  ", "bold"), f"from {node.address or 'any address'}: {may}"
    )
    if node.call.host:
        asked = ", ".join(node.call.services)
        yield Content.styled(f"{'':18}at {endpoint(node.call)}: {asked}", "$text-muted")
    for note in node.notes:
        yield Content.styled(f"{'':18}{note}", "$text-warning")
