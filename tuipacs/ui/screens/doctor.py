"""What the terminal is, how pictures are shown, and why."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tuipacs.ui.graphics.probe import ProbeResult, explain


class DoctorScreen(ModalScreen[None]):
    """Any key closes it."""

    BINDINGS = [Binding("escape,enter,q,f12", "dismiss", "Close", show=False)]

    DEFAULT_CSS = """
    DoctorScreen {
        align: center middle;
        background: $background 65%;
        & > Vertical {
            width: 90; max-width: 96%; height: auto; max-height: 90%; background: $surface;
            border: round $primary; border-title-color: $text-primary; padding: 1 2;
            border-subtitle-color: $text-muted;
        }
        & Static { height: auto; }
    }
    """

    def __init__(self, probe: ProbeResult) -> None:
        super().__init__()
        self._probe = probe

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = "doctor"
            box.border_subtitle = "esc closes"
            yield Static(self._words(), markup=False)

    def _words(self) -> Content:
        lines = []
        for line in explain(self._probe):
            name, _, value = line.partition(" ")
            lines.append(Content.assemble((f"{name:<11}", "$text-muted"), value.strip()))
        size = self.app.size
        lines.append(
            Content.assemble(("screen     ", "$text-muted"), f"{size.width}x{size.height}")
        )
        lines.append(Content.assemble(("theme      ", "$text-muted"), self.app.theme))
        ramp = Content("").join(Content.styled("█", f"rgb({v},{v},{v})") for v in range(0, 256, 5))
        lines += [
            Content(""),
            Content.styled("no step of grey may be missing:", "$text-muted"),
            ramp,
        ]
        lines.append(Content("▀▄█ ▏▎▍▌▋▊▉ ╭─╮ │ ╰─╯ ✓ ⚑ ▸ ▾ ● 山田^太郎 é ü"))
        return Content("\n").join(lines)
