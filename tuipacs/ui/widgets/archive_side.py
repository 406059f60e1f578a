"""Beside the archive's list: details of the row at once, its picture when the cursor rests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.timer import Timer

from tuipacs.domain.records import StudyRecord
from tuipacs.errors import TuipacsError
from tuipacs.schema import operations as op
from tuipacs.schema.commit_messages import StudyCommitmentsRequest
from tuipacs.ui.desk import Desk
from tuipacs.ui.graphics.choice import GraphicsChoice
from tuipacs.ui.object_loader import representative, show_object
from tuipacs.ui.outline import Record, RowKey
from tuipacs.ui.widgets.details import Details
from tuipacs.ui.widgets.object_view import ObjectView
from tuipacs.ui.widgets.panel import Panel

PREVIEW_AFTER = 0.04  # seconds the cursor must rest
RESIZED_AFTER = 0.15  # seconds until the panes have their new sizes
STALE_AFTER = 0.2  # seconds that the picture of another row may stay


@dataclass(frozen=True)
class Subject:
    """The row whose picture is wanted: whose it is, and of which modality (empty: several)."""

    key: RowKey
    title: str
    modality: str


class ArchiveSide(Vertical):
    """Pictures only where there is room for them; ``report`` takes errors that concern all."""

    DEFAULT_CSS = """
    ArchiveSide {
        & #picture-panel { height: 3fr; display: none; }
        & #details-panel { height: 2fr; }
    }
    """

    def __init__(
        self,
        desk: Desk,
        choice: GraphicsChoice,
        report: Callable[[TuipacsError], None],
        *,
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self._desk, self._choice, self._report = desk, choice, report
        self._record: Record | None = None
        self._wanted: Subject | None = None
        self._shown: RowKey | None = None
        self._delay: Timer | None = None

    def compose(self) -> ComposeResult:
        with Panel("preview", id="picture-panel"):
            yield ObjectView(self._choice)
        with Panel("details", id="details-panel"):
            yield Details()

    @property
    def object_view(self) -> ObjectView:
        """Where the picture is."""
        return self.query_one(ObjectView)

    def show(self, record: Record | None, subject: Subject | None) -> None:
        """Another row is under the cursor."""
        self.query_one(Details).show(record)
        self._record = record
        self._wanted = subject
        self._soon(PREVIEW_AFTER)

    def again(self) -> None:
        """Show the picture once more: there is room now, or the screen was unlocked."""
        self._shown = None
        self._soon(RESIZED_AFTER)

    def wipe(self) -> None:
        """Remove the picture."""
        self._shown = None
        self.workers.cancel_group(self, "preview")
        self.object_view.wipe()

    def _soon(self, seconds: float) -> None:
        if self._delay is not None:
            self._delay.stop()
        self._delay = self.set_timer(seconds, self._rest)

    def _rest(self) -> None:
        """The cursor rests: more about its row, where it can be seen."""
        self._preview()
        record = self._record
        if isinstance(record, StudyRecord) and self.display and self._desk.reachable:
            self.load_commitments(record)

    @work(exclusive=True, group="commitments", exit_on_error=True)
    async def load_commitments(self, study: StudyRecord) -> None:
        """Say which nodes have committed to the study."""
        try:
            request = StudyCommitmentsRequest(study=study.key)
            committed = (await self._desk.link.call(op.STUDY_COMMITMENTS, request)).nodes
        except TuipacsError as error:
            self._report(error)
            return
        if committed and self._record is study:
            self.query_one(Details).show(study, committed)

    def _preview(self) -> None:
        if not self.query_one("#picture-panel").display or not self._desk.reachable:
            return
        if self._wanted is None:
            self._shown = None
            self.object_view.explain("")
        elif self._wanted.key != self._shown:
            self._shown = self._wanted.key
            self.load(self._wanted)

    @work(exclusive=True, group="preview", exit_on_error=True)
    async def load(self, subject: Subject) -> None:
        """Fetch and show. The picture of another row does not stay while that takes long."""
        view, panel = self.object_view, self.query_one("#picture-panel", Panel)
        stale = self.set_timer(STALE_AFTER, view.wipe)
        try:
            found = await representative(self._desk, subject.key)
            if found.instance is None:
                view.explain("no objects")
                return
            await show_object(
                self._desk,
                view,
                found.instance,
                frame_number=found.frame_number,
                modality=subject.modality,
                place=f"{found.position}/{found.count}" if found.count > 1 else "",
            )
            panel.entitle(subject.title or "preview")
        except TuipacsError as error:
            view.explain(error.message)
            self._report(error)
        finally:
            stale.stop()
