"""A dataset as nested items whose values are read on demand: what documents are made from.

Own reading on purpose: no value of a hostile object can raise, recurse or fill memory here.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tuipacs.dicom import deflated
from tuipacs.dicom.charset import Charset, charset_of
from tuipacs.dicom.encoding import DEFLATED, EXPLICIT_LE, NUMBER_CODES, Buffer
from tuipacs.dicom.form import form_of
from tuipacs.dicom.mapped import mapped_file
from tuipacs.dicom.part10 import split_part10
from tuipacs.dicom.tree import ITEM, Node, TreeEndedError, tree
from tuipacs.domain.find import CHARACTER_SET_TAG

MAX_NODES = 200_000
MAX_TEXT_BYTES = 64 << 10
_MAX_NUMBERS = 4096
_LINE_TEXT_VRS = frozenset(("LO", "SH", "UC", "PN"))
_BLOCK_TEXT_VRS = frozenset(("LT", "ST", "UT"))


class Item:
    """One dataset or item. Absent and unreadable values are empty, never an error."""

    def __init__(self, data: Buffer, charset: Charset, *, big_endian: bool) -> None:
        self._data = data
        self._charset = charset
        self._big_endian = big_endian
        self._nodes: dict[int, Node] = {}
        self._sequences: dict[int, list[Item]] = {}

    def text(self, tag: int) -> str:
        """The value as text, as stored; several values stay joined with backslashes."""
        node = self._nodes.get(tag)
        if node is None or node.stop < 0:
            return ""
        if node.vr in NUMBER_CODES or node.vr == "US or SS":
            return "\\".join(map(plain, self.numbers(tag)))
        raw = self._raw(node)
        if node.vr in _LINE_TEXT_VRS or node.vr in _BLOCK_TEXT_VRS:
            return self._charset.decode(raw, is_name=node.vr == "PN")[0].rstrip("\0 ")
        return raw.decode("latin_1").rstrip("\0 ")

    def numbers(self, tag: int) -> list[float]:
        """The values as finite numbers; those that are none are left out."""
        node = self._nodes.get(tag)
        if node is None or node.stop < 0:
            return []
        code = "H" if node.vr == "US or SS" else NUMBER_CODES.get(node.vr)
        if code is None:
            return [n for part in self.text(tag).split("\\") for n in _number(part)]
        raw = self._raw(node)
        count = min(len(raw) // struct.calcsize("<" + code), _MAX_NUMBERS)
        values = struct.unpack_from(f"{'>' if self._big_endian else '<'}{count}{code}", raw)
        return [float(value) for value in values if math.isfinite(value)]

    def number(self, tag: int, default: float = 0) -> float:
        """The first value as a number."""
        return next(iter(self.numbers(tag)), default)

    def items(self, tag: int) -> list[Item]:
        """The items of a sequence."""
        return self._sequences.get(tag, [])

    def first(self, tag: int) -> Item:
        """The first item of a sequence; an empty item if there is none."""
        items = self.items(tag)
        return items[0] if items else Item(b"", self._charset, big_endian=self._big_endian)

    def span(self, tag: int) -> tuple[int, int]:
        """Where the value lies: (start, stop); (0, 0) if absent or of undefined length."""
        node = self._nodes.get(tag)
        return (0, 0) if node is None or node.length < 0 else (node.start, node.stop)

    def has(self, tag: int) -> bool:
        """Whether the element is there at all."""
        return tag in self._nodes

    def add(self, node: Node) -> None:
        """Take an element (the last one counts)."""
        self._nodes[node.tag] = node
        if node.stop < 0:
            self._sequences[node.tag] = []
        if node.tag == CHARACTER_SET_TAG:
            self._charset = charset_of(self._raw(node)[:1024])

    def open_item(self, tag: int) -> Item:
        """A new item of a sequence, which inherits the character set (PS3.5 7.5.3)."""
        item = Item(self._data, self._charset, big_endian=self._big_endian)
        self._sequences.setdefault(tag, []).append(item)
        return item

    def _raw(self, node: Node) -> bytes:
        return bytes(self._data[node.start : min(node.stop, node.start + MAX_TEXT_BYTES)])


class OpenedContent:
    """The root item of an opened object; ``truncated`` says in words what could not be read."""

    def __init__(self, data: Buffer, root: Item, truncated: str) -> None:
        self.data = data
        self.root = root
        self.truncated = truncated


@contextmanager
def open_content(path: Path) -> Iterator[OpenedContent]:
    """Open a Part 10 file (or bare dataset) for reading; values are read while it is open.

    Raises :class:`InvalidObjectError` if it is no DICOM file; :class:`OSError` passes.
    """
    with mapped_file(path) as mapping:
        yield _content(mapping)


def _content(file: Buffer) -> OpenedContent:
    parts = split_part10(file)
    data, start, claimed = file, parts.dataset_offset, parts.transfer_syntax_uid
    if claimed in DEFLATED:
        inflated = deflated.inflate(file, deflated.MAX_BYTES, start=start)
        data, start, claimed = inflated.data, 0, EXPLICIT_LE
    form = form_of(data, start, claimed)
    root = Item(data, charset_of(b""), big_endian=form.big_endian)
    nodes = tree(data, form.start, len(data), implicit=form.implicit, big_endian=form.big_endian)
    return OpenedContent(data, root, _fill(root, nodes))


def _fill(root: Item, nodes: Iterator[Node]) -> str:
    """Hang the nodes below the root; return in words what was left out."""
    stack: list[tuple[Item, int]] = [(root, 0)]  # each open item, and its latest sequence
    try:
        for count, node in enumerate(nodes):
            if count >= MAX_NODES:
                return f"only the first {MAX_NODES:,} elements were read"
            level = node.depth // 2  # items have odd depths, what they hold even ones
            del stack[level + 1 :]
            item, sequence = stack[-1]
            if node.tag == ITEM:
                stack.append((item.open_item(sequence), 0))
                continue
            item.add(node)
            if node.stop < 0:
                stack[-1] = (item, node.tag)
    except TreeEndedError as error:
        return f"the rest cannot be read: {error}"
    return ""


def plain(number: float) -> str:
    """A finite number for people: whole ones in full, others with seven digits."""
    if number == int(number) and abs(number) < 1e15:
        return str(int(number))
    return f"{number:.7g}"


def _number(text: str) -> list[float]:
    text = text.strip(" \0")
    if len(text) > 32 or "_" in text:
        return []
    try:
        number = float(text)
    except ValueError:
        return []
    return [number] if math.isfinite(number) else []
