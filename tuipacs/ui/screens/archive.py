"""The archive: patients, studies, series and instances, as a tree or a flat list."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace

from textual import work
from textual.containers import Horizontal
from textual.timer import Timer
from textual.widget import Widget

from tuipacs.domain.level import Level
from tuipacs.domain.permissions import Permission
from tuipacs.domain.query import SortKey, parse_filter
from tuipacs.domain.records import InstanceRecord, PatientRecord, SeriesRecord, StudyRecord
from tuipacs.errors import TuipacsError, UsageError
from tuipacs.schema.messages import Changes
from tuipacs.ui import actions
from tuipacs.ui.archive_loader import ArchiveLoader, View
from tuipacs.ui.archive_refresh import ArchiveRefresh
from tuipacs.ui.format import number, person_name
from tuipacs.ui.object_loader import representative
from tuipacs.ui.outline import LineKind, Record, RowKey, uid_of
from tuipacs.ui.screens.work import WorkScreen
from tuipacs.ui.widgets.archive_side import ArchiveSide, Subject
from tuipacs.ui.widgets.archive_table import ArchiveTable
from tuipacs.ui.widgets.line_view import LineView
from tuipacs.ui.widgets.panel import Panel
from tuipacs.ui.widgets.prompt_line import PromptLine

FILTER_AFTER = 0.15  # seconds without a key
AGAIN_AFTER = 0.25  # seconds until the list is read again that changed while it was read
_SORTS = (
    (SortKey.RECEIVED, True, "newest received"),
    (SortKey.DATE, True, "newest study"),
    (SortKey.NAME, False, "name"),
    (SortKey.ID, False, "patient ID"),
)


class ArchiveScreen(WorkScreen):
    """Table, and beside it details and a picture where there is room."""

    SCOPE = "archive"
    PLACE = "Archive"
    BINDINGS = actions.bindings("archive")

    DEFAULT_CSS = """
    ArchiveScreen {
        & #list { width: 1fr; }
        & #side { width: 40%; max-width: 74; display: none; }
        &.-medium #side { display: block; width: 36; }
        &.-medium #side #details-panel { height: 1fr; }
        &.-wide #side { display: block; }
        &.-wide #side #picture-panel { display: block; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._filter_timer: Timer | None = None
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
        self._tell_counts()

    def _why_empty(self) -> str:
        if self.loader.view.filter:
            return "nothing matches; esc clears the filter"
        health = self.desk.health
        if health is None or not self.desk.may(Permission.IMPORT):
            return "no studies yet"
        return f"no studies yet: send to {health.ae_title} on port {health.port}, or press I"

    @work(group="pages", exit_on_error=True)
    async def fill_pages(self) -> None:
        """Load what is missing near the viewport."""
        try:
            await self.loader.fill()
        except TuipacsError as error:
            self.tui.report(error)
        self._tell_counts()

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
                self._tell_counts()
        except TuipacsError as error:
            self.tui.report(error)
        finally:
            self._refreshing = False

    def _tell_counts(self) -> None:
        outline, view = self.table.outline, self.loader.view
        noun = "studies" if view.top is Level.STUDY else "patients"
        words = f"{number(outline.matched)} {noun}"
        if view.filter:
            words = f"{number(outline.matched)} of {number(outline.total)} {noun}"
        if self.table.marks:
            words += f" ─ {len(self.table.marks)} marked"
        sort = next(
            text for key, down, text in _SORTS if (key, down) == (view.sort, view.descending)
        )
        self.query_one("#list", Panel).entitle(words, f"by {sort}")

    # --- cursor

    def on_line_view_moved(self, event: LineView.Moved) -> None:
        """Details and picture follow the cursor."""
        line = self.table.current
        subject = None
        if line is not None and line.key is not None:
            subject = Subject(line.key, self._title(), self._modality())
        self.side.show(self.table.current_record, subject)
        self.refresh_keys()

    def _report_quietly(self, error: TuipacsError) -> None:
        self.tui.report(error, quietly=True)

    def on_line_view_chosen(self) -> None:
        """A double click opens."""
        self.action_open()

    def on_resize(self) -> None:
        """The preview appears when there is room."""
        self.side.again()

    def _modality(self) -> str:
        """The modality of the pictures that the row stands for; empty when there are several."""
        for record in self._lineage():
            if isinstance(record, SeriesRecord):
                return record.modality
            if isinstance(record, StudyRecord) and len(record.modalities_in_study) == 1:
                return record.modalities_in_study[0]
            if isinstance(record, PatientRecord) and len(record.modalities) == 1:
                return record.modalities[0]
        return ""

    def wipe(self) -> None:
        self.side.wipe()

    def unwiped(self) -> None:
        self.side.again()

    # --- what can be done

    def lacks(self, need: str) -> str:
        if need == "row" and (self.table.current is None or self.table.current.key is None):
            more = self.table.current is not None and self.table.current.kind is LineKind.MORE
            return "" if more else "there is no row under the cursor"
        if need == "marks" and not self.table.marks:
            return "nothing is marked"
        return ""

    def step_back(self) -> bool:
        """Command line, then the filter's focus, then its text, then the marks."""
        if super().step_back():
            return True
        if self.filter_line.is_open and self.filter_line.text:
            self.set_focus(self.table)
        elif self.filter_line.display:
            self.filter_line.close()
            self.set_focus(self.table)
            if self.loader.wanted.filter:
                self.show_view(filter="")
        elif self.table.marks:
            self.action_unmark()
        else:
            return False
        return True

    def on_prompt_line_typed(self, event: PromptLine.Typed) -> None:
        """Filter as one types."""
        if event.line.id != "filter":
            return
        try:
            parse_filter(event.text, self.desk.now().date())
        except UsageError as error:
            self.filter_line.complain(error.message)
            return
        self.filter_line.complain("")
        if self._filter_timer is not None:
            self._filter_timer.stop()
        self._filter_timer = self.set_timer(FILTER_AFTER, self._apply_filter)

    def _apply_filter(self) -> None:
        if self.filter_line.text != self.loader.wanted.filter:
            self.show_view(filter=self.filter_line.text)

    def on_prompt_line_entered(self, event: PromptLine.Entered) -> None:
        if event.line.id == "filter":
            event.stop()
            if not event.text.strip():
                self.filter_line.close()
            self._apply_filter_now(event.text)
            self.set_focus(self.table)

    def _apply_filter_now(self, text: str) -> None:
        if self._filter_timer is not None:
            self._filter_timer.stop()
        if text != self.loader.wanted.filter:
            self.show_view(filter=text)

    def set_filter(self, text: str) -> None:
        """Filter from the command line."""
        self.filter_line.open(text)
        self.set_focus(self.table)
        self._apply_filter_now(text)

    # --- actions

    def action_open(self) -> None:
        """Open the row, go to its first child, or load more."""
        table = self.table
        line = table.current
        if line is None:
            return
        if line.kind is LineKind.MORE and line.parent is not None:
            self.fetch_branch(line.parent, more=True)
        elif line.key is not None and line.is_open:
            table.move_to(table.cursor + 1)
        elif line.key is not None and line.key.level is Level.INSTANCE:
            self.action_preview()
        elif (key := table.outline.open(table.cursor)) is not None:
            table.redraw()
            self.fetch_branch(key)

    def action_close(self) -> None:
        """Close the row, or go to the row it belongs to."""
        table = self.table
        line = table.current
        if line is None:
            return
        if line.key is not None and line.is_open:
            table.outline.close(line.key)
            table.redraw()
        elif line.parent is not None:
            above = table.outline.line_of(line.parent)
            if above is not None:
                table.move_to(above)

    def action_preview(self) -> None:
        """Show the picture of the row on the whole screen."""
        from tuipacs.ui.screens.preview import PreviewScreen

        line = self.table.current
        if line is not None and line.key is not None:
            self.app.push_screen(PreviewScreen(line.key, self._title(), self._modality()))

    def _lineage(self) -> list[Record]:
        """The row under the cursor and the opened rows above it, nearest first."""
        outline, line = self.table.outline, self.table.current
        if line is None or line.key is None or line.record is None:
            return []
        above = (outline.record(key) for key in outline.ancestors(line.key))
        return [line.record, *(record for record in above if record is not None)]

    def _title(self) -> str:
        """Whose pictures these are: name and ID, as the study itself carries them."""
        for record in self._lineage():
            if isinstance(record, PatientRecord | StudyRecord):
                name = person_name(record.patient_name) or "(no name)"
                return f"{name}  {record.patient_id or '(no ID)'}"
        return ""

    def action_elements(self) -> None:
        """Show the data elements of the object that stands for the row."""
        line = self.table.current
        if line is not None and line.key is not None:
            self.open_elements(line.key, line.record)

    @work(exclusive=True, group="elements", exit_on_error=True)
    async def open_elements(self, key: RowKey, record: Record | None) -> None:
        """Find the object, then show its elements."""
        from tuipacs.ui.screens.elements import ElementsScreen

        instance = record if isinstance(record, InstanceRecord) else None
        if instance is None:
            try:
                instance = (await representative(self.desk, key)).instance
            except TuipacsError as error:
                self.tui.report(error)
                return
        if instance is None:
            self.notify("This row has no objects.", markup=False)
        else:
            self.app.push_screen(ElementsScreen(instance, self._title()))

    def action_filter(self) -> None:
        """Type a filter."""
        self.filter_line.open()

    def action_mark(self) -> None:
        """Mark the row and go on."""
        self.table.toggle_mark()
        self.table.action_down()
        self._tell_counts()
        self.refresh_keys()

    def action_unmark(self) -> None:
        """Clear the marks."""
        self.table.clear_marks()
        self._tell_counts()
        self.refresh_keys()

    def action_sort(self) -> None:
        """The next order."""
        view = self.loader.wanted
        index = [(key, down) for key, down, _ in _SORTS].index((view.sort, view.descending))
        key, down, _ = _SORTS[(index + 1) % len(_SORTS)]
        self.show_view(sort=key, descending=down)

    def set_sort(self, name: str) -> bool:
        """Sort from the command line; False when there is no such order."""
        for key, down, _ in _SORTS:
            if key.value == name:
                self.show_view(sort=key, descending=down)
                return True
        return False

    def action_flat(self) -> None:
        """Tree or flat list."""
        top = Level.PATIENT if self.loader.wanted.top is Level.STUDY else Level.STUDY
        self.tui.remember(flat_list=top is Level.STUDY)
        self.show_view(top=top)

    def action_yank(self) -> None:
        """Copy the UIDs of the marked rows, or of the row, to the clipboard."""
        records = list(self.table.marks.values())
        if not records and self.table.current_record is not None:
            records = [self.table.current_record]
        uids = [uid_of(record) for record in records]
        self.app.copy_to_clipboard("\n".join(uids))
        text = uids[0] if len(uids) == 1 else f"{len(uids)} UIDs"
        self.notify(f"copied {text}", markup=False)

    def action_import(self) -> None:
        """Import files on the archive's machine."""
        self.tui.import_files()

    def action_reload(self) -> None:
        """Ask for everything again."""
        self.digest("archive", None)
