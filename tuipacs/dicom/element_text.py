"""The value of one element as a short text for people."""

from __future__ import annotations

import struct

from pydicom.uid import UID

from tuipacs.dicom.charset import CHARSET_VRS, Charset
from tuipacs.dicom.encoding import NUMBER_CODES, PIXEL_TAGS, Buffer
from tuipacs.dicom.tree import Node, tag_text
from tuipacs.domain.safe_text import clean

MAX_TEXT = 256  # terminal cells
_MAX_RAW = 2048
_MAX_NUMBERS = 12
_HEX_BYTES = 16
_TEXT_VRS = frozenset(("AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR")) | CHARSET_VRS


def value_text(data: Buffer, node: Node, charset: Charset, *, big_endian: bool) -> str:
    """The value, shortened and cleaned. At most 2 KiB of it are read, of pixel data nothing."""
    length = node.stop - node.start
    if node.tag in PIXEL_TAGS:
        return f"<{length} bytes>" if node.length >= 0 else f"<encapsulated, {length} bytes>"
    raw = bytes(data[node.start : min(node.stop, node.start + _MAX_RAW)])
    if node.vr in _TEXT_VRS:
        return _text(raw, node.vr, charset, is_cut=length > len(raw))
    if node.vr in NUMBER_CODES:
        return _numbers(raw, length, NUMBER_CODES[node.vr], big_endian)
    if node.vr == "AT":
        return _tags(raw, length, big_endian)
    return _binary(raw, length, is_unknown=node.vr == "UN")


def _text(raw: bytes, vr: str, charset: Charset, *, is_cut: bool) -> str:
    if vr in CHARSET_VRS:
        text, _ = charset.decode(raw, is_name=vr == "PN")
    else:
        text = raw.decode("latin_1")
    text = text.rstrip("\0 ")
    if vr == "UI" and text in _known_uids():
        text = f"{text} ({UID(text).name})"
    if vr in ("LT", "ST", "UT"):
        text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", " \u23ce ")
    return clean(text + " " * MAX_TEXT + "." if is_cut else text, limit=MAX_TEXT)


def _known_uids() -> dict[str, tuple[str, str, str, str, str]]:
    from pydicom._uid_dict import UID_dictionary

    return UID_dictionary


def _numbers(raw: bytes, length: int, code: str, big_endian: bool) -> str:
    size = struct.calcsize("<" + code)
    count = min(len(raw) // size, _MAX_NUMBERS)
    values = struct.unpack_from(f"{'>' if big_endian else '<'}{count}{code}", raw)
    texts = [f"{value:.8g}" if code == "f" else str(value) for value in values]
    text = "\\".join(texts)
    if length % size:
        return clean(f"{text} <{length} bytes, not a whole number of values>".strip())
    return text if length // size <= _MAX_NUMBERS else f"{text}\\\u2026 ({length // size} values)"


def _tags(raw: bytes, length: int, big_endian: bool) -> str:
    order = ">" if big_endian else "<"
    count = min(len(raw) // 4, _MAX_NUMBERS)
    parts = struct.unpack_from(f"{order}{2 * count}H", raw)
    text = "\\".join(
        tag_text(group << 16 | element)
        for group, element in zip(parts[::2], parts[1::2], strict=True)
    )
    return text if length // 4 <= _MAX_NUMBERS else f"{text}\\\u2026 ({length // 4} values)"


def _binary(raw: bytes, length: int, *, is_unknown: bool) -> str:
    if not length:
        return ""
    shown = raw[:_HEX_BYTES].hex(" ")
    more = " \u2026" if length > _HEX_BYTES else ""
    text = f"<{length} bytes> {shown}{more}"
    stripped = raw.rstrip(b"\0 ")
    if is_unknown and stripped and len(raw) == length and len(stripped) <= 64:
        words = stripped.decode("latin_1")
        if words.isascii() and words.isprintable():
            return f'{text} "{words}"'
    return text
