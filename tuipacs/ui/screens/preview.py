"""One object on the whole screen: pictures of a series one after the other, and documents."""

from __future__ import annotations

from collections.abc import Iterable

from textual import work
from textual.widget import Widget

from tuipacs.domain.frame import WindowRequest
from tuipacs.domain.records import InstanceRecord
from tuipacs.errors import TuipacsError
from tuipacs.schema import operations as op
from tuipacs.schema.messages import ChildrenRequest
from tuipacs.ui import actions
from tuipacs.ui.object_loader import representative, show_object
from tuipacs.ui.outline import RowKey
from tuipacs.ui.screens.work import WorkScreen
from tuipacs.ui.widgets.header import HeaderLine
from tuipacs.ui.widgets.object_view import ObjectView
from tuipacs.ui.windows import current_window, preset, takes_window

SERIES_CAP = 5000  # instances of one series that can be walked through
_PAGE = 500


class PreviewScreen(WorkScreen):
    """Walks through frames, then instances, of the series of the object it starts with."""

    SCOPE = "preview"
    PLACE = "Picture"
    BINDINGS = actions.bindings("preview")

    DEFAULT_CSS = """
    PreviewScreen ObjectView { height: 1fr; }
    """

    def __init__(self, key: RowKey, title: str, modality: str) -> None:
        super().__init__()
        self._key = key
        self._title = title
        self._modality = modality
        self._instances: tuple[InstanceRecord, ...] = ()
        self._index = 0
        self._frame = 1
        self._frames = 1
        self._window: WindowRequest | None = None
        self._wanted = 0

    def compose_body(self) -> Iterable[Widget]:
        yield ObjectView(self.tui.graphics)

    @property
    def view(self) -> ObjectView:
        """What is shown."""
        return self.query_one(ObjectView)

    def begin(self) -> None:
        self.query_one(HeaderLine).set_place(self._title or "Picture")
        self.find_series()

    @work(exclusive=True, group="series", exit_on_error=True)
    async def find_series(self) -> None:
        """Find the object that stands for the row, show it, then list its series."""
        try:
            found = await representative(self.desk, self._key)
            if found.instance is None:
                self.view.explain("This row has no objects.")
                return
            instance = found.instance
            self._instances, self._index = (instance,), 0
            self._frame = found.frame_number
            self._go()
            rows = await self._series_of(instance)
        except TuipacsError as error:
            self.view.explain(error.message)
            self.tui.report(error, quietly=True)
            return
        current = self._instances[self._index]
        keys = [row.key for row in rows]
        if current.key in keys:
            self._instances, self._index = rows, keys.index(current.key)
            self._go()

    async def _series_of(self, instance: InstanceRecord) -> tuple[InstanceRecord, ...]:
        rows: list[InstanceRecord] = []
        while len(rows) < SERIES_CAP:
            request = ChildrenRequest(key=instance.series_key, offset=len(rows), limit=_PAGE)
            page = await self.desk.link.call(op.INSTANCES_OF, request)
            rows.extend(page.rows)
            if not page.rows or len(rows) >= page.total:
                break
        return tuple(rows)

    # --- showing

    def _go(self) -> None:
        """Show the current frame; while one is being fetched only the newest wish counts."""
        self._wanted += 1
        self.show_current()

    @work(group="frame", exit_on_error=True)
    async def show_current(self) -> None:
        """Fetch and show; a wish that was overtaken is dropped before it is fetched."""
        wish = self._wanted
        if self._loading:
            return
        self._loading = True
        try:
            while True:
                wish = self._wanted
                await self._show(self._instances[self._index])
                if wish == self._wanted:
                    return
        except TuipacsError as error:
            self.view.explain(error.message)
            self.tui.report(error, quietly=True)
        finally:
            self._loading = False

    _loading = False

    async def _show(self, instance: InstanceRecord) -> None:
        count = len(self._instances)
        place = f"image {self._index + 1}/{count}" if count > 1 else ""
        await show_object(
            self.desk,
            self.view,
            instance,
            frame_number=self._frame,
            window=self._window,
            modality=self._modality,
            place=place,
        )
        frame = self.view.frame
        self._frames = frame.number_of_frames if frame is not None else 1
        self.refresh_keys()

    def on_object_view_changed(self) -> None:
        """Other keys work for a document than for a picture."""
        self.refresh_keys()

    # --- what can be done

    def lacks(self, need: str) -> str:
        if not self.is_mounted:
            return "not yet"
        if need == "object" and self.view.instance is None:
            return "nothing is shown"
        if need == "grey" and not takes_window(self.view.frame):
            return "only grey-scale pictures have a window"
        document = self.view.document
        if need == "document" and (document is None or not document.exportable):
            return "nothing is encapsulated here"
        return ""

    def why_not(self, action: actions.Action) -> str:
        reason = super().why_not(action)
        if not reason and action.method.startswith("preset_") and self._modality != "CT":
            return "presets are for CT"
        return reason

    def wipe(self) -> None:
        self.view.wipe()

    def unwiped(self) -> None:
        if self._instances:
            self._go()

    def go_to_top(self) -> None:
        self.action_first()

    def _move(self, step: int) -> None:
        """Frames first, then the next instance."""
        if not self._instances:
            return
        frame = self._frame + step
        if 1 <= frame <= self._frames:
            self._frame = frame
        elif self._frames > 1 and abs(step) > 1:
            self._frame = max(1, min(frame, self._frames))
        else:
            index = max(0, min(self._index + step, len(self._instances) - 1))
            if index == self._index:
                return
            self._index = index
            known = self._instances[index].number_of_frames or 1
            self._frame = known if step == -1 else 1
            self._frames = known
        self._go()

    def action_next(self) -> None:
        """The next frame or image."""
        self._move(1)

    def action_previous(self) -> None:
        """The previous frame or image."""
        self._move(-1)

    def action_ahead(self) -> None:
        """Ten ahead."""
        self._move(10)

    def action_behind(self) -> None:
        """Ten back."""
        self._move(-10)

    def action_first(self) -> None:
        """The first frame of the first image."""
        if self._instances:
            self._index, self._frame = 0, 1
            self._frames = self._instances[0].number_of_frames or 1
            self._go()

    def action_last(self) -> None:
        """The last frame of the last image."""
        if self._instances:
            self._index = len(self._instances) - 1
            self._frames = self._instances[-1].number_of_frames or 1
            self._frame = self._frames
            self._go()

    # --- windows

    def _preset(self, number: int) -> None:
        if chosen := preset(number, self._modality):
            self._window = WindowRequest(center=chosen.center, width=chosen.width)
            self._go()

    def action_preset_1(self) -> None:
        self._preset(1)

    def action_preset_2(self) -> None:
        self._preset(2)

    def action_preset_3(self) -> None:
        self._preset(3)

    def action_preset_4(self) -> None:
        self._preset(4)

    def action_preset_5(self) -> None:
        self._preset(5)

    def action_preset_6(self) -> None:
        self._preset(6)

    def action_preset_7(self) -> None:
        self._preset(7)

    def action_preset_8(self) -> None:
        self._preset(8)

    def action_preset_9(self) -> None:
        self._preset(9)

    def action_own_window(self) -> None:
        """The window that the dataset itself asks for."""
        self._window = None
        self._go()

    def _change_window(self, *, center: float = 0.0, width: float = 1.0) -> None:
        frame = self.view.frame
        window = self._window or (current_window(frame) if frame is not None else None)
        if window is not None:
            self._window = WindowRequest(
                center=window.center + center * window.width, width=max(1.0, window.width * width)
            )
            self._go()

    def action_wider(self) -> None:
        """Less contrast."""
        self._change_window(width=1.15)

    def action_narrower(self) -> None:
        """More contrast."""
        self._change_window(width=1 / 1.15)

    def action_brighter(self) -> None:
        """A lower centre."""
        self._change_window(center=-0.05)

    def action_darker(self) -> None:
        """A higher centre."""
        self._change_window(center=0.05)

    # --- others

    def action_elements(self) -> None:
        """The data elements of this object."""
        from tuipacs.ui.screens.elements import ElementsScreen

        if self.view.instance is not None or self._instances:
            self.app.push_screen(
                ElementsScreen(self.view.instance or self._instances[self._index], self._title)
            )

    def action_yank(self) -> None:
        """Copy the SOP Instance UID."""
        if self._instances:
            uid = self._instances[self._index].sop_instance_uid
            self.app.copy_to_clipboard(uid)
            self.notify(f"copied {uid}", markup=False)

    def action_export(self) -> None:
        """Write an encapsulated document to a file."""
        from tuipacs.ui.dialogs.export_document import ExportDialog

        document, instance = self.view.document, self.view.instance
        if document is not None and instance is not None:
            self.app.push_screen(ExportDialog(self.desk, instance, document))
