"""Pictures beside the compositor: what it leaves free, and writing through its queue."""

from __future__ import annotations

from threading import Thread

from textual.app import App
from textual.geometry import Region
from textual.widget import Widget


def write_picture(app: App[object], data: str) -> bool:
    """Send ``data`` after all that was sent before; False if nobody would read it.

    After a stop or during ``App.suspend`` the writer is dead: its queue would fill and then block
    the event loop, and the bytes would end up in somebody's shell.
    """
    driver = app._driver
    if driver is None or _writer_is_dead(app):
        return False
    driver.write(data)
    driver.flush()
    return True


def is_behind(app: App[object]) -> bool:
    """Whether earlier writes still wait for the terminal: the next picture must wait too."""
    writer = getattr(app._driver, "_writer_thread", None)  # the Linux driver of Textual 8.2.8
    return writer is not None and writer.is_alive() and not writer._queue.empty()


def _writer_is_dead(app: App[object]) -> bool:
    if not hasattr(app._driver, "_writer_thread"):
        return False  # headless or web: writes go elsewhere
    writer: Thread | None = getattr(app._driver, "_writer_thread", None)
    return writer is None or not writer.is_alive()


def hidden_cells(widget: Widget, box: Region) -> frozenset[tuple[int, int]]:
    """Cells of ``box`` (screen coordinates) that other widgets or a scroll edge cover.

    As (column, row) inside the box. Sixels are painted over text, so they must leave these out.
    """
    compositor = widget.screen._compositor
    clip = compositor.find_widget(widget).clip
    visible = box.intersection(clip).intersection(widget.screen.size.region)
    shown = {(x, y) for y in visible.line_range for x in visible.column_range}
    # In front to back order, as the compositor of Textual 8.2.8 paints them.
    for other, (region, other_clip) in compositor.visible_widgets.items():
        if other is widget:
            break
        cover = region.intersection(other_clip).intersection(box)
        shown.difference_update((x, y) for y in cover.line_range for x in cover.column_range)
    everything = {(x, y) for y in box.line_range for x in box.column_range}
    return frozenset((x - box.x, y - box.y) for x, y in everything - shown)
