"""Where to retrieve to, and from whom."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Button

from tuipacs.domain.remote import HERE
from tuipacs.schema.remote_messages import RemoteNode
from tuipacs.ui.dialogs.dialog import Dialog, label, words
from tuipacs.ui.widgets.choices import Choice, Choices
from tuipacs.ui.widgets.push_button import PushButton


class RetrieveDialog(Dialog[tuple[int, int | None]]):
    """Answers with (destination, source or None for whoever has most of each)."""

    heading = "Retrieve"
    AUTO_FOCUS = "#to"

    DEFAULT_CSS = """
    RetrieveDialog VerticalScroll { height: auto; max-height: 7; }
    """

    def __init__(
        self, what: Sequence[str], sources: Sequence[RemoteNode], nodes: Sequence[RemoteNode]
    ) -> None:
        super().__init__()
        self._what, self._sources, self._targets = what, sources, nodes

    def compose_form(self) -> Iterable[Widget]:
        for line in self._what:
            yield words(line)
        yield label("To")
        with VerticalScroll(can_focus=False):
            yield Choices(
                Choice("this archive", value=True, id=f"to-{HERE}"),
                *(Choice(_words(node), id=f"to-{node.key}") for node in self._targets),
                id="to",
            )
        yield label("From")
        with VerticalScroll(can_focus=False):
            yield Choices(
                Choice("whoever has most of each", value=True, id="from-best"),
                *(Choice(_words(node), id=f"from-{node.key}") for node in self._sources),
                id="from",
            )

    def buttons(self) -> Iterable[Button]:
        yield PushButton("Cancel", id="cancel")
        yield PushButton("Retrieve", id="ok")

    def _chosen(self, which: str) -> str:
        pressed = self.query_one(f"#{which}", Choices).pressed_button
        return (pressed.id or "").removeprefix(f"{which}-") if pressed is not None else ""

    def chosen(self, button: str) -> None:
        to, source = self._chosen("to"), self._chosen("from")
        if to == source:
            self.complain("The source and the destination are the same node.")
            return
        self.dismiss((int(to), None if source == "best" else int(source)))


def _words(node: RemoteNode) -> str:
    return f"{node.ae_title:<16} {node.description}".rstrip()
