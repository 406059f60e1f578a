"""The archive's list on its screen: what it is made of, and what brings rows into it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace

from textual import work
from textual.containers import Horizontal
from textual.widget import Widget

from tuipacs.domain.level import Level
from tuipacs.domain.permissions import Permission
from tuipacs.domain.query import SortKey
from tuipacs.errors import TuipacsError, UsageError
from tuipacs.schema.messages import Changes
from tuipacs.ui.archive_loader import ArchiveLoader, View
from tuipacs.ui.archive_refresh import ArchiveRefresh
from tuipacs.ui.format import number
from tuipacs.ui.outline import RowKey
from tuipacs.ui.screens.work import WorkScreen
from tuipacs.ui.widgets.archive_side import ArchiveSide
from tuipacs.ui.widgets.archive_table import ArchiveTable
from tuipacs.ui.widgets.panel import Panel
from tuipacs.ui.widgets.prompt_line import PromptLine

AGAIN_AFTER = 0.25  # seconds until the list is read again that changed while it was read
SORTS = (
    (SortKey.RECEIVED, True, "newest received"),
    (SortKey.DATE, True, "newest study"),
    (SortKey.NAME, False, "name"),
    (SortKey.ID, False, "patient ID"),
)
"""Orders, and whether they descend, in the order in which one key goes through them."""


class ArchiveView(WorkScreen):
    """The part of `ArchiveScreen` that loads; what keys do is in the other."""

    def __init__(self) -> None:
        super().__init__()
        self._refreshing = False
        self._pending: list[Changes | None] = []

    def compose_body(self) -> Iterable[Widget]:
        with Horizontal():
            with Panel(id="list"):
                yield PromptLine("/", "words  mod:CT  date:-7d  id:  acc:  !not", id="filter")
                yield ArchiveTable(id="table")
            yield ArchiveSide(self.desk, self.tui.graphics, self._report_quietly, id="side")

    # --- parts

    @property
    def table(self) -> ArchiveTable:
        """The list."""
        return self.query_one(ArchiveTable)

    @property
    def filter_line(self) -> PromptLine:
        """Where the filter is typed."""
        return self.query_one("#filter", PromptLine)

    @property
    def side(self) -> ArchiveSide:
        """Details and picture."""
        return self.query_one(ArchiveSide)

    def begin(self) -> None:
        self.loader = ArchiveLoader(self.desk, self.table)
        top = Level.STUDY if self.tui.preferences.flat_list else Level.PATIENT
        self.loader.view = self.loader.wanted = replace(self.loader.view, top=top)
        self.refresher = ArchiveRefresh(self.desk, self.table, self.loader)
        self.table.outline.clear(top)
        self.table.say_when_empty("loading …")
        self.set_focus(self.table)
        self.show_view()

    def focus_home(self) -> None:
        self.set_focus(self.table)

    # --- loading

    def show_view(self, **changes: object) -> None:
        """Show another view. What is asked for quickly one after another adds up."""
        self.loader.wanted = replace(self.loader.wanted, **changes)  # type: ignore[arg-type]
        self.load_view(self.loader.wanted)

    @work(exclusive=True, group="view", exit_on_error=True)
    async def load_view(self, view: View) -> None:
        """Fetch a view; a filter that cannot be read is explained beside it."""
        try:
            if not await self.loader.show(view):
                return
        except UsageError as error:
            self.loader.wanted = self.loader.view
            self.filter_line.complain(error.message)
            self.digest("archive", None)  # what came meanwhile was not for the view that stays
            return
        except TuipacsError as error:
            self.loader.wanted = self.loader.view
            self.tui.report(error)
            return
        self.filter_line.complain("")
        self.table.say_when_empty(self._why_empty())
        self.table.moved()
        self.tell_counts()

    def _why_empty(self) -> str:
        if self.loader.view.filter:
            return "nothing matches; esc clears the filter"
        health = self.desk.health
        if health is None or not self.desk.may(Permission.IMPORT):
            return "no studies yet"
        words = f"no studies yet: send to {health.ae_title} on port {health.port_words}, or press I"
        status = self.desk.status
        if status is None or status.unknown_callers == "store":
            return words
        return f"{words}. Who is turned away stands at g i: a makes a known node of it"

    @work(group="pages", exit_on_error=True)
    async def fill_pages(self) -> None:
        """Load what is missing near the viewport."""
        try:
            await self.loader.fill()
        except TuipacsError as error:
            self.tui.report(error)
        self.tell_counts()

    def on_archive_table_wanted(self) -> None:
        """Lines near the viewport are not loaded."""
        self.fill_pages()

    @work(group="branch", exit_on_error=True)
    async def fetch_branch(self, key: RowKey, *, more: bool = False) -> None:
        """Load the children of a row."""
        try:
            await (self.loader.more(key) if more else self.loader.open(key))
        except TuipacsError as error:
            self.loader.fail(key, error.message)
            self.tui.report(error)

    def digest(self, kind: str, changes: Changes | None) -> None:
        if kind == "archive":
            self._pending.append(changes)
            if not self._refreshing:
                self._refreshing = True
                self.refresh_rows()

    def catch_up(self) -> None:
        self.digest("archive", None)

    @work(group="refresh", exit_on_error=True)
    async def refresh_rows(self) -> None:
        """Bring the list up to date, one round at a time."""
        try:
            while self._pending:
                pending, self._pending = self._pending, []
                single = pending[0] if len(pending) == 1 else None
                if not await self.refresher.run(single):
                    self._pending.append(None)
                    await asyncio.sleep(AGAIN_AFTER)
                self.tell_counts()
        except TuipacsError as error:
            self.tui.report(error)
        finally:
            self._refreshing = False

    def tell_counts(self) -> None:
        """How many there are, and in which order, in the frame."""
        outline, view = self.table.outline, self.loader.view
        noun = "studies" if view.top is Level.STUDY else "patients"
        words = f"{number(outline.matched)} {noun}"
        if view.filter:
            words = f"{number(outline.matched)} of {number(outline.total)} {noun}"
        if self.table.marks:
            words += f" ─ {len(self.table.marks)} marked"
        sort = next(
            text for key, down, text in SORTS if (key, down) == (view.sort, view.descending)
        )
        self.query_one("#list", Panel).entitle(words, f"by {sort}")

    def _report_quietly(self, error: TuipacsError) -> None:
        self.tui.report(error, quietly=True)
