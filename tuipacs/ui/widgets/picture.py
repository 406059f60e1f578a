"""A frame on the screen, by whatever the terminal can do."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import replace

from rich.segment import Segment
from textual import events
from textual.dom import NoScreen
from textual.errors import NoWidget
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tuipacs.domain.frame import Frame
from tuipacs.domain.safe_text import clean
from tuipacs.errors import DecodeError
from tuipacs.ui.graphics import kitty
from tuipacs.ui.graphics.choice import GraphicsChoice, Protocol, after_resize
from tuipacs.ui.graphics.encode import Encoded, EncodeRequest, encode, place
from tuipacs.ui.graphics.output import hidden_cells, is_behind, write_picture
from tuipacs.ui.graphics.probe import window_size
from tuipacs.ui.graphics.scale import Enlarge
from tuipacs.ui.graphics.segments import ImageSegment, WatchedStrip

_DRAIN_POLL = 0.02  # seconds


class Picture(Widget, can_focus=False):
    """Shows one frame with a caption, as large as fits, in its physical proportions.

    Scaling and encoding run in a thread; when frames come faster than that, only the newest is
    encoded. The caption on screen is always the one of the frame on screen. A screen on top (modal
    or not) hides the picture by itself. Images live outside the compositor's line filters.
    """

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    Picture {
        background: black;
        color: $text-muted;
        width: 1fr;
        height: 1fr;
    }
    """

    class Shown(Message):
        """A frame is on screen, or will be once nothing covers it. ``quality`` is in words."""

        def __init__(self, picture: Picture, frame: Frame, quality: str) -> None:
            super().__init__()
            self.picture = picture
            self.frame = frame
            self.quality = quality

        @property
        def control(self) -> Picture:
            """The picture, for ``@on`` selectors."""
            return self.picture

    def __init__(
        self,
        choice: GraphicsChoice,
        *,
        enlarge: Enlarge = Enlarge.BILINEAR,
        empty_text: str = "",
        encoder: Callable[[EncodeRequest], Encoded] = encode,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._choice = choice
        self._enlarge = enlarge
        self._encoder = encoder  # runs in a thread
        self._empty_text = clean(empty_text)
        self._frame: Frame | None = None
        self._caption = ""
        self._serial = 0
        self._problem = ""
        self._is_hidden = False
        self._wanted: EncodeRequest | None = None
        self._shown: Encoded | None = None
        self._is_encoding = False
        self._drawing_is_due = False
        self._image_id = kitty.new_image_id()
        self._terminal_has_image = False  # kitty: stored there under our number

    @property
    def frame(self) -> Frame | None:
        """The frame on screen, None while there is none."""
        return self._shown.request.frame if self._shown else None

    @property
    def quality(self) -> str:
        """How well the terminal shows the frame on screen, in words; ``""`` when exactly."""
        return self._shown.quality if self._shown else ""

    def set_frame(
        self, frame: Frame | None, caption: str = "", *, enlarge: Enlarge | None = None
    ) -> None:
        """Show ``frame`` as soon as it is encoded, or nothing, at once, for None.

        The old picture stays until the new one is ready; call with None first where a stale
        picture could be taken for the new one.
        """
        if frame is None:
            self.wipe()
            return
        if frame is not self._frame:
            self._serial += 1
            self._problem = ""
        self._frame = frame
        self._caption = clean(caption)
        if enlarge is not None:
            self._enlarge = enlarge
        shown = self._shown
        if shown and shown.request.serial == self._serial:
            self._shown = replace(shown, request=replace(shown.request, caption=self._caption))
            self.refresh()
        self._want()

    def wipe(self) -> None:
        """Forget the picture and remove it from the terminal (screen lock, other patient)."""
        self._serial += 1
        self._frame = self._wanted = self._shown = None
        self._caption = self._problem = ""
        self._delete_from_terminal()
        self.refresh()

    def hide_image(self) -> None:
        """Show nothing until :meth:`show_image`, keeping the frame."""
        self._is_hidden = True
        self.refresh()

    def show_image(self) -> None:
        """Undo :meth:`hide_image`."""
        self._is_hidden = False
        self.refresh()

    # ---------------------------------------------------------------- encoding

    def on_resize(self, event: events.Resize) -> None:
        """Fit the frame to the new size; a changed font changes the cell too."""
        if not self.app.is_headless and sys.__stdin__ is not None:
            self._choice = after_resize(self._choice, window_size(sys.__stdin__.fileno()))
        self._want()

    def on_unmount(self) -> None:
        """Leave nothing behind in the terminal's memory."""
        self._wanted = self._shown = None
        self._delete_from_terminal()

    def _want(self) -> None:
        frame = self._frame
        room = self._room()
        placement = place(frame, room.width, room.height, self._choice) if frame else None
        if frame is None or placement is None:
            self._wanted = self._shown = None
            self.refresh()
            return
        hidden = self._wanted.hidden_cells if self._wanted else frozenset()
        if self._wanted and self._wanted.placement != placement:
            hidden = frozenset()
        self._wanted = EncodeRequest(
            frame=frame,
            caption=self._caption,
            serial=self._serial,
            placement=placement,
            choice=self._choice,
            enlarge=self._enlarge,
            image_id=self._image_id,
            hidden_cells=hidden,
        )
        self._encode_soon()

    def _room(self) -> Size:
        content = self.content_region
        bottom = content.bottom - bool(self._caption)
        if self._choice.protocol is Protocol.SIXEL:
            # A band of sixels that leaves the last line, or ends there, scrolls the terminal.
            bottom = min(bottom, self.app.size.height - 1)
        return Size(content.width, max(0, bottom - content.y))

    def _encode_soon(self) -> None:
        if not self._is_encoding and self._wanted and self.is_attached:
            self._is_encoding = True
            self.run_worker(self._encode_newest(), group="picture")

    async def _encode_newest(self) -> None:
        try:
            while (request := self._wanted) and not self._is_done(request):
                await self._show(request)
                while is_behind(self.app):  # noqa: ASYNC110
                    await asyncio.sleep(_DRAIN_POLL)  # the queue of a thread
        finally:
            self._is_encoding = False

    def _is_done(self, request: EncodeRequest) -> bool:
        return bool(self._problem) or (self._shown is not None and self._shown.request == request)

    async def _show(self, request: EncodeRequest) -> None:
        try:
            encoded = await asyncio.to_thread(self._encoder, request)
        except DecodeError as error:
            if request.serial == self._serial:
                self.wipe()
                self._problem = clean(error.message)
            return
        wanted = self._wanted
        if wanted is None or wanted.placement != request.placement:
            return  # wiped or resized meanwhile
        if wanted.serial == request.serial:
            encoded = replace(encoded, request=replace(request, caption=wanted.caption))
        self._deliver(encoded)

    def _deliver(self, encoded: Encoded) -> None:
        before, self._shown = self._shown, encoded
        old, new = (before.request if before else None), encoded.request
        protocol = new.choice.protocol
        if protocol is Protocol.KITTY:
            self._terminal_has_image |= write_picture(self.app, encoded.data)
        stays = old is not None and old.placement == new.placement
        if protocol is Protocol.HALF or not stays:
            self.refresh()
        else:
            if protocol is Protocol.SIXEL:
                self._draw_soon()  # no cell is rewritten, so nothing flickers
            if old is not None and old.caption != new.caption:
                content = self.content_region.translate(-self.region.offset)
                self.refresh(Region(content.x, content.bottom - 1, content.width, 1))
        self.post_message(self.Shown(self, new.frame, encoded.quality))

    # ----------------------------------------------------------------- drawing

    def render_lines(self, crop: Region) -> list[Strip]:
        """Lay the picture over the finished lines, after every style and filter.

        A tint or a dimming would change grey levels, and with kitty the number of the picture.
        """
        lines = super().render_lines(crop)
        box = self._box()
        if box is None or self._shown is None:
            return lines
        rows = self._shown.rows
        for at, y in enumerate(crop.line_range):
            if y in box.line_range:
                row = rows[y - box.y] if rows else None
                lines[at] = self._overlay(lines[at], row, box, crop)
        return lines

    def _overlay(
        self, line: Strip, row: list[ImageSegment] | None, box: Region, crop: Region
    ) -> Strip:
        if row is None:
            return WatchedStrip(line._segments, line.cell_length, self._draw_soon)
        left, right = max(box.x, crop.x), min(box.right, crop.right)
        if left >= right:
            return line
        cells = Strip(row, box.width).crop(left - box.x, right - box.x)
        before, after = line.crop(0, left - crop.x), line.crop(right - crop.x)
        return Strip([*before._segments, *cells._segments, *after._segments], line.cell_length)

    def render_line(self, y: int) -> Strip:
        """The words: caption in the last line, or why there is no picture, centred."""
        width, height = self.content_size
        caption = self._shown.request.caption if self._shown else ""
        if self._choice.protocol is Protocol.OFF:
            caption = self._caption
        words = self._words()
        first = (height - bool(caption) - len(words)) // 2
        text = caption if caption and y == height - 1 else ""
        if not text and 0 <= y - first < len(words):
            text = words[y - first]
        style = self.visual_style.rich_style
        strip = Strip([Segment(text, style)]).crop(0, width)
        spare = width - strip.cell_length
        return strip.crop_pad(strip.cell_length, spare // 2, spare - spare // 2, style)

    def _words(self) -> list[str]:
        if self._problem:
            return [self._problem]
        if self._frame is None:
            return [self._empty_text] if self._empty_text else []
        if self._choice.protocol is Protocol.OFF:
            size = f"{self._frame.columns} x {self._frame.rows}"
            return [size, "no picture:", self._choice.reason]
        return ["no room for the picture"] if self._wanted is None else []

    def _box(self) -> Region | None:
        """The cells of the picture inside the widget, None if it must not be seen now."""
        shown, wanted = self._shown, self._wanted
        if self._is_hidden or not shown or not wanted:
            return None
        if shown.request.placement != wanted.placement:
            return None
        if self._choice.protocol is not Protocol.HALF and not self._is_on_top():
            return None  # half blocks may be dimmed under a dialog, pixels may not
        placement, room = shown.request.placement, self._room()
        return Region(
            self.gutter.left + (room.width - placement.columns) // 2,
            self.gutter.top + (room.height - placement.rows) // 2,
            placement.columns,
            placement.rows,
        )

    def _is_on_top(self) -> bool:
        try:
            return self.screen.is_active
        except NoScreen:
            return False

    def _draw_soon(self) -> None:
        """Draw the sixels once what is being written now is on its way."""
        if not self._drawing_is_due:
            self._drawing_is_due = True
            self.call_later(self._draw)

    def _draw(self) -> None:
        self._drawing_is_due = False
        if self._shown and self._shown.request.placement.rows > self._room().height:
            self._want()  # the widget has moved to the last line of the screen
        box = self._box()
        if box is None or self._shown is None or not self._shown.data:
            return
        try:
            box = box.translate(self.screen.find_widget(self).region.offset)
            hidden = hidden_cells(self, box)
        except NoWidget:
            return
        if hidden != self._shown.request.hidden_cells and self._wanted:
            self._wanted = replace(self._wanted, hidden_cells=hidden)
            self._encode_soon()
            return
        at = f"\x1b[{box.y + 1};{box.x + 1}H"
        write_picture(self.app, f"\x1b7{at}{self._shown.data}\x1b8")

    def _delete_from_terminal(self) -> None:
        if self._terminal_has_image:
            self._terminal_has_image = False
            write_picture(self.app, kitty.delete(self._image_id))
