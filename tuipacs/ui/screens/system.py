"""How the archive does: storage, disk, reception, log."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from itertools import pairwise

from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from tuipacs.domain.system import CERTIFICATE_WARNING_DAYS, SystemStatus, TlsHealth
from tuipacs.schema import operations as op
from tuipacs.schema.messages import Changes, Empty
from tuipacs.ui import actions
from tuipacs.ui import format as f
from tuipacs.ui.dialogs.confirm import Confirm
from tuipacs.ui.screens.work import WorkScreen
from tuipacs.ui.widgets.panel import Panel

SAMPLE_EVERY = 2.0  # seconds
_SPARKS = "▁▂▃▄▅▆▇█"


def sparkline(values: Iterable[float], width: int) -> str:
    """The last ``width`` values as a row of bars, the highest one full."""
    shown = list(values)[-width:]
    top = max(shown, default=0.0)
    if top <= 0:
        return _SPARKS[0] * len(shown)
    return "".join(_SPARKS[min(7, int(8 * value / top))] for value in shown)


class SystemScreen(WorkScreen):
    """Four parts; sampled while it is shown."""

    SCOPE = "system"
    PLACE = "System"
    BINDINGS = actions.bindings("system")

    DEFAULT_CSS = """
    SystemScreen {
        & Static { padding: 0 1; height: auto; }
        & #archive-panel, & #storage-panel { overflow-y: auto; scrollbar-size-vertical: 1; }
        & #top { height: 2fr; }
        & #archive-panel, & #storage-panel { width: 1fr; }
        & #reception-panel { height: 5; }
        & #log-panel { height: 1fr; }
        &.-narrow #log-panel, &.-narrow #reception-panel { height: 4; }
        &.-narrow #top { height: 1fr; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._samples: deque[tuple[float, int]] = deque(maxlen=240)

    def compose_body(self) -> Iterable[Widget]:
        with Vertical():
            with Horizontal(id="top"):
                with Panel("archive", id="archive-panel"):
                    yield Static("loading …", id="archive", markup=False)
                with Panel("storage by modality", id="storage-panel"):
                    yield Static(id="storage", markup=False)
            with Panel("reception", id="reception-panel"):
                yield Static(id="reception", markup=False)
            with Panel("log", id="log-panel"):
                yield Static(id="log", markup=False)

    def begin(self) -> None:
        self.tui.refresh_status()
        self.set_interval(SAMPLE_EVERY, self._sample)
        self._show()

    def digest(self, kind: str, changes: Changes | None) -> None:
        if kind == "status":
            self._show()

    def catch_up(self) -> None:
        self._show()

    def on_resize(self) -> None:
        """Bars have other widths."""
        self.call_after_refresh(self._show)

    def _sample(self) -> None:
        if self.is_current:
            self.tui.refresh_status()

    def _show(self) -> None:
        status = self.desk.status
        if status is None or not self.is_mounted:
            return
        self._samples.append((time.monotonic(), status.totals.instances))
        self.query_one("#archive", Static).update(_archive(status, self.desk.now().timestamp()))
        panel = self.query_one("#storage", Static)
        panel.update(storage_bars(status, panel.size.width))
        self._show_reception()
        lines = [Content(line) for line in status.log_tail[-40:]]
        log = self.query_one("#log", Static)
        height = self.query_one("#log-panel", Panel).size.height
        log.update(Content("\n").join(lines[-max(1, height) :]))

    def _show_reception(self) -> None:
        widget = self.query_one("#reception", Static)
        pairs = list(self._samples)
        rates = [
            max(0, b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(pairs) if b[0] - a[0] > 0.2
        ]
        now = rates[-1] if rates else 0.0
        widget.update(
            Content.assemble(
                (sparkline(rates, max(1, widget.size.width - 2)), "$text-accent"),
                "\n",
                (f"{now:.1f} objects/s now, ", "$text-muted"),
                (f"{max(rates, default=0.0):.1f} at most since this screen opened", "$text-muted"),
            )
        )

    def action_reload(self) -> None:
        """Now, not in a moment."""
        self.tui.refresh_status()

    def action_stop(self) -> None:
        """Stop the archive for everyone."""
        health, status = self.desk.health, self.desk.status
        if health is None:
            return
        lines = [f"{health.ae_title} stops receiving, for everyone, until it is started again."]
        if status is not None and status.associations:
            lines.append(f"{f.plural(status.associations, 'association')} may finish first.")
        if status is not None and status.sessions > 1:
            lines.append(f"{f.plural(status.sessions, 'session')} are open.")

        def answered(yes: bool | None) -> None:
            if yes:
                self.run_worker(self._stop(), group="stop")

        text = "\n".join(lines)
        self.app.push_screen(Confirm("Stop the archive", text, "Stop it", danger=True), answered)

    async def _stop(self) -> None:
        if await self.ask(op.STOP, Empty()) is not None:
            self.notify("the archive stops", markup=False)


_NAME = 8  # cells of a modality, RTSTRUCT the longest


def _table(rows: list[tuple[str, str | Content]]) -> Content:
    width = max(len(name) for name, _ in rows)
    return Content("\n").join(
        Content.assemble((f"{name:<{width}}  ", "$text-muted"), value) for name, value in rows
    )


def _archive(status: SystemStatus, now: float) -> Content:
    health, totals = status.health, status.totals
    used = status.disk_total - status.disk_free
    reception: Content = Content.styled("receiving", "$text-success")
    if not health.receiving:
        reason = f": {health.receiving_reason}" if health.receiving_reason else ""
        reception = Content.styled(f"not receiving{reason}", "$text-error")
    share = f.percent(used, status.disk_total)
    disk = f"{f.size(used)} of {f.size(status.disk_total)} used, {share}"
    rows: list[tuple[str, str | Content]] = [
        ("AE title", f"{health.ae_title} {health.host}:{health.port_words}"),
        ("Reception", reception),
        (
            "Callers",
            {
                "refuse": "known nodes only",
                "echo": "unknown ones may test",
                "store": "unknown ones may send",
            }.get(status.unknown_callers, status.unknown_callers),
        ),
        ("Up since", f.moment(health.started_at)),
        ("Folder", status.archive),
        ("Disk", disk),
        ("Reserve", f"{status.reserve >> 20:,} MiB stay free"),
        ("Patients", f.number(totals.patients)),
        ("Studies", f.number(totals.studies)),
        ("Series", f.number(totals.series)),
        ("Images", f"{f.number(totals.instances)}, {f.size(totals.size_bytes)}"),
        ("Quarantine", f.number(status.quarantined)),
        ("Sessions", f.number(status.sessions)),
        ("Memory", f.size(status.memory_bytes)),
        ("Version", f"{health.version}, process {health.pid}"),
    ]
    if health.tls is not None:
        rows.insert(2, ("TLS", _tls(health.tls, now)))
    if status.read_only:
        rows.insert(2, ("Read-only", Content.styled(status.read_only, "bold $text-error")))
    return _table(rows)


def _tls(tls: TlsHealth, now: float) -> Content:
    """Port and certificate; red or yellow when somebody has to act."""
    left = tls.days_left(now)
    if tls.problem:
        return Content.styled(tls.problem, "bold $text-error")
    if left < 0:
        return Content.styled(f"port {tls.port}, the certificate has EXPIRED", "bold $text-error")
    words = f"port {tls.port}, certificate for {f.plural(left, 'more day')}"
    return Content.styled(words, "$text-warning" if left < CERTIFICATE_WARNING_DAYS else "")


def storage_bars(status: SystemStatus, width: int) -> Content:
    uses = sorted(status.modalities, key=lambda use: -use.size_bytes)
    if not uses:
        return Content.styled("nothing is stored yet", "$text-muted")
    top = uses[0].size_bytes or 1
    counts = width >= 48
    bar = max(4, width - _NAME - (30 if counts else 13))
    lines = []
    for use in uses:
        filled = max(1, bar * use.size_bytes // top)
        lines.append(
            Content.assemble(
                (f"{f.fit(use.modality or '?', _NAME)} ", "$text-accent"),
                ("━" * filled, "$primary"),
                ("─" * (bar - filled), "$row-guide"),
                f" {f.size(use.size_bytes):>8}",
                (f"  {f.number(use.instances):>10} img" if counts else "", "$text-muted"),
            )
        )
    return Content("\n").join(lines)
