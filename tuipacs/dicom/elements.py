"""All data elements of a stored instance as lines for people."""

from __future__ import annotations

from pathlib import Path

import msgspec
from pydicom.datadict import get_entry, private_dictionary_description

from tuipacs.dicom import deflated
from tuipacs.dicom.charset import Charset, charset_of
from tuipacs.dicom.element_text import value_text
from tuipacs.dicom.encoding import DEFLATED, EXPLICIT_LE, Buffer
from tuipacs.dicom.form import form_of
from tuipacs.dicom.mapped import mapped_file
from tuipacs.dicom.part10 import split_part10
from tuipacs.dicom.tree import ITEM, Node, TreeEndedError, tag_text, tree
from tuipacs.domain.content import ElementLine, ElementList
from tuipacs.domain.find import CHARACTER_SET_TAG
from tuipacs.domain.safe_text import clean

MAX_LINES = 20_000
_PIXEL_REPRESENTATION_TAG = 0x00280103


def read_elements(path: Path) -> ElementList:
    """The elements of a Part 10 file (or bare dataset), file meta information first.

    At most 20,000 lines; a damaged file is listed as far as it goes. ``truncated`` says either.
    Raises :class:`InvalidObjectError` if it is no DICOM file at all; :class:`OSError` passes.
    """
    with mapped_file(path) as data:
        return list_elements(data)


def list_elements(file: Buffer) -> ElementList:
    """:func:`read_elements` for a file that is in memory or mapped."""
    parts = split_part10(file)
    lister = _Lister()
    meta = 132 if parts.has_preamble else 4 if bytes(file[:4]) == b"DICM" else 0
    data, start = file, parts.dataset_offset
    if meta < start:
        implicit = "the file meta information is implicit VR" in parts.remarks
        lister.add(file, meta, start, implicit=implicit, big_endian=False)
    claimed = parts.transfer_syntax_uid
    truncated = ""
    if claimed in DEFLATED:
        inflated = deflated.inflate(file, deflated.MAX_BYTES, start=start)
        data, start, claimed = inflated.data, 0, EXPLICIT_LE
        truncated = "" if inflated.is_complete else "only the first 16 MiB were inflated"
    form = form_of(data, start, claimed)
    said = lister.add(data, start, len(data), implicit=form.implicit, big_endian=form.big_endian)
    return ElementList(lines=tuple(lister.lines), truncated=truncated or said)


class _Lister:
    """Turns nodes into lines; keeps the character set of each level."""

    def __init__(self) -> None:
        self.lines: list[ElementLine] = []
        self.charsets: list[Charset] = [charset_of(b"")]
        self.is_signed = False

    def add(self, data: Buffer, start: int, end: int, *, implicit: bool, big_endian: bool) -> str:
        """Append the lines of one dataset; return in words what was left out, if anything."""
        open_sequences: list[tuple[int, int]] = []  # depth and line of each
        try:
            for node in tree(data, start, end, implicit=implicit, big_endian=big_endian):
                if len(self.lines) >= MAX_LINES:
                    return f"only the first {MAX_LINES:,} elements are listed"
                while open_sequences and open_sequences[-1][0] >= node.depth:
                    open_sequences.pop()
                self._line(data, node, big_endian, open_sequences)
        except TreeEndedError as error:
            return f"the rest cannot be read: {error}"
        return ""

    def _line(
        self, data: Buffer, node: Node, big_endian: bool, open_sequences: list[tuple[int, int]]
    ) -> None:
        if node.tag == ITEM:
            del self.charsets[node.depth :]
            outer = self.charsets[-1]
            self.charsets.extend([outer] * (node.depth + 2 - len(self.charsets)))
            self._item(node, open_sequences[-1][1])
            return
        del self.charsets[node.depth + 1 :]
        charset = self.charsets[-1]
        if node.tag == CHARACTER_SET_TAG:
            raw = bytes(data[node.start : min(node.stop, node.start + 1024)])
            self.charsets[-1] = charset = charset_of(raw)
        vr = self._vr(node)
        is_sequence = node.stop < 0
        value = "0 items" if is_sequence else ""
        if not is_sequence:
            value = value_text(data, node._replace(vr=vr), charset, big_endian=big_endian)
        if node.tag == _PIXEL_REPRESENTATION_TAG:
            self.is_signed = value == "1"
        name, keyword = _names(node)
        if is_sequence:
            open_sequences.append((node.depth, len(self.lines)))
        self.lines.append(
            ElementLine(
                depth=node.depth,
                tag=tag_text(node.tag),
                vr=vr,
                name=clean(name),
                keyword=keyword,
                value=value,
                length=node.length,
                is_private=bool(node.tag >> 16 & 1),
            )
        )

    def _item(self, node: Node, parent: int) -> None:
        line = self.lines[parent]
        number = int(line.value.split()[0]) + 1
        self.lines[parent] = msgspec.structs.replace(
            line, value=f"{number} item" + ("s" if number > 1 else ""), has_children=True
        )
        self.lines.append(
            ElementLine(
                depth=node.depth,
                tag="",
                vr="",
                name=f"Item {number}",
                keyword="",
                value="",
                length=node.length,
                has_children=node.length != 0,
            )
        )

    def _vr(self, node: Node) -> str:
        """One VR where the dictionary allows several."""
        if " or " not in node.vr:
            return node.vr
        if node.vr.startswith("US or SS"):
            return "SS" if self.is_signed else "US"
        return "OW" if "OW" in node.vr else node.vr[:2]


def _names(node: Node) -> tuple[str, str]:
    """(name, keyword) by the dictionaries."""
    tag = node.tag
    if tag & 0xFFFF == 0:
        return "Group Length", ""
    if not tag >> 16 & 1:
        try:
            entry = get_entry(tag)
        except KeyError:
            return "Unknown", ""
        return entry[2], entry[4]
    if 0x10 <= tag & 0xFFFF <= 0xFF:
        return "Private Creator", ""
    if node.creator:
        try:
            return private_dictionary_description(tag, node.creator), ""
        except KeyError:
            pass
    return "Private", ""
