"""Where to send what is marked: a node, and whether it has to commit itself to keeping it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Button, RadioSet

from tuipacs.domain.job import JobPriority, JobRecord
from tuipacs.domain.node import CallService, NodeRecord
from tuipacs.domain.node_health import NodeHealth
from tuipacs.schema import operations as op
from tuipacs.schema.job_messages import RowRef, SendRequest
from tuipacs.ui.dialogs.dialog import Dialog, label, words
from tuipacs.ui.widgets.choices import Choice, Choices, Tick
from tuipacs.ui.widgets.push_button import PushButton


class SendDialog(Dialog[JobRecord]):
    """Queues a job and answers with it. ``what`` names the objects; ``nodes`` can be sent to.

    Nothing is chosen beforehand but the only node there is, or the ``last`` one: a slip would send
    pictures to the wrong place.
    """

    heading = "Send"
    AUTO_FOCUS = "Choices"

    DEFAULT_CSS = """
    SendDialog VerticalScroll { height: auto; max-height: 8; }
    """

    def __init__(
        self,
        what: Sequence[str],
        rows: tuple[RowRef, ...],
        nodes: Sequence[NodeRecord],
        *,
        health: Sequence[NodeHealth] = (),
        last: int = 0,
    ) -> None:
        super().__init__()
        self._what, self._rows, self._targets = what, rows, nodes
        self._health = {one.key: one for one in health}
        self._first = nodes[0].key if len(nodes) == 1 else last

    def compose_form(self) -> Iterable[Widget]:
        for line in self._what:
            yield words(line)
        yield words("")
        yield label("To")
        with VerticalScroll(can_focus=False):
            yield Choices(
                *(
                    Choice(self._words(node), value=node.key == self._first, id=f"node-{node.key}")
                    for node in self._targets
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
    def node(self) -> NodeRecord | None:
        """The node that is chosen."""
        pressed = self.query_one(Choices).pressed_button
        chosen = pressed.id if pressed is not None else ""
        return next((n for n in self._targets if f"node-{n.key}" == chosen), None)

    def _offer(self) -> None:
        tick = self.query_one("#commit", Tick)
        node = self.node
        tick.disabled = node is None or CallService.COMMIT not in node.call.services
        if tick.disabled:
            tick.value = False

    def chosen(self, button: str) -> None:
        node = self.node
        if node is None:
            self.complain("Which node? space chooses one.")
            return
        first = self.query_one("#first", Tick).value
        request = SendRequest(
            rows=self._rows,
            node=node.key,
            commit=self.query_one("#commit", Tick).value,
            priority=JobPriority.HIGH if first else JobPriority.NORMAL,
        )
        self.ask(op.SEND, request, self.dismiss)

    def _words(self, node: NodeRecord) -> str:
        """Its title, what is known of it, and where it is."""
        place = f"{node.call.host}:{node.call.port}"
        health = self._health.get(node.key)
        mark = " "
        if health is not None and health.checked_at:
            mark = "✓" if health.reached else "✗"
        state = "  (paused)" if node.paused else ""
        return f"{mark} {node.ae_title:<16} {node.description or place}{state}"
