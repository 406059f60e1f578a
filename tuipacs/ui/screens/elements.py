"""The data elements of one object, nested, foldable and searchable."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual import work
from textual.widget import Widget

from tuipacs.domain.content import ElementLine
from tuipacs.domain.query import fold
from tuipacs.domain.records import InstanceRecord
from tuipacs.errors import TuipacsError
from tuipacs.schema import operations as op
from tuipacs.schema.messages import InstanceRequest
from tuipacs.ui import actions
from tuipacs.ui.format import number, plural
from tuipacs.ui.screens.work import WorkScreen
from tuipacs.ui.widgets.header import HeaderLine
from tuipacs.ui.widgets.line_view import Cell, Column, LineView, Part
from tuipacs.ui.widgets.panel import Panel
from tuipacs.ui.widgets.prompt_line import PromptLine


class ElementList(LineView):
    """Lines of a dataset; what is below a folded sequence is left out."""

    def __init__(self) -> None:
        super().__init__()
        self._all: tuple[ElementLine, ...] = ()
        self._texts: list[str] = []
        self._visible: list[int] = []
        self._folded: set[int] = set()
        self._words = ""
        self.words = "loading …"

    @property
    def line_count(self) -> int:
        return len(self._visible)

    def empty_text(self) -> str:
        return self.words

    def columns(self, width: int) -> Sequence[Column]:
        if width >= 76:
            return (
                Column("Tag", 15),
                Column("VR", 2),
                Column("Name", 22, flex=2),
                Column("Value", 20, flex=3),
                Column("Length", 9, align="right"),
            )
        return (Column("Tag", 13), Column("Name", 16, flex=2), Column("Value", 16, flex=3))

    def parts(self, line: int) -> Sequence[Part]:
        index = self._visible[line]
        element = self._all[index]
        sign = ""
        if element.has_children:
            sign = "▸ " if index in self._folded else "▾ "
        hit = bool(self._words) and self._words in self._texts[index]
        in_value = hit and self._words in fold(element.value)
        tone = "hit" if hit and not in_value else "accent" if element.is_private else ""
        name = (
            Cell("  " * element.depth, "guide"),
            Cell(sign, "guide"),
            Cell(element.name, tone),
            Cell(""),
        )
        value = (Cell(element.value, "hit" if in_value else ""), Cell(""))
        tag = Cell(element.tag, "dim")
        length = "undefined" if element.length < 0 else number(element.length)
        if len(self._widths(self.line_width)[0]) == 3:
            return tag, name, value
        return tag, Cell(element.vr, "dim"), name, value, Cell(length, "dim")

    def set_lines(self, lines: tuple[ElementLine, ...]) -> None:
        """Show these elements, everything unfolded."""
        self._all = lines
        self._texts = [fold(f"{e.tag} {e.vr} {e.name} {e.keyword} {e.value}") for e in lines]
        self._folded.clear()
        self._unfold_visible()

    def _unfold_visible(self) -> None:
        self._visible = []
        hide_below: int | None = None
        for index, element in enumerate(self._all):
            if hide_below is not None and element.depth > hide_below:
                continue
            hide_below = element.depth if index in self._folded else None
            self._visible.append(index)
        self.cursor = max(0, min(self.cursor, len(self._visible) - 1))
        self.redraw()
        self.scroll_to_cursor()

    @property
    def current(self) -> ElementLine | None:
        """The element under the cursor."""
        return self._all[self._visible[self.cursor]] if self._visible else None

    def toggle(self) -> None:
        """Fold or unfold the sequence or item under the cursor."""
        if self.current is not None and self.current.has_children:
            self._folded ^= {self._visible[self.cursor]}
            self._unfold_visible()

    def fold(self) -> None:
        """Fold what the cursor is in, and go there."""
        if not self._visible:
            return
        index = self._visible[self.cursor]
        element = self._all[index]
        if element.has_children and index not in self._folded:
            self.toggle()
            return
        for above in range(index - 1, -1, -1):
            if self._all[above].depth < element.depth:
                self._folded.add(above)
                self._unfold_visible()
                self.move_to(self._visible.index(above))
                return

    def fold_all(self) -> None:
        """Fold every sequence, or unfold everything."""
        sequences = {i for i, e in enumerate(self._all) if e.has_children and e.depth == 0}
        self._folded = set() if self._folded else sequences
        self._unfold_visible()

    def search(self, text: str) -> int:
        """Highlight what contains ``text``; returns the number of hits."""
        self._words = fold(text)
        self.redraw()
        return sum(self._words in t for t in self._texts) if self._words else 0

    def next_hit(self, step: int, *, stay: bool = False) -> bool:
        """Go to the next or previous hit, round the end; what is folded opens."""
        if not self._words or not self._all:
            return False
        here = self._visible[self.cursor] if self._visible else 0
        count = len(self._all)
        offsets = range(0 if stay else 1, count + 1)
        for offset in offsets:
            index = (here + step * offset) % count
            if self._words in self._texts[index]:
                self._open_to(index)
                self.move_to(self._visible.index(index))
                return True
        return False

    def _open_to(self, index: int) -> None:
        depth = self._all[index].depth
        for above in range(index - 1, -1, -1):
            if self._all[above].depth < depth:
                depth = self._all[above].depth
                self._folded.discard(above)
        self._unfold_visible()


class ElementsScreen(WorkScreen):
    """Asks for the elements of one object and shows them."""

    SCOPE = "elements"
    PLACE = "Data elements"
    BINDINGS = actions.bindings("elements")

    DEFAULT_CSS = """
    ElementsScreen {
        & #box { height: 1fr; }
    }
    """

    def __init__(self, instance: InstanceRecord, title: str) -> None:
        super().__init__()
        self._instance = instance
        self._title = title
        self._count = 0
        self._truncated = ""

    def compose_body(self) -> Iterable[Widget]:
        with Panel(id="box"):
            yield PromptLine("/", "tag, name or value", id="search")
            yield ElementList()

    @property
    def elements(self) -> ElementList:
        """The list."""
        return self.query_one(ElementList)

    @property
    def search_line(self) -> PromptLine:
        """Where the search is typed."""
        return self.query_one("#search", PromptLine)

    def begin(self) -> None:
        self.query_one(HeaderLine).set_place(self._title or "Data elements")
        self.set_focus(self.elements)
        self.load()

    def focus_home(self) -> None:
        self.set_focus(self.elements)

    @work(exclusive=True, exit_on_error=True)
    async def load(self) -> None:
        """Fetch the elements."""
        try:
            answer = await self.desk.link.call(op.ELEMENTS, InstanceRequest(key=self._instance.key))
        except TuipacsError as error:
            self.elements.words = error.message
            self.elements.redraw()
            self.tui.report(error, quietly=True)
            return
        self._count, self._truncated = len(answer.lines), answer.truncated
        self.elements.words = "an empty dataset"
        self.elements.set_lines(answer.lines)
        self._tell()

    def _tell(self, hits: int | None = None) -> None:
        title = plural(self._count, "element")
        if hits is not None:
            title += f" ─ {plural(hits, 'hit')}"
        self.query_one("#box", Panel).entitle(
            title, self._truncated or self._instance.sop_instance_uid
        )

    def lacks(self, need: str) -> str:
        if need == "search" and not self.search_line.text:
            return "search first, with /"
        if need == "row" and self.elements.current is None:
            return "there is no element"
        return ""

    def step_back(self) -> bool:
        if super().step_back():
            return True
        if self.search_line.display:
            self.search_line.close()
            self.elements.search("")
            self._tell()
            self.set_focus(self.elements)
            return True
        return False

    def on_prompt_line_typed(self, event: PromptLine.Typed) -> None:
        """Search as one types."""
        if event.line.id == "search":
            hits = self.elements.search(event.text)
            self._tell(hits if event.text else None)
            self.elements.next_hit(1, stay=True)

    def on_prompt_line_entered(self, event: PromptLine.Entered) -> None:
        if event.line.id == "search":
            self.set_focus(self.elements)
            self.refresh_keys()

    def on_line_view_chosen(self) -> None:
        """A double click folds."""
        self.elements.toggle()

    def action_search(self) -> None:
        """Type what to look for."""
        self.search_line.open()

    def action_next(self) -> None:
        """The next hit."""
        self.elements.next_hit(1)

    def action_previous(self) -> None:
        """The previous hit."""
        self.elements.next_hit(-1)

    def action_fold_line(self) -> None:
        """Fold or unfold."""
        self.elements.toggle()

    def action_fold(self) -> None:
        """Fold what the cursor is in."""
        self.elements.fold()

    def action_fold_all(self) -> None:
        """Fold or unfold everything."""
        self.elements.fold_all()

    def action_yank(self) -> None:
        """Copy the value."""
        if self.elements.current is not None:
            self.app.copy_to_clipboard(self.elements.current.value)
            self.notify(f"copied {self.elements.current.name}", markup=False)
