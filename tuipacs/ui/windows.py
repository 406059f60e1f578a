"""Grey-scale window presets, in Hounsfield units for CT (as reading rooms use them)."""

from __future__ import annotations

from typing import NamedTuple

from tuipacs.domain.frame import Frame, WindowRequest, WindowSource


class Preset(NamedTuple):
    """A named window."""

    name: str
    center: float
    width: float


CT_PRESETS: tuple[Preset, ...] = (
    Preset("abdomen", 60, 400),
    Preset("lung", -600, 1500),
    Preset("bone", 480, 2500),
    Preset("brain", 40, 80),
    Preset("mediastinum", 50, 350),
    Preset("liver", 60, 160),
    Preset("stroke", 32, 8),
    Preset("angio", 300, 600),
    Preset("temporal bone", 600, 4000),
)


def preset(number: int, modality: str) -> Preset | None:
    """Preset 1 to 9 of a modality; None where presets make no sense."""
    return CT_PRESETS[number - 1] if modality == "CT" else None


def takes_window(frame: Frame | None) -> bool:
    """Whether a window means anything for this frame."""
    return frame is not None and frame.samples == 1


def current_window(frame: Frame) -> WindowRequest | None:
    """The window of a frame, or one made of its range; None when nothing is known."""
    if frame.window_center is not None and frame.window_width is not None:
        return WindowRequest(center=frame.window_center, width=frame.window_width)
    if frame.minimum is not None and frame.maximum is not None:
        return WindowRequest(
            center=(frame.minimum + frame.maximum) / 2,
            width=max(1.0, frame.maximum - frame.minimum),
        )
    return None


def window_words(frame: Frame, modality: str) -> str:
    """``W 1500 L -600 lung``; empty for color."""
    if frame.window_source is WindowSource.NONE:
        return ""
    if frame.window_center is None or frame.window_width is None:
        return frame.window_explanation or str(frame.window_source.value)
    words = f"W {frame.window_width:g} L {frame.window_center:g}"
    if modality == "CT":
        for known in CT_PRESETS:
            if (known.center, known.width) == (frame.window_center, frame.window_width):
                return f"{words} {known.name}"
    if frame.window_source is WindowSource.USER:
        return f"{words} own choice"
    return f"{words} {frame.window_explanation}".rstrip()
