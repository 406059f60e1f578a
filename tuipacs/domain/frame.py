"""One picture, ready to be shown: eight-bit samples and what a viewer must say about them."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class WindowSource(StrEnum):
    """Where the grey-scale window of a frame came from."""

    USER = "user"
    DATASET = "dataset"  # Window Center and Window Width
    VOI_LUT = "voi-lut"  # VOI LUT Sequence
    MINIMUM_MAXIMUM = "minimum-maximum"
    NONE = "none"  # colour: no window applies


class WindowRequest(Struct, frozen=True, kw_only=True):
    """A window asked for by a person, in modality units (PS3.3 C.11.2)."""

    center: float
    width: float


class Frame(Struct, frozen=True, kw_only=True):
    """One decoded frame after modality LUT, VOI LUT and presentation (PS3.4 N.2).

    ``pixels`` is uint8 in C order: (rows, columns), or (rows, columns, 3) RGB if ``samples`` is 3.
    ``pixel_aspect`` is the height of one pixel divided by its width; 1.0 when unknown.
    """

    rows: int
    columns: int
    samples: int
    pixels: bytes
    frame_number: int  # 1-based, as in DICOM
    number_of_frames: int
    pixel_aspect: float = 1.0
    photometric_interpretation: str = ""
    transfer_syntax_uid: str = ""
    decoder: str = ""
    window_center: float | None = None
    window_width: float | None = None
    window_source: WindowSource = WindowSource.NONE
    window_explanation: str = ""
    minimum: float | None = None  # of the frame, in modality units
    maximum: float | None = None
    notes: tuple[str, ...] = ()
