"""Structured reports and key object selections as an indented text tree (PS3.3 C.17.3, PS3.16)."""

from __future__ import annotations

from pydicom.uid import UID

from tuipacs.dicom.content_reader import Item, plain
from tuipacs.domain.safe_text import clean, clean_lines

MAX_LINES = 5_000
_INDENT = "  "

_RELATIONSHIP, _VALUE_TYPE, _CONCEPT_NAME = 0x0040A010, 0x0040A040, 0x0040A043
_CONTENT, _TEMPLATE, _CODE = 0x0040A730, 0x0040A504, 0x0040A168
_RELATIONSHIPS = {
    "HAS OBS CONTEXT": "observation context",
    "HAS ACQ CONTEXT": "acquisition context",
    "HAS CONCEPT MOD": "modifier",
    "HAS PROPERTIES": "property",
    "INFERRED FROM": "inferred from",
    "SELECTED FROM": "selected from",
}
_TEXT_TAGS = {
    "TEXT": 0x0040A160,
    "PNAME": 0x0040A123,
    "DATE": 0x0040A121,
    "TIME": 0x0040A122,
    "DATETIME": 0x0040A120,
    "UIDREF": 0x0040A124,
}

_PARTS = ((0x00081160, "frame"), (0x0062000B, "segment"))


def title_of(root: Item) -> str:
    """The concept name of the root container: the document's title."""
    return clean(_meaning(root.first(_CONCEPT_NAME)))


def lines_of(root: Item) -> list[str]:
    """The report: its state, then every content item, children below their parents."""
    lines = _state_lines(root)
    for observer in root.items(0x0040A073):  # Verifying Observer Sequence
        name, organization = observer.text(0x0040A075), observer.text(0x0040A027)
        lines.append(clean(f"Verified by {name}, {organization}, {observer.text(0x0040A030)}"))
    # Depth first without recursion: (item, depth), next one last.
    open_items = [(root, 0)]
    while open_items:
        if len(lines) >= MAX_LINES:
            lines.append(f"(only the first {MAX_LINES:,} lines are shown)")
            break
        item, depth = open_items.pop()
        lines.extend(_item_lines(item, depth))
        open_items.extend((child, depth + 1) for child in reversed(item.items(_CONTENT)))
    return lines


def _state_lines(root: Item) -> list[str]:
    """What PS3.3 C.17.2 says of the document as a whole: is it final, and does it replace one?"""
    described = root.text(0x0040A492)
    predecessors = sum(
        len(series.items(0x00081199))
        for study in root.items(0x0040A360)
        for series in study.items(0x00081115)
    )
    return [
        clean(f"{name}: {value}")
        for name, value in (
            ("Preliminary flag", root.text(0x0040A496)),
            ("Completion", root.text(0x0040A491) + (f" ({described})" if described else "")),
            ("Verification", root.text(0x0040A493)),
            ("Predecessor documents", str(predecessors or "")),
        )
        if value
    ]


def _item_lines(item: Item, depth: int) -> list[str]:
    kind = item.text(_VALUE_TYPE)
    relationship = item.text(_RELATIONSHIP)
    said = _RELATIONSHIPS.get(
        relationship, "" if relationship in ("", "CONTAINS") else relationship
    )
    if not kind and (reference := item.numbers(0x0040DB73)):
        path = ".".join(map(plain, reference))
        return [_INDENT * depth + clean(f"({said or 'see'}) content item {path}")]
    name = _meaning(item.first(_CONCEPT_NAME)) or "(no concept name)"
    head = f"{f'({said}) ' if said else ''}{name} [{kind.lower() or 'no value type'}]"
    value = clean_lines(_value(item, kind)).split("\n")
    prefix = _INDENT * depth
    first = f"{prefix}{clean(head)}: {value[0]}" if value[0] else prefix + clean(head)
    return [first, *(f"{prefix}{_INDENT}{line}" for line in value[1:])]


def _value(item: Item, kind: str) -> str:
    if kind in _TEXT_TAGS:
        return item.text(_TEXT_TAGS[kind])
    if kind == "CODE":
        return _code(item.first(_CODE))
    if kind == "NUM":
        return _measurement(item)
    if kind in ("IMAGE", "COMPOSITE", "WAVEFORM"):
        return "; ".join(_reference(one) for one in item.items(0x00081199))
    if kind in ("SCOORD", "SCOORD3D"):
        per_point = 3 if kind == "SCOORD3D" else 2
        points = len(item.numbers(0x00700022)) // per_point
        return f"{item.text(0x00700023).lower()}, {points} point{'s' if points != 1 else ''}"
    if kind == "TCOORD":
        return item.text(0x0040A130).lower()
    if kind == "CONTAINER":
        template = item.first(_TEMPLATE)
        identifier = template.text(0x0040DB00)
        return f"template {template.text(0x00080105)} {identifier}" if identifier else ""
    return ""


def _measurement(item: Item) -> str:
    measured = item.first(0x0040A300)
    number = measured.text(0x0040A30A)
    if not number:
        return f"no value ({_meaning(item.first(0x0040A301)) or 'no reason given'})"
    units = measured.first(0x004008EA)
    value, meaning = units.text(0x00080100), units.text(0x00080104)
    if value in ("", "1"):  # UCUM's unity
        return number if meaning in ("", "no units", "1") else f"{number} {meaning}"
    return f"{number} {value}" + (f" ({meaning})" if meaning not in ("", value) else "")


def _reference(item: Item) -> str:
    """An object, which part of it is meant, and how an image is to be shown (C.18.3 to C.18.5)."""
    said = [f"{class_name(item.text(0x00081150))} {item.text(0x00081155)}"]
    for tag, part in _PARTS:
        if numbers := item.text(tag).replace("\\", ", "):
            said.append(f"{part} {numbers}")
    channels = [plain(number) for number in item.numbers(0x0040A0B0)]
    if channels:  # pairs: the number of the multiplex group, then that of the channel in it
        pairs = zip(channels[::2], channels[1::2], strict=False)
        said.append("channel " + ", ".join("/".join(pair) for pair in pairs))
    for state in item.items(0x00081199):
        said.append(f"shown by {class_name(state.text(0x00081150))} {state.text(0x00081155)}")
    return ", ".join(said)


def _code(item: Item) -> str:
    value = item.text(0x00080100) or item.text(0x00080119) or item.text(0x00080120)
    scheme, meaning = item.text(0x00080102), item.text(0x00080104)
    identity = ", ".join(part for part in (value, scheme) if part)
    return f"{meaning} ({identity})" if meaning and identity else meaning or identity


def _meaning(item: Item) -> str:
    return item.text(0x00080104) or item.text(0x00080100)


def class_name(sop_class_uid: str) -> str:
    """The name of a SOP class (PS3.6 A) without "Storage"; the UID if it is unknown."""
    return UID(sop_class_uid, 0).name.removesuffix(" Storage") or "object of unknown class"
