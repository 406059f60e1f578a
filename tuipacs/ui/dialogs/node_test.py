"""The test of a node, shown rung by rung while it goes on."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Sequence

from textual import work
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, Static

from tuipacs.domain.node import NodeRecord
from tuipacs.domain.node_health import REFUSES, Rung, RungResult, Verdict
from tuipacs.domain.node_words import endpoint
from tuipacs.errors import TuipacsError
from tuipacs.schema import operations as op
from tuipacs.schema.node_messages import NodeTestProgressRequest, NodeTestRequest
from tuipacs.ui.dialogs.dialog import Dialog, words
from tuipacs.ui.format import error_words, wrap
from tuipacs.ui.widgets.push_button import PushButton

_WIDTH, _INDENT = 67, 15  # cells
_LOOK = 0.2  # seconds between two looks at the running test
_SIGNS = {
    Verdict.PASSED: ("✓", "$text-success"),
    Verdict.FAILED: ("✗", "bold $text-error"),
    Verdict.SKIPPED: ("-", "$text-muted"),
    Verdict.NOT_TRIED: ("·", "$text-disabled"),
}
_NAMES = {
    Rung.TCP: "TCP",
    Rung.TLS: "TLS",
    Rung.ASSOCIATION: "Association",
    Rung.ECHO: "C-ECHO",
    Rung.FIND: "C-FIND",
}


class NodeTestDialog(Dialog[bool]):
    """Starts at once. Leaving it does not stop the test, which ends by itself."""

    AUTO_FOCUS = "#cancel"

    DEFAULT_CSS = """
    NodeTestDialog > .dialog--card { width: 90; }
    NodeTestDialog #ladder { height: auto; max-height: 15; }
    NodeTestDialog.-high #ladder { max-height: 30; }
    NodeTestDialog #rungs { height: auto; }
    """

    def __init__(self, node: NodeRecord) -> None:
        super().__init__()
        self.heading = "Test a node"
        self._node = node
        self._is_running = False

    def compose_form(self) -> Iterable[Widget]:
        yield words(f"{self._node.ae_title} at {endpoint(self._node.call)}")
        yield words("")
        with VerticalScroll(id="ladder", can_focus=False):
            yield Static("", markup=False, id="rungs")

    def buttons(self) -> Iterable[Button]:
        yield PushButton("Close", id="cancel")
        yield PushButton("Again", id="ok")

    def on_mount(self) -> None:
        """Begin."""
        self.climb()

    def chosen(self, button: str) -> None:
        self.climb()

    def climb(self) -> None:
        """Test, unless a test is going on."""
        if not self._is_running:
            self._is_running = True
            self.complain("")
            self._show((), is_running=True)
            ticket = secrets.token_hex(8)
            self._test(ticket)
            self._look(ticket)

    @work(group="test", exit_on_error=True)
    async def _test(self, ticket: str) -> None:
        request = NodeTestRequest(key=self._node.key, ticket=ticket)
        try:
            rungs = (await self.tui.desk.link.call(op.NODE_TEST, request)).rungs
        except TuipacsError as error:
            self._is_running = False
            self._show((), is_running=False)
            self.complain(error_words(error))
        else:
            self._is_running = False
            self._show(rungs, is_running=False)

    @work(group="look", exclusive=True, exit_on_error=True)
    async def _look(self, ticket: str) -> None:
        request = NodeTestProgressRequest(ticket=ticket)
        while self._is_running:
            await asyncio.sleep(_LOOK)
            try:
                answer = await self.tui.desk.link.call(op.NODE_TEST_PROGRESS, request)
            except TuipacsError:  # the test itself tells what is the matter
                return
            if self._is_running:
                self._show(answer.rungs, is_running=True)

    def _show(self, rungs: Sequence[RungResult], *, is_running: bool) -> None:
        if not self.is_mounted:
            return
        ladder = self.query_one("#rungs", Static)
        width = ladder.size.width or _WIDTH
        lines: list[Content] = []
        for number, rung in enumerate(Rung):
            if number < len(rungs):
                lines += rung_lines(rungs[number], width)
            else:
                now = is_running and number == len(rungs)
                sign, style = ("…", "bold $text-accent") if now else ("·", "$text-disabled")
                lines.append(_first(sign, style, _NAMES[rung], "trying" if now else ""))
        ladder.update(Content("\n").join(lines))


def rung_lines(rung: RungResult, width: int) -> list[Content]:
    """What was seen, what helps, what else there is to read; wrapped beside the rung's name."""
    sign, style = _SIGNS[rung.verdict]
    said = "" if rung.verdict is Verdict.NOT_TRIED else rung.words
    if rung.verdict in (Verdict.PASSED, Verdict.FAILED):
        said += f" ({rung.seconds * 1000:.0f} ms)"
    room = max(width - _INDENT, 20)
    first, *more = wrap(said, room) or [""]
    lines = [_first(sign, style, _NAMES[rung.rung], first)]
    lines += [Content(" " * _INDENT + text) for text in more]
    for mark, texts, style in (
        ("→ ", [rung.remedy] if rung.remedy else [], "$text-warning"),
        ("", [note for note in rung.notes if note.startswith(REFUSES)], "$text-warning"),
        ("", [note for note in rung.notes if not note.startswith(REFUSES)], "$text-muted"),
    ):
        for text in texts:
            lines += [
                Content.styled(" " * _INDENT + part, style) for part in wrap(mark + text, room)
            ]
    return lines


def _first(sign: str, style: str, name: str, said: str) -> Content:
    return Content.assemble((f"{sign} {name:<{_INDENT - 3}} ", style), said)
