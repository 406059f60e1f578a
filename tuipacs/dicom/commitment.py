"""The datasets of storage commitment (PS3.4 J.3.2.1, J.3.3.1): written, and read within bounds.

Tens of thousands of references are usual, so that neither direction builds a tree of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from tuipacs.dicom.encoding import EXPLICIT_BE, IMPLICIT_LE
from tuipacs.dicom.tree import ITEM, Node, TreeEndedError, tree
from tuipacs.domain.commitment import Failed, Reference
from tuipacs.domain.uid import MAX_KEPT_UID_LENGTH, is_usable_uid, strip_uid
from tuipacs.errors import InvalidObjectError

MAX_REFERENCES = 100_000  # of one transaction
MAX_DATASET = 24 << 20  # bytes: room for as many, with UIDs of 64 characters
_NODES = 4  # of a reference: an item and its three elements

_CLASS, _INSTANCE = 0x00081150, 0x00081155
_RETRIEVE_AE, _TRANSACTION, _REASON = 0x00080054, 0x00081195, 0x00081197
_FAILED, _REFERENCED = 0x00081198, 0x00081199
_OF_AN_ITEM = frozenset((_CLASS, _INSTANCE, _REASON))

_Write: TypeAlias = Callable[[int, bytes, bytes], bytes]
_Order: TypeAlias = Literal["little", "big"]


@dataclass
class CommitmentDataset:
    """What an N-ACTION asks for, or an N-EVENT-REPORT tells.

    Each reference as often as it came. UIDs can be kept, but nothing else is known of them.
    """

    transaction_uid: str
    referenced: list[Reference] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)


class TooManyReferencesError(InvalidObjectError):
    """More references than are read."""


def encode_commitment(
    transaction_uid: str,
    referenced: Iterable[tuple[str, str]],
    failed: Iterable[tuple[str, str, int]] = (),
    *,
    implicit: bool,
    retrieve_ae_title: str = "",
) -> bytes:
    """A dataset in Implicit or Explicit VR Little Endian. A sequence without items is left out.

    ``retrieve_ae_title``: of a report, from where what is committed can be retrieved.
    """
    write = _implicit if implicit else _explicit
    parts = [write(_RETRIEVE_AE, b"AE", _ae(retrieve_ae_title))] if retrieve_ae_title else []
    parts += [write(_TRANSACTION, b"UI", _uid(transaction_uid))]
    sequences = (
        (_FAILED, [_item(write, *one) for one in failed]),
        (_REFERENCED, [_item(write, *one) for one in referenced]),
    )
    parts += [write(tag, b"SQ", b"".join(items)) for tag, items in sequences if items]
    return b"".join(parts)


def _item(write: _Write, sop_class: str, sop_instance: str, reason: int | None = None) -> bytes:
    body = write(_CLASS, b"UI", _uid(sop_class)) + write(_INSTANCE, b"UI", _uid(sop_instance))
    if reason is not None:
        body += write(_REASON, b"US", reason.to_bytes(2, "little"))
    return b"\xfe\xff\x00\xe0" + len(body).to_bytes(4, "little") + body


def _implicit(tag: int, _vr: bytes, value: bytes) -> bytes:
    return _tag(tag) + len(value).to_bytes(4, "little") + value


def _explicit(tag: int, vr: bytes, value: bytes) -> bytes:
    if vr == b"SQ":
        return _tag(tag) + b"SQ\0\0" + len(value).to_bytes(4, "little") + value
    return _tag(tag) + vr + len(value).to_bytes(2, "little") + value


def _tag(tag: int) -> bytes:
    return (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little")


def _uid(uid: str) -> bytes:
    data = uid.encode("ascii")
    return data + b"\0" * (len(data) % 2)


def _ae(title: str) -> bytes:
    data = title.encode("ascii")
    return data + b" " * (len(data) % 2)


def read_commitment(
    data: bytes | bytearray,
    transfer_syntax_uid: str,
    *,
    most: int = MAX_REFERENCES,
    may_lack_uids: bool = False,
) -> CommitmentDataset:
    """Read a dataset of at most so many references in an uncompressed transfer syntax.

    Raises `TooManyReferencesError`, and `InvalidObjectError` for what lacks a UID or cannot be
    followed to its end: half of a list is no list. Words carry no values. ``may_lack_uids``: a
    UID of a reference that is missing or empty is an empty text.
    """
    big_endian = transfer_syntax_uid == EXPLICIT_BE
    implicit = transfer_syntax_uid == IMPLICIT_LE
    reader = _Reader(data, "big" if big_endian else "little", most, may_lack_uids)
    try:
        nodes = tree(data, 0, len(data), implicit=implicit, big_endian=big_endian)
        for node in _bounded(nodes, _NODES * most + 100):
            reader.take(node)
    except TreeEndedError as error:
        raise InvalidObjectError(f"the list cannot be read: {error}") from error
    return reader.finish()


def _bounded(nodes: Iterator[Node], most: int) -> Iterator[Node]:
    for number, node in enumerate(nodes):
        if number >= most:
            raise TooManyReferencesError("the list has too many elements")
        yield node


class _Reader:
    """Takes the elements one after another; only items of the two sequences are looked into."""

    def __init__(
        self, data: bytes | bytearray, order: _Order, most: int, may_lack_uids: bool
    ) -> None:
        self._most = most
        self._may_lack_uids = may_lack_uids
        self._data = data
        self._order = order
        self._transaction = ""
        self._sequence = 0  # which of the two the walk is in
        self._item: dict[int, bytes] | None = None
        self._seen: set[int] = set()
        self._found = CommitmentDataset("")

    def take(self, node: Node) -> None:
        if node.depth == 0:
            self._end_item()
            self._sequence = node.tag if node.tag in (_FAILED, _REFERENCED) else 0
            if node.tag in self._seen:
                raise InvalidObjectError("the list has an element twice")
            self._seen.add(node.tag)
            if node.tag == _TRANSACTION:
                self._transaction = self._usable(self._value(node))
        elif self._sequence and node.depth == 1 and node.tag == ITEM:
            self._end_item()
            self._item = {}
        elif self._item is not None and node.depth == 2 and node.tag in _OF_AN_ITEM:
            self._item[node.tag] = self._value(node)

    def _value(self, node: Node) -> bytes:
        if not 0 <= node.stop - node.start <= MAX_KEPT_UID_LENGTH + 1:
            raise InvalidObjectError("the list has a UID of impossible length")
        return bytes(self._data[node.start : node.stop])

    @staticmethod
    def _usable(value: bytes) -> str:
        uid = strip_uid(value.decode("latin-1"))
        if not is_usable_uid(uid, longest=MAX_KEPT_UID_LENGTH):
            raise InvalidObjectError("the list has something that is no UID")
        return uid

    def _end_item(self) -> None:
        item, self._item = self._item, None
        if item is None:
            return
        if len(self._found.referenced) + len(self._found.failed) >= self._most:
            raise TooManyReferencesError(f"the list has more than {self._most} objects")
        reference = Reference(self._named(item, _CLASS), self._named(item, _INSTANCE))
        if self._sequence == _REFERENCED:
            self._found.referenced.append(reference)
        else:
            reason = item.get(_REASON, b"")
            number = int.from_bytes(reason, self._order) if len(reason) == 2 else 0
            self._found.failed.append(Failed(*reference, number))

    def _named(self, item: dict[int, bytes], tag: int) -> str:
        value = item.get(tag, b"")
        is_empty = not value.strip(b"\0 ")
        return "" if is_empty and self._may_lack_uids else self._usable(value)

    def finish(self) -> CommitmentDataset:
        self._end_item()
        if not self._transaction:
            raise InvalidObjectError("the list has no transaction UID")
        self._found.transaction_uid = self._transaction
        return self._found
