"""A handful of useful facts about instances that are neither pictures nor texts."""

from __future__ import annotations

from tuipacs.dicom.content_reader import Item, plain
from tuipacs.dicom.sr import class_name
from tuipacs.domain.safe_text import clean

_MAX_NAMES = 100


def waveform_lines(root: Item) -> list[str]:
    """Channels, sampling frequency and duration of each multiplex group (PS3.3 C.10.9)."""
    lines = []
    for number, group in enumerate(root.items(0x54000100), 1):
        channels, samples = group.number(0x003A0005), group.number(0x003A0010)
        frequency = group.number(0x003A001A)
        label = group.text(0x003A0020) or f"group {number}"
        text = f"{label}: {plain(channels)} channels, {plain(samples)} samples"
        if frequency > 0:
            text += f", {plain(frequency)} Hz, {plain(samples / frequency)} s"
        lines.append(clean(text))
        sources = [
            channel.first(0x003A0208).text(0x00080104) or channel.text(0x003A0203)
            for channel in group.items(0x003A0200)
        ]
        if any(sources):
            lines.append(clean("  " + ", ".join(source for source in sources if source)))
    annotations = [note.text(0x00700006) for note in root.items(0x0040B020)]
    lines += [clean(f"annotation: {note}") for note in annotations if note][:_MAX_NAMES]
    return lines


def other_lines(root: Item) -> list[str]:
    """Facts by what the object holds: RT, presentation states, registrations and the rest."""
    lines = [clean(f"{name}: {value}") for tag, name in _FACTS if (value := root.text(tag))]
    lines += _names("region of interest", root, 0x30060020, 0x30060026)
    lines += _names("beam", root, 0x300A00B0, 0x300A00C2)
    lines += _names("dose reference", root, 0x300A0010, 0x300A0016)
    for tag, one, many in _COUNTS:
        if count := len(root.items(tag)):
            lines.append(f"{count} {one if count == 1 else many}")
    references = root.items(0x00081115)
    images = sum(len(series.items(0x00081140)) for series in references)
    instances = sum(len(series.items(0x0008114A)) for series in references)
    if images or instances:
        count = images + instances
        lines.append(f"{count} referenced instance{'s' if count != 1 else ''}")
    return lines


_FACTS = (
    (0x30060002, "structure set label"),
    (0x30060004, "structure set name"),
    (0x300A0002, "plan label"),
    (0x300A0003, "plan name"),
    (0x300A000A, "plan intent"),
    (0x30040002, "dose units"),
    (0x30040004, "dose type"),
    (0x3004000A, "dose summation"),
    (0x300E0002, "approval"),
    (0x00700080, "label"),
    (0x00700081, "description"),
    (0x00700084, "creator"),
    (0x00720002, "hanging protocol"),
    (0x00720004, "description"),
    (0x00081030, "study description"),
    (0x0008103E, "series description"),
    (0x00080070, "manufacturer"),
)
_COUNTS = (
    (0x300A0070, "fraction group", "fraction groups"),
    (0x00700001, "graphic annotation", "graphic annotations"),
    (0x00283110, "VOI window or table", "VOI windows or tables"),
    (0x00700308, "registration", "registrations"),
    (0x00640002, "deformable registration", "deformable registrations"),
    (0x00660002, "surface", "surfaces"),
    (0x006A0002, "annotation group", "annotation groups"),
)


def _names(what: str, root: Item, sequence: int, tag: int) -> list[str]:
    items = root.items(sequence)
    lines = [clean(f"{what}: {item.text(tag) or '(no name)'}") for item in items[:_MAX_NAMES]]
    if len(items) > _MAX_NAMES:
        lines.append(f"and {len(items) - _MAX_NAMES} more")
    return lines


def kind_title(root: Item) -> str:
    """The name of the SOP class, for a placeholder."""
    return clean(class_name(root.text(0x00080016)))
