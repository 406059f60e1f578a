"""Bytes of synthetic datasets, written by hand so that they can be wrong on purpose."""

from __future__ import annotations

import struct

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
BIG = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
JPEG = "1.2.840.10008.1.2.4.50"
CT = "1.2.840.10008.5.1.4.1.1.2"
UNDEFINED = 0xFFFFFFFF

_LONG = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")


def element(
    tag: int, vr: str, value: bytes, *, syntax: str = EXPLICIT, length: int | None = None
) -> bytes:
    """One data element; ``length`` is what is claimed, by default the truth."""
    order = ">" if syntax == BIG else "<"
    head = struct.pack(order + "HH", tag >> 16, tag & 0xFFFF)
    claimed = len(value) if length is None else length
    if syntax == IMPLICIT:
        return head + struct.pack(order + "L", claimed) + value
    if vr.encode() in _LONG:
        return head + vr.encode() + b"\0\0" + struct.pack(order + "L", claimed) + value
    return head + vr.encode() + struct.pack(order + "H", claimed) + value


def text(tag: int, vr: str, value: str | bytes, *, syntax: str = EXPLICIT) -> bytes:
    """A text element, padded to an even length."""
    raw = value.encode("latin_1") if isinstance(value, str) else value
    if len(raw) % 2:
        raw += b"\0" if vr == "UI" else b" "
    return element(tag, vr, raw, syntax=syntax)


def number(tag: int, value: int, *, syntax: str = EXPLICIT) -> bytes:
    """An element with VR US."""
    return element(tag, "US", struct.pack(">H" if syntax == BIG else "<H", value), syntax=syntax)


def item(body: bytes, *, length: int | None = None, syntax: str = EXPLICIT) -> bytes:
    """An item; with ``length=UNDEFINED`` its delimiter follows."""
    claimed = len(body) if length is None else length
    end = marker(0xE00D, 0, syntax=syntax) if claimed == UNDEFINED else b""
    return marker(0xE000, claimed, syntax=syntax) + body + end


def marker(tag: int, length: int, *, syntax: str = EXPLICIT) -> bytes:
    """An item tag or a delimiter of group FFFE."""
    return struct.pack(">HHL" if syntax == BIG else "<HHL", 0xFFFE, tag, length)


def sequence(
    tag: int, *items: bytes, vr: str = "SQ", length: int | None = None, syntax: str = EXPLICIT
) -> bytes:
    """A sequence; with ``length=UNDEFINED`` its delimiter follows."""
    end = marker(0xE0DD, 0, syntax=syntax) if length == UNDEFINED else b""
    return element(tag, vr, b"".join(items), syntax=syntax, length=length) + end


def dataset(
    *,
    syntax: str = EXPLICIT,
    before: bytes = b"",
    middle: bytes = b"",
    after: bytes = b"",
    omit: frozenset[int] = frozenset(),
    name: bytes = b"Doe^Jane",
    charset: str = "ISO_IR 100",
    study_instance_uid: str = "1.2.3.1",
    patient_id: str = "P-1",
) -> bytes:
    """A small CT with all that must be there, in tag order, without pixel data.

    ``before`` goes to the very start, ``middle`` between groups 0010 and 0020, ``after`` to the
    end; ``omit`` leaves tags out.
    """
    parts = [
        (0x00080005, text(0x00080005, "CS", charset, syntax=syntax)),
        (0x00080016, text(0x00080016, "UI", CT, syntax=syntax)),
        (0x00080018, text(0x00080018, "UI", "1.2.3.1.1.1", syntax=syntax)),
        (0x00080060, text(0x00080060, "CS", "CT", syntax=syntax)),
        (0x00100010, text(0x00100010, "PN", name, syntax=syntax)),
        (0x00100020, text(0x00100020, "LO", patient_id, syntax=syntax)),
        (0, middle),
        (0x0020000D, text(0x0020000D, "UI", study_instance_uid, syntax=syntax)),
        (0x0020000E, text(0x0020000E, "UI", "1.2.3.1.1", syntax=syntax)),
        (0x00280010, number(0x00280010, 2, syntax=syntax)),
        (0x00280011, number(0x00280011, 3, syntax=syntax)),
    ]
    return before + b"".join(part for tag, part in parts if tag not in omit) + after
