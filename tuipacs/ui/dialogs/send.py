"""Where to send what is marked: a node, and whether it has to commit itself to keeping it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Button, RadioSet

from tuipacs.domain.job import JobPriority, JobRecord
from tuipacs.domain.node import CallService, NodeRecord
from tuipacs.schema import operations as op
from tuipacs.schema.job_messages import RowRef, SendRequest
from tuipacs.ui.dialogs.dialog import Dialog, label, words
from tuipacs.ui.widgets.choices import Choice, Choices, Tick
from tuipacs.ui.widgets.push_button import PushButton


class SendDialog(Dialog[JobRecord]):
    """Queues a job and answers with it. ``what`` names the objects; ``nodes`` can be sent to."""

    heading = "Send"
    AUTO_FOCUS = "Choices"

    DEFAULT_CSS = """
    SendDialog VerticalScroll { height: auto; max-height: 8; }
    """

    def __init__(
        self, what: Sequence[str], rows: tuple[RowRef, ...], nodes: Sequence[NodeRecord]
    ) -> None:
        super().__init__()
        self._what, self._rows, self._targets = what, rows, nodes

    def compose_form(self) -> Iterable[Widget]:
        for line in self._what:
            yield words(line)
        yield words("")
        yield label("To")
        with VerticalScroll(can_focus=False):
            yield Choices(
                *(
                    Choice(_words(node), value=index == 0, id=f"node-{node.key}")
                    for index, node in enumerate(self._targets)
                )
            )
        yield Tick("then ask it for storage commitment", False, id="commit")
        yield Tick("before other jobs to this node", False, id="first")

    def buttons(self) -> Iterable[Button]:
        yield PushButton("Cancel", id="cancel")
        yield PushButton("Send", id="ok")

    def on_mount(self) -> None:
        """Offer commitment only where it can be asked for."""
        self._offer()

    def on_radio_set_changed(self, event: RadioSet.Changed) -> None:
        """Another node."""
        self._offer()

    @property
    def node(self) -> NodeRecord:
        """The node that is chosen."""
        pressed = self.query_one(Choices).pressed_button
        chosen = pressed.id if pressed is not None else ""
        return next((n for n in self._targets if f"node-{n.key}" == chosen), self._targets[0])

    def _offer(self) -> None:
        tick = self.query_one("#commit", Tick)
        tick.disabled = CallService.COMMIT not in self.node.call.services
        if tick.disabled:
            tick.value = False

    def chosen(self, button: str) -> None:
        first = self.query_one("#first", Tick).value
        request = SendRequest(
            rows=self._rows,
            node=self.node.key,
            commit=self.query_one("#commit", Tick).value,
            priority=JobPriority.HIGH if first else JobPriority.NORMAL,
        )
        self.ask(op.SEND, request, self.dismiss)


def _words(node: NodeRecord) -> str:
    place = f"{node.call.host}:{node.call.port}"
    state = "  (paused)" if node.paused else ""
    return f"{node.ae_title:<16} {node.description or place}{state}"
