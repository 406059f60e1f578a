"""What one picture may cost. Everything is checked by arithmetic before memory is asked for."""

from __future__ import annotations

from tuipacs.errors import DecodeError

#: Samples of one frame: 128 Mi, a grey picture of 11,585 x 11,585; a palette picture triples them.
MAX_FRAME_SAMPLES = 128 * 1024 * 1024
#: Bytes of one compressed frame.
MAX_COMPRESSED_FRAME = 512 * 1024 * 1024
#: A deflated dataset after inflation.
MAX_INFLATED = 512 * 1024 * 1024
#: Fragments of one object; more are taken for an attack.
MAX_FRAGMENTS = 1_000_000
#: Top-level elements before the pixel data.
MAX_ELEMENTS = 50_000
#: One element that describes the picture (functional groups and lookup tables included).
MAX_ELEMENT = 256 * 1024 * 1024


def check_frame_samples(rows: int, columns: int, samples: int) -> None:
    """Raise DecodeError if one frame is larger than this program shows."""
    if rows * columns * samples > MAX_FRAME_SAMPLES:
        raise DecodeError(
            f"a picture of {columns} x {rows} pixels with {samples} samples each is larger than"
            f" the {MAX_FRAME_SAMPLES // 1024 // 1024} Mi samples this program shows"
        )
