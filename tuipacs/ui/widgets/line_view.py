"""The base of every list: draws only the lines that are visible, whatever their number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tuipacs.ui import actions
from tuipacs.ui.format import fit


class Column(NamedTuple):
    """``width`` in cells; with ``flex`` the least width, and spare room is shared by weight.

    ``source`` is the index of the part that fills it, in lists whose rows have more parts than
    there is room for.
    """

    title: str
    width: int
    flex: int = 0
    align: str = "left"
    source: int = 0


class Cell(NamedTuple):
    """A text and its tone: ``dim``, ``good``, ``warn``, ``bad``, ``accent``, ``strong`` or none."""

    text: str
    tone: str = ""


Part = str | Cell | tuple[Cell, ...]
"""What fills one column: a text, a toned text, or several toned texts side by side."""

TONES = ("dim", "name", "good", "warn", "bad", "accent", "strong", "guide", "hit")
_GAP = 2


class LineView(ScrollView, can_focus=True):
    """A list with a cursor. Subclasses give `line_count`, `columns`, `parts` and may tint rows."""

    BINDINGS = actions.bindings(actions.LIST)

    COMPONENT_CLASSES = {
        "line-view--header",
        "line-view--cursor",
        "line-view--cursor-away",
        "line-view--glow",
        *(f"line-view--{tone}" for tone in TONES),
    }

    DEFAULT_CSS = """
    LineView {
        height: 1fr;
        background: $background;
        color: $foreground;
        overflow-x: hidden;
        overflow-y: auto;
        scrollbar-size-vertical: 1;
        scrollbar-color: $row-guide;
        scrollbar-background: $background;
        scrollbar-background-hover: $background;
        scrollbar-background-active: $background;
        & > .line-view--header { color: $text-muted; background: $background; text-style: none; }
        & > .line-view--cursor { background: $row-cursor; text-style: bold; }
        & > .line-view--cursor-away { background: $row-cursor-away; }
        & > .line-view--glow { background: $row-glow; }
        & > .line-view--dim { color: $text-muted; }
        & > .line-view--name { color: $row-name; text-style: bold; }
        & > .line-view--guide { color: $row-guide; }
        & > .line-view--good { color: $text-success; }
        & > .line-view--warn { color: $text-warning; }
        & > .line-view--bad { color: $text-error; }
        & > .line-view--accent { color: $text-accent; }
        & > .line-view--strong { color: $text-primary; text-style: bold; }
        & > .line-view--hit { color: $background; background: $warning; }
    }
    """

    class Moved(Message):
        """The cursor stands on another line, or another row came under it."""

        def __init__(self, view: LineView) -> None:
            super().__init__()
            self.view = view

        @property
        def control(self) -> LineView:
            """The list."""
            return self.view

    class Chosen(Message):
        """A line was double-clicked."""

        def __init__(self, view: LineView) -> None:
            super().__init__()
            self.view = view

        @property
        def control(self) -> LineView:
            """The list."""
            return self.view

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.cursor = 0
        self._strips: dict[int, Strip] = {}
        self._styles_by_name: dict[str, Style] = {}
        self._base: Style | None = None
        self._layout_for: tuple[int, tuple[Column, ...], tuple[int, ...]] | None = None

    # --- what subclasses say

    @property
    def line_count(self) -> int:
        """How many lines there are."""
        raise NotImplementedError

    def columns(self, width: int) -> Sequence[Column]:
        """The columns that fit into ``width`` cells."""
        raise NotImplementedError

    def parts(self, line: int) -> Sequence[Part]:
        """What fills the columns of ``line``; with fewer, the last one takes all the rest."""
        raise NotImplementedError

    def glows(self, line: int) -> bool:
        """Whether the line is new."""
        return False

    def empty_text(self) -> str:
        """What to say when there are no lines."""
        return ""

    has_header = True
    always_lit = False  # the cursor is as bright without the focus

    # --- drawing

    def redraw(self) -> None:
        """Draw all visible lines again, from what the subclass says now."""
        self._strips.clear()
        self._layout_for = None
        self._fit_virtual_size()
        self.refresh()

    def redraw_line(self, line: int) -> None:
        """Draw one line again, if it is visible; scrolling draws everything anyway."""
        self._strips.pop(line, None)
        row = line - self.first_visible
        if 0 <= row < self.page_lines:
            self.refresh(Region(0, row + self.has_header, self.size.width, 1))

    def _fit_virtual_size(self) -> None:
        wanted = Size(0, self.line_count + self.has_header)
        if self.virtual_size != wanted:
            self.virtual_size = wanted

    def notify_style_update(self) -> None:
        """Forget what is drawn, if it would be drawn differently: the focus changes no colors."""
        super().notify_style_update()
        before, self._styles_by_name = self._styles_by_name, {}
        same = self.rich_style == self._base and all(
            self.tone(name) == style for name, style in before.items()
        )
        if not same:
            self._base = self.rich_style
            self._strips.clear()

    def on_resize(self) -> None:
        """Another width has other columns."""
        self._strips.clear()
        self._layout_for = None
        self.scroll_to_cursor()

    def on_focus(self) -> None:
        """The cursor line looks different with the focus."""
        self._strips.pop(self.cursor, None)

    def on_blur(self) -> None:
        """The cursor line looks different without the focus."""
        self._strips.pop(self.cursor, None)

    def tone(self, name: str) -> Style:
        """The style of a tone; computed once a theme."""
        style = self._styles_by_name.get(name)
        if style is None:
            style = self._styles_by_name[name] = self.get_component_rich_style(
                f"line-view--{name}", partial=name not in ("header",)
            )
        return style

    def _widths(self, width: int) -> tuple[tuple[Column, ...], tuple[int, ...]]:
        if self._layout_for is None or self._layout_for[0] != width:
            columns = tuple(self.columns(width))
            fixed = sum(column.width for column in columns) + _GAP * (len(columns) - 1) + 2
            spare, weights = max(0, width - fixed), sum(column.flex for column in columns)
            widths = []
            for column in columns:
                share = spare * column.flex // weights if weights else 0
                widths.append(column.width + share)
            if weights:
                last = max(i for i, column in enumerate(columns) if column.flex)
                widths[last] += spare - sum(spare * c.flex // weights for c in columns)
            self._layout_for = (width, columns, tuple(widths))
        return self._layout_for[1], self._layout_for[2]

    def room_from(self, index: int, width: int) -> int:
        """Cells from the column ``index`` to the end, in lines of ``width`` cells."""
        rest = self._widths(width)[1][index:]
        return sum(rest) + _GAP * (len(rest) - 1)

    @property
    def line_width(self) -> int:
        """Cells of a line, without the scroll bar."""
        return self.scrollable_content_region.width

    def render_line(self, y: int) -> Strip:
        width = self.line_width
        if self.has_header and y == 0:
            return self._header_strip(width)
        line = round(self.scroll_offset.y) + y - self.has_header
        strip = self._strips.get(line)
        if strip is None or strip.cell_length != width:
            strip = self._line_strip(line, width)
            if len(self._strips) > 500:
                self._strips.clear()
            self._strips[line] = strip
        return strip

    def _header_strip(self, width: int) -> Strip:
        columns, widths = self._widths(width)
        style = self.rich_style + self.tone("header")
        text = " " + (" " * _GAP).join(
            fit(column.title, cells, column.align)
            for column, cells in zip(columns, widths, strict=True)
        )
        return Strip([Segment(fit(text, width), style)], width)

    def _line_strip(self, line: int, width: int) -> Strip:
        base = self.rich_style
        if not 0 <= line < self.line_count:
            empty = self.empty_text() if self.line_count == 0 and line == 1 else ""
            style = base + self.tone("dim") if empty else base
            return Strip([Segment(fit("   " + empty, width), style)], width)
        if self.glows(line):
            base += self.tone("glow")
        if line == self.cursor:
            base += self.tone("cursor" if self.has_focus or self.always_lit else "cursor-away")
        columns, widths = self._widths(width)
        segments = [Segment(" ", base)]
        gap = " " * _GAP
        parts = self.parts(line)
        if len(parts) < len(columns):
            widths = (*widths[: len(parts) - 1], self.room_from(len(parts) - 1, width))
        for index, (column, cells, part) in enumerate(zip(columns, widths, parts, strict=False)):
            if index:
                segments.append(Segment(gap, base))
            # What spans several columns is words, whatever stands in the column it starts in.
            spans = index == len(parts) - 1 < len(columns) - 1
            self._fill(segments, part, cells, "left" if spans else column.align, base)
        used = sum(segment.cell_length for segment in segments)
        return Strip([*segments, Segment(" " * max(0, width - used), base)]).adjust_cell_length(
            width, base
        )

    def _fill(self, out: list[Segment], part: Part, cells: int, align: str, base: Style) -> None:
        if isinstance(part, str):
            out.append(Segment(fit(part, cells, align), base))
            return
        if isinstance(part, Cell):
            style = base + self.tone(part.tone) if part.tone else base
            out.append(Segment(fit(part.text, cells, align), style))
            return
        room = cells
        for piece in part[:-1]:
            style = base + self.tone(piece.tone) if piece.tone else base
            segment = Segment(piece.text, style)
            if segment.cell_length > room:
                segment = Segment(fit(piece.text, room), style)
            room -= segment.cell_length
            out.append(segment)
        last = part[-1] if part else Cell("")
        style = base + self.tone(last.tone) if last.tone else base
        out.append(Segment(fit(last.text, room), style))

    # --- moving

    @property
    def page_lines(self) -> int:
        """How many lines are visible."""
        return max(1, self.size.height - self.has_header)

    @property
    def first_visible(self) -> int:
        """The first visible line."""
        return round(self.scroll_offset.y)

    def move_to(self, line: int) -> None:
        """Put the cursor on ``line``, or the nearest there is."""
        line = max(0, min(line, self.line_count - 1))
        if line != self.cursor:
            before, self.cursor = self.cursor, line
            self.redraw_line(before)
            self.redraw_line(line)
            self.moved()
        self.scroll_to_cursor()

    def moved(self) -> None:
        """Tell that something else is under the cursor now."""
        self.post_message(self.Moved(self))

    def scroll_to_cursor(self) -> None:
        """Scroll as little as shows the cursor, also where no scroll bar has been needed yet."""
        top, page = self.first_visible, self.page_lines
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, force=True)
        elif self.cursor >= top + page:
            self.scroll_to(y=self.cursor - page + 1, animate=False, force=True)

    def scroll_to_lines(self, first: int, last: int) -> None:
        """Scroll as little as shows these lines; the first ones, if there is no room for all."""
        top = min(max(self.first_visible, last - self.page_lines + 1), first)
        if top != self.first_visible:
            self.scroll_to(y=top, animate=False, force=True)

    def action_down(self) -> None:
        """One line down."""
        self.move_to(self.cursor + 1)

    def action_up(self) -> None:
        """One line up."""
        self.move_to(self.cursor - 1)

    def action_half_down(self) -> None:
        """Half a page down."""
        self.move_to(self.cursor + max(1, self.page_lines // 2))

    def action_half_up(self) -> None:
        """Half a page up."""
        self.move_to(self.cursor - max(1, self.page_lines // 2))

    def action_page_down(self) -> None:
        """A page down."""
        self.move_to(self.cursor + self.page_lines)

    def action_page_up(self) -> None:
        """A page up."""
        self.move_to(self.cursor - self.page_lines)

    def action_top(self) -> None:
        """To the first line."""
        self.move_to(0)

    def action_bottom(self) -> None:
        """To the last line."""
        self.move_to(self.line_count - 1)

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor, a second one opens."""
        line = self.first_visible + event.y - self.has_header
        if event.y >= self.has_header and 0 <= line < self.line_count:
            self.move_to(line)
            if event.chain == 2:
                self.post_message(self.Chosen(self))
