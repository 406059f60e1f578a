"""What belongs to a picture and is not drawn by this program: it is said, not hidden."""

from __future__ import annotations

from pydicom import Dataset

from tuipacs.dicom.pixels.groups import places

OVERLAY_ROWS = tuple(0x60000010 + (group << 16) for group in range(0, 0x20, 2))


def unshown(dataset: Dataset, index: int, photometric: str) -> list[str]:
    """Notes on the frame of 0-based ``index``: overlay planes (PS3.3 C.9.2), display shutter
    (C.7.6.11), supplemental palette (C.7.6.19)."""
    notes: list[str] = []
    overlays = sum(tag in dataset for tag in OVERLAY_ROWS)
    if overlays:
        planes = "an overlay plane" if overlays == 1 else f"{overlays} overlay planes"
        notes.append(f"the object has {planes}, not shown")
    shutters = places(dataset, index, "FrameDisplayShutterSequence")
    if any("ShutterShape" in place for place in shutters):
        notes.append("the object has a display shutter, not applied")
    if photometric.startswith("MONOCHROME") and "RedPaletteColorLookupTableDescriptor" in dataset:
        notes.append("the supplemental palette of the object is not applied: all is grey")
    return notes
