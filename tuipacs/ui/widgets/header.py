"""The top line: where one is, how the archive does, who one is, and what time it is."""

from __future__ import annotations

from textual.content import Content
from textual.widget import Widget

from tuipacs.domain.system import Health
from tuipacs.ui.desk import Desk
from tuipacs.ui.format import percent


def ports(health: Health) -> str:
    """ "11112", "11112 +2762 TLS", or "2762 TLS" where no other port is open."""
    tls = f"{health.tls.port} TLS" if health.tls is not None else ""
    if not health.port:
        return tls
    return f"{health.port} +{tls}" if tls else str(health.port)


class HeaderLine(Widget):
    """One line that leaves out the less important when it is narrow."""

    DEFAULT_CSS = """
    HeaderLine {
        height: 1;
        dock: top;
        background: $panel;
        color: $foreground;
        padding: 0 1;
    }
    """

    def __init__(self, desk: Desk, place: str) -> None:
        super().__init__()
        self._desk = desk
        self._place = place

    def on_mount(self) -> None:
        """Keep the clock right."""
        self.set_interval(5.0, self.refresh)

    def set_place(self, place: str) -> None:
        """Another name of where one is."""
        self._place = place
        self.refresh()

    def render(self) -> Content:
        left = Content.assemble(
            ("tuipacs", "bold $text-primary"), (" ▸ ", "$text-muted"), (self._place, "bold")
        )
        width = self.size.width
        clock = Content(self._desk.now().strftime("%H:%M"))
        who = self._who(long=width >= 100)
        right = Content("  ").join([part for part in (who, clock) if part.plain])
        room = width - left.cell_length - right.cell_length - 6
        middle = Content("")
        for part in self._state():
            longer = Content("  ").join([middle, part]) if middle.plain else part
            if longer.cell_length > room:
                break
            middle = longer
        gap = width - left.cell_length - middle.cell_length - right.cell_length
        before = 4 if middle.plain and gap >= 8 else min(2, max(gap - 1, 0))
        return Content("").join(
            [left, Content(" " * before), middle, Content(" " * max(1, gap - before)), right]
        )

    def _who(self, *, long: bool) -> Content:
        session = self._desk.session
        if session is None:
            return Content("")
        name = Content(session.user)
        role = f" ({session.role.value})" if long else f" ({session.role.value[:4]}.)"
        if not long and len(session.role.value) <= 7:
            role = f" ({session.role.value})"
        return Content.assemble(name, (role, "$text-muted"))

    def _state(self) -> list[Content]:
        """Most important first."""
        desk, parts = self._desk, []
        health = desk.health
        if health is not None:
            dot = ("●", "$text-success")
            words = f" SCP {ports(health)}"
            if not desk.reachable:
                dot, words = ("○", "$text-error"), " not reachable"
            elif not health.receiving:
                dot, words = ("●", "$text-error"), " not receiving"
            open_ones = f" ▲{desk.associations_open}" if desk.associations_open else ""
            parts.append(
                Content.assemble(
                    (health.ae_title, "bold"), " ", dot, words, (open_ones, "$text-accent")
                )
            )
        if jobs := desk.running_jobs:
            total = sum(job.total for job in jobs)
            done = percent(sum(job.done for job in jobs), total) if total else "…"
            parts.append(Content.assemble(("jobs ", "$text-muted"), f"{len(jobs)}▸{done}"))
        if (status := desk.status) is not None and status.disk_total:
            used = status.disk_total - status.disk_free
            tone = "$text-error" if status.disk_free < 2 * status.reserve else ""
            share = percent(used, status.disk_total)
            parts.append(
                Content.assemble(("disk ", "$text-muted"), (share, tone) if tone else share)
            )
            if status.read_only:
                parts.append(Content.styled("READ-ONLY", "bold $text-error"))
        return parts
