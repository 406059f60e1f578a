"""The archive: patients, studies, series and instances, as a tree or a flat list."""

from __future__ import annotations

from textual import work
from textual.timer import Timer

from tuipacs.domain.level import Level
from tuipacs.domain.query import parse_filter
from tuipacs.domain.records import InstanceRecord, PatientRecord, SeriesRecord, StudyRecord
from tuipacs.errors import TuipacsError, UsageError
from tuipacs.ui import actions
from tuipacs.ui.format import person_name
from tuipacs.ui.object_loader import representative
from tuipacs.ui.outline import LineKind, Record, RowKey, uid_of
from tuipacs.ui.screens.archive_view import SORTS, ArchiveView
from tuipacs.ui.widgets.archive_side import Subject
from tuipacs.ui.widgets.line_view import LineView
from tuipacs.ui.widgets.prompt_line import PromptLine

FILTER_AFTER = 0.15  # seconds without a key


class ArchiveScreen(ArchiveView):
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

    # --- cursor

    def on_line_view_moved(self, event: LineView.Moved) -> None:
        """Details and picture follow the cursor."""
        line = self.table.current
        subject = None
        if line is not None and line.key is not None:
            subject = Subject(line.key, self._title(), self._modality())
        self.side.show(self.table.current_record, subject)
        self.refresh_keys()

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
        if need == "study" and self._study() is None:
            return "open the patient: it is asked of a study"
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
        line = self.table.current
        if line is None or line.key is None or line.record is None:
            return []
        return self._with_those_above(line.key, line.record)

    def _with_those_above(self, key: RowKey, record: Record) -> list[Record]:
        outline = self.table.outline
        above = (outline.record(each) for each in outline.ancestors(key))
        return [record, *(each for each in above if each is not None)]

    def _study(self) -> StudyRecord | None:
        """The study under the cursor, or the one that the row belongs to."""
        return next((each for each in self._lineage() if isinstance(each, StudyRecord)), None)

    def action_why(self) -> None:
        """Why the study was sent on, or not."""
        from tuipacs.ui.dialogs.route_explain import ExplainDialog

        study = self._study()
        if study is not None:
            self.app.push_screen(ExplainDialog(study.key))

    def _title(self) -> str:
        """Whose pictures these are."""
        return self._owner(self._lineage())

    @staticmethod
    def _owner(lineage: list[Record]) -> str:
        """Whose it is: name and ID, as the study itself carries them."""
        for record in lineage:
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
        self.tell_counts()
        self.refresh_keys()

    def action_unmark(self) -> None:
        """Clear the marks."""
        self.table.clear_marks()
        self.tell_counts()
        self.refresh_keys()

    def action_sort(self) -> None:
        """The next order."""
        view = self.loader.wanted
        index = [(key, down) for key, down, _ in SORTS].index((view.sort, view.descending))
        key, down, _ = SORTS[(index + 1) % len(SORTS)]
        self.show_view(sort=key, descending=down)

    def set_sort(self, name: str) -> bool:
        """Sort from the command line; False when there is no such order."""
        for key, down, _ in SORTS:
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

    def action_send(self) -> None:
        """Send the marked rows, or the row, to a node."""
        line = self.table.current
        chosen = dict(self.table.marks)
        if not chosen and line is not None and line.key is not None and line.record is not None:
            chosen = {line.key: line.record}
        if chosen:
            self.send(
                [
                    (record, self._owner(self._with_those_above(key, record)))
                    for key, record in chosen.items()
                ]
            )

    @work(exclusive=True, group="send", exit_on_error=True)
    async def send(self, chosen: list[tuple[Record, str]]) -> None:
        """Fetch the nodes, then ask."""
        from tuipacs.ui import sending

        await sending.send(self.tui, chosen)

    def action_import(self) -> None:
        """Import files on the archive's machine."""
        self.tui.import_files()

    def action_reload(self) -> None:
        """Ask for everything again."""
        self.digest("archive", None)
