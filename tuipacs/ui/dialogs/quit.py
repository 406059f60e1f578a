"""Leaving: does the archive keep receiving?"""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget
from textual.widgets import Button

from tuipacs.domain.permissions import Permission
from tuipacs.domain.system import Health
from tuipacs.ui.actions import needs_role
from tuipacs.ui.desk import Desk
from tuipacs.ui.dialogs.dialog import Dialog, words
from tuipacs.ui.format import percent, plural
from tuipacs.ui.widgets.push_button import PushButton

KEEP, STOP = "keep", "stop"


class QuitDialog(Dialog[str]):
    """Answers ``keep`` or ``stop``; None stays."""

    heading = "Quit"
    AUTO_FOCUS = "#keep"

    def __init__(self, desk: Desk, *, is_demo: bool = False) -> None:
        super().__init__()
        self._desk, self._is_demo = desk, is_demo

    def compose_form(self) -> Iterable[Widget]:
        if self._is_demo:
            yield words("The demo ends with this screen, and its archive is removed.")
            return
        desk = self._desk
        lines = []
        if desk.health is not None and desk.reachable:
            lines.append(
                f"{desk.health.ae_title} receives on {_ports(desk.health)}."
                " It can go on without this screen."
            )
        elif not desk.reachable:
            lines.append("The archive cannot be reached now.")
        if desk.associations_open:
            lines.append(f"{plural(desk.associations_open, 'association')} open right now.")
        if desk.running_jobs:
            lines.append("")
            lines.append("Running jobs go on if the archive does:")
            lines += [
                f"  {job.title}  {percent(job.done, job.total) if job.total else job.state.value}"
                for job in desk.running_jobs[:6]
            ]
        if desk.session is not None and not desk.may(Permission.STOP_ARCHIVE):
            lines += ["", f"Stopping the archive {needs_role(Permission.STOP_ARCHIVE)}."]
        yield words("\n".join(lines))

    def buttons(self) -> Iterable[Button]:
        yield PushButton("Cancel", id="cancel")
        if self._is_demo:
            yield PushButton("End the demo", id=KEEP)
            return
        stop = PushButton("Stop it", id=STOP, classes="-danger")
        stop.disabled = not (self._desk.reachable and self._desk.may(Permission.STOP_ARCHIVE))
        yield stop
        yield PushButton("Keep receiving" if self._desk.reachable else "Leave", id=KEEP)

    def chosen(self, button: str) -> None:
        self.dismiss(STOP if button == STOP else KEEP)


def _ports(health: Health) -> str:
    if health.tls is not None and health.port:
        return f"ports {health.port} and {health.tls.port} (TLS)"
    return f"port {health.port_words}"
