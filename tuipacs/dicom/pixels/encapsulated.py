"""Finding one compressed frame among the fragments (PS3.5 A.4) without reading the others."""

from __future__ import annotations

import struct
from itertools import pairwise

from tuipacs.dicom.pixels import limits
from tuipacs.dicom.pixels.codes import RLE
from tuipacs.dicom.pixels.header import PixelHeader
from tuipacs.dicom.pixels.source import Source
from tuipacs.errors import DecodeError

_ITEM = 0xFFFEE000
_END = 0xFFFEE0DD
#: How a compressed picture begins: JPEG and JPEG-LS, JPEG 2000 codestream, JP2 file.
_STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0c\x6a\x50")

#: (offset of the value in the file, length) of a fragment.
Fragment = tuple[int, int]


class FrameTable:
    """Where each frame of an object is; made once, asked for many frames.

    Trusts an offset table only as far as the items it points to are really there. Without one,
    frames are told apart only where that is certain: one frame, one fragment a frame, or as many
    fragments that begin a compressed picture as there are frames.
    """

    def __init__(self, source: Source, header: PixelHeader) -> None:
        self._source = source
        self._header = header
        self._fragments: list[Fragment] | None = None
        self._begins: list[int] | None = None
        self._starts: list[int] | None = None  # of each frame: offset of its first item
        self._lengths: list[int] | None = None
        self.notes: tuple[str, ...] = ()
        tag, length = self._item(source.pixel_offset)
        if tag != _ITEM:
            raise DecodeError("the compressed pixel data does not begin with an offset table")
        self._first = source.pixel_offset + 8 + length
        if not self._use_extended_table() and not self._use_basic_table(length):
            self._starts = None

    def frame(self, index: int) -> bytes:
        """Return the compressed bytes of the frame of 0-based ``index``."""
        fragments = self._of_frame(index)
        total = sum(length for _, length in fragments)
        if not fragments or total == 0:
            raise DecodeError(f"frame {index + 1} has no bytes")
        if total > limits.MAX_COMPRESSED_FRAME:
            raise DecodeError(f"frame {index + 1} has {total} compressed bytes, too many to read")
        read = self._source.data.read
        return b"".join(read(offset, length) for offset, length in fragments)

    def _of_frame(self, index: int) -> list[Fragment]:
        if self._header.frames == 1:
            return self._all_fragments()
        if self._starts is not None:
            start = self._starts[index]
            if self._lengths is not None:
                return [(start + 8, self._lengths[index])]
            following = self._starts[index + 1] if index + 1 < len(self._starts) else None
            return self._walk(start, following)
        return self._guess(index)

    def _use_extended_table(self) -> bool:
        dataset = self._source.dataset
        offsets = dataset.get("ExtendedOffsetTable")
        lengths = dataset.get("ExtendedOffsetTableLengths")
        count = self._header.frames
        if not offsets or count == 1:
            return False
        if not lengths or len(offsets) != 8 * count or len(lengths) != 8 * count:
            raise DecodeError("the extended offset table does not fit the number of frames")
        order = ">" if self._source.big_endian else "<"
        starts = [self._first + one for one in struct.unpack(f"{order}{count}Q", offsets)]
        sizes = struct.unpack(f"{order}{count}Q", lengths)
        if starts[0] != self._first or any(b < a + 8 for a, b in pairwise(starts)):
            raise DecodeError("the extended offset table is not in ascending order")
        for start, size in zip(starts, sizes, strict=True):
            tag, real = self._item(start)
            if tag != _ITEM or not size <= real <= size + 1:
                raise DecodeError("the extended offset table points to no fragment")
        self._starts, self._lengths = starts, list(sizes)
        return True

    def _use_basic_table(self, length: int) -> bool:
        count = self._header.frames
        if length == 0 or count == 1:
            return False
        if length != 4 * count:
            return self._distrust(f"has {length // 4} entries for {count} frames")
        table = self._source.data.read(self._source.pixel_offset + 8, length)
        order = ">" if self._source.big_endian else "<"
        offsets = struct.unpack(f"{order}{count}L", table)
        if offsets[0] != 0 or any(b < a + 8 for a, b in pairwise(offsets)):
            return self._distrust("is not in ascending order")
        starts = [self._first + one for one in offsets]
        if starts[-1] + 8 > self._source.data.size:
            return self._distrust("points behind the end")
        if any(self._item(start)[0] != _ITEM for start in starts):
            return self._distrust("points to no fragment")
        self._starts = starts
        return True

    def _distrust(self, why: str) -> bool:
        self.notes = (f"the offset table {why}; it was not used",)
        return False

    def _guess(self, index: int) -> list[Fragment]:
        """Tell frames apart by their fragments; DecodeError if that is not certain."""
        fragments = self._all_fragments()
        count = self._header.frames
        if len(fragments) == count:
            return [fragments[index]]
        if len(fragments) < count:
            raise DecodeError(f"{count} frames do not fit in {len(fragments)} fragments")
        if self._header.transfer_syntax != RLE:  # an RLE frame is one fragment (PS3.5 G.2)
            begins = self._beginnings(fragments)
            if len(begins) == count and begins[0] == 0:
                return fragments[begins[index] : [*begins, len(fragments)][index + 1]]
        raise DecodeError(
            f"{len(fragments)} fragments without a usable offset table cannot be told apart"
            f" into {count} frames"
        )

    def _beginnings(self, fragments: list[Fragment]) -> list[int]:
        """The positions of those that begin a compressed picture; looked for once."""
        if self._begins is None:
            self._begins = [
                position
                for position, (offset, length) in enumerate(fragments)
                if length >= 8 and self._source.data.read(offset, 8).startswith(_STARTS)
            ]
        return self._begins

    def _all_fragments(self) -> list[Fragment]:
        if self._fragments is None:
            self._fragments = self._walk(self._first, None)
        return self._fragments

    def _walk(self, start: int, end: int | None) -> list[Fragment]:
        """Return the fragments from the item at ``start`` up to ``end`` or the delimiter."""
        found: list[Fragment] = []
        position = start
        while end is None or position < end:
            tag, length = self._item(position)
            if tag == _END:
                if end is not None:
                    raise DecodeError("the pixel data ends before the next frame of its table")
                return found
            if tag != _ITEM:
                raise DecodeError("between two fragments of the pixel data there is something else")
            if position + 8 + length > self._source.data.size:
                raise DecodeError("the pixel data is truncated: its last fragment is not complete")
            found.append((position + 8, length))
            if len(found) > limits.MAX_FRAGMENTS:
                raise DecodeError(f"the pixel data has more than {limits.MAX_FRAGMENTS} fragments")
            position += 8 + length
        if position != end:
            raise DecodeError("the offset table points into the middle of a fragment")
        return found

    def _item(self, offset: int) -> tuple[int, int]:
        """Return (tag, length) of the item header at ``offset``."""
        if offset + 8 > self._source.data.size:
            raise DecodeError("the pixel data is truncated: its end is missing")
        order = ">" if self._source.big_endian else "<"
        group, element, length = struct.unpack(order + "HHL", self._source.data.read(offset, 8))
        return group << 16 | element, length
