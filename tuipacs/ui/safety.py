"""The second wall: nothing but characters that draw themselves leaves the application."""

from __future__ import annotations

import re

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from tuipacs.domain.safe_text import clean
from tuipacs.ui.graphics.segments import is_image_segment

# Bidirectional and zero-width controls, C0 and C1, separators, what a cleaned text never contains.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e0fff]"
)


class TextWall(LineFilter):
    """Cleans any text segment that still has a control in it. Pictures pass."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        if all(not _UNSAFE.search(s.text) or s.control or is_image_segment(s) for s in segments):
            return segments
        return [
            segment
            if segment.control or is_image_segment(segment)
            else Segment(_safe(segment), segment.style, None)
            for segment in segments
        ]


def _safe(segment: Segment) -> str:
    """The text with each control replaced, as wide as it was measured."""
    text = _UNSAFE.sub(lambda match: clean(match.group()) or "\ufffd", segment.text)
    cells = Segment(text).cell_length
    wanted = segment.cell_length
    if cells > wanted:
        return Segment(_UNSAFE.sub("", segment.text)).text.ljust(wanted)
    return text + " " * (wanted - cells)
