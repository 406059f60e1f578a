"""All that is known of the node under the cursor."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from tuipacs.domain.node import NodeRecord
from tuipacs.domain.node_health import NodeHealth
from tuipacs.domain.node_words import facts
from tuipacs.domain.safe_text import cells
from tuipacs.ui import format as f

_GAP = 3
_LABEL = 16
_TWO_COLUMNS = 70  # cells from which on they stand side by side


class NodeCard(Static):
    """Labels and values, in one or two columns."""

    DEFAULT_CSS = """
    NodeCard { padding: 0 1; background: $background; color: $foreground; height: auto; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self._lines: list[tuple[str, str]] = []

    def show(self, node: NodeRecord | None, health: NodeHealth | None) -> None:
        """Describe a node; None: there is none."""
        self._lines = [] if node is None else _lines(node, health)
        self._draw()

    def on_resize(self) -> None:
        """There may be room for another column."""
        self._draw()

    def _draw(self) -> None:
        width = self.content_size.width
        columns = 2 if width >= _TWO_COLUMNS else 1
        each = (width - (columns - 1) * _GAP) // columns
        short = [line for line in self._lines if cells(line[1]) <= each - _LABEL]
        half = -(-len(short) // columns)
        rows = [
            Content(" " * _GAP).join(_pair(pair, each) for pair in short[at::half])
            for at in range(half)
        ]
        for name, value in self._lines:
            if (name, value) not in short:
                texts = f.wrap(value, max(width - _LABEL, 1))
                rows += [_pair((name * (not at), text), width) for at, text in enumerate(texts)]
        self.update(Content("\n").join(rows))


def _pair(line: tuple[str, str], width: int) -> Content:
    name, value = line
    label = f"{name:<{_LABEL - 1}} "
    return Content.assemble((label, "$text-muted"), f.fit(value, max(width - _LABEL, 1)))


def _lines(node: NodeRecord, health: NodeHealth | None) -> list[tuple[str, str]]:
    lines = [(name, value) for name, value in facts(node) if value]
    if health is not None and health.checked_at:
        lines.append(("last test", f"{f.moment(health.checked_at)} {health.words}"))
    if health is not None and health.open_jobs:
        lines.append(("jobs", f.plural(health.open_jobs, "open job")))
    lines.append(("known since", f.moment(node.created_at)))
    return lines
