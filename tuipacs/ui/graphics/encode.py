"""Turn a frame into what the terminal wants; pure, and run in a thread."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tuipacs.domain.frame import Frame
from tuipacs.ui.graphics import kitty
from tuipacs.ui.graphics.choice import ColourDepth, GraphicsChoice, Protocol
from tuipacs.ui.graphics.geometry import Placement, fit
from tuipacs.ui.graphics.halfblock import half_block_rows
from tuipacs.ui.graphics.scale import Enlarge, Pixels, frame_pixels, to_canvas
from tuipacs.ui.graphics.segments import ImageSegment
from tuipacs.ui.graphics.sixel import encode_sixel


@dataclass(frozen=True, kw_only=True)
class EncodeRequest:
    """All that decides the bytes of a picture. Compared by value, the frame by identity."""

    frame: Frame = field(compare=False)
    caption: str = field(default="", compare=False)
    serial: int  # of the frame: a new one for each frame set
    placement: Placement
    choice: GraphicsChoice
    enlarge: Enlarge = Enlarge.BILINEAR
    image_id: int = 0  # kitty
    hidden_cells: frozenset[tuple[int, int]] = frozenset()  # sixel: (column, row) under others


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """A picture ready for the terminal: ``data`` to write, or ``rows`` of cells, or both."""

    request: EncodeRequest
    data: str = ""
    rows: list[list[ImageSegment]] = field(default_factory=list)
    quality: str = ""  # in words, where the terminal cannot show the pixels exactly


def place(frame: Frame, columns: int, rows: int, choice: GraphicsChoice) -> Placement | None:
    """Where a frame goes in a room of ``columns`` x ``rows`` cells; None if nowhere."""
    cell = (choice.cell_width, choice.cell_height)
    units, limit = None, (0, 0)
    if choice.protocol is Protocol.HALF:
        units = (1, 2)
    elif choice.protocol is Protocol.SIXEL:
        limit = (choice.sixel_max_width, choice.sixel_max_height)
    elif choice.protocol is Protocol.KITTY:
        columns, rows = min(columns, kitty.LARGEST_BOX), min(rows, kitty.LARGEST_BOX)
    else:
        return None
    return fit(
        frame.columns,
        frame.rows,
        frame.pixel_aspect,
        columns=columns,
        rows=rows,
        cell=cell,
        units_per_cell=units,
        limit=limit,
    )


def encode(request: EncodeRequest) -> Encoded:
    """Scale and encode. Raises DecodeError if the frame's pixels do not fit its size."""
    placement, choice = request.placement, request.choice
    canvas = to_canvas(frame_pixels(request.frame), placement, request.enlarge)
    if choice.protocol is Protocol.SIXEL:
        sixel = encode_sixel(canvas, registers=choice.sixel_registers, draw=_drawn(request, canvas))
        words = f"{sixel.colours} colours, at most {sixel.largest_error} of 255 off"
        return Encoded(request=request, data=sixel.data, quality=words)
    if choice.protocol is Protocol.KITTY:
        size = (placement.columns, placement.rows)
        cells = kitty.placeholder_rows(request.image_id, *size)
        return Encoded(
            request=request,
            data=kitty.transmit(canvas, request.image_id, *size),
            rows=[[ImageSegment(text, style)] for text, style in cells],
        )
    indexed = choice.colour_depth is not ColourDepth.TRUECOLOUR
    return Encoded(
        request=request,
        rows=half_block_rows(canvas, indexed=indexed),
        quality="half-blocks, 256 colours" if indexed else "half-blocks",
    )


def _drawn(request: EncodeRequest, canvas: Pixels) -> NDArray[np.bool_] | None:
    if not request.hidden_cells:
        return None
    placement, choice = request.placement, request.choice
    cells = np.ones((placement.rows, placement.columns), np.bool_)
    for column, row in request.hidden_cells:
        cells[row, column] = False
    height, width = canvas.shape[:2]
    return cells.repeat(choice.cell_height, 0).repeat(choice.cell_width, 1)[:height, :width]
