"""Where a picture goes: whole cells, and the picture's own size inside them."""

from __future__ import annotations

from msgspec import Struct


class Placement(Struct, frozen=True, kw_only=True):
    """A box of cells and the picture inside it, on a canvas of units.

    A unit is a screen pixel for sixel and kitty, and half a cell for half-blocks. The canvas is
    exactly the box; the picture is centred on it and the rest is black.
    """

    columns: int  # of the box, in cells
    rows: int
    canvas_width: int  # of the box, in units
    canvas_height: int
    width: int  # of the picture, in units
    height: int


def fit(
    frame_columns: int,
    frame_rows: int,
    pixel_aspect: float,
    *,
    columns: int,
    rows: int,
    cell: tuple[int, int],
    units_per_cell: tuple[int, int] | None = None,
    limit: tuple[int, int] = (0, 0),
) -> Placement | None:
    """Make a frame as large as it can be in ``columns`` x ``rows`` cells, keeping its proportions.

    ``pixel_aspect`` is the height of a frame's pixel divided by its width; ``cell`` the width and
    height of a cell in pixels; ``units_per_cell`` defaults to ``cell``; ``limit`` is the largest
    canvas in units, 0 for none. None if there is no room or nothing to show.
    """
    units_x, units_y = units_per_cell or cell
    if limit[0]:
        columns = min(columns, limit[0] // units_x)
    if limit[1]:
        rows = min(rows, limit[1] // units_y)
    if min(frame_columns, frame_rows, columns, rows) < 1 or not 0 < pixel_aspect < float("inf"):
        return None
    # Both in screen pixels; a unit may be taller than wide.
    room_width, room_height = columns * cell[0], rows * cell[1]
    scale = min(room_width / frame_columns, room_height / (frame_rows * pixel_aspect))
    width = _units(frame_columns * scale, cell[0] / units_x, columns * units_x)
    height = _units(frame_rows * pixel_aspect * scale, cell[1] / units_y, rows * units_y)
    box_columns, box_rows = -(-width // units_x), -(-height // units_y)
    return Placement(
        columns=box_columns,
        rows=box_rows,
        canvas_width=box_columns * units_x,
        canvas_height=box_rows * units_y,
        width=width,
        height=height,
    )


def _units(pixels: float, pixels_per_unit: float, most: int) -> int:
    return max(1, min(round(pixels / pixels_per_unit), most))
