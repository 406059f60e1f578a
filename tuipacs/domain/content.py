"""What is inside an instance beside pixels: data elements and readable documents."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class ElementLine(Struct, frozen=True, kw_only=True):
    """One line of the data elements view, in dataset order, parents before children.

    ``value`` is text for people, shortened when long; ``length`` is in bytes, -1 if undefined.
    """

    depth: int
    tag: str  # "(0010,0010)"; an item of a sequence has "Item 1" in ``name`` and an empty tag
    vr: str
    name: str  # dictionary name, the private dictionary's name, or "Private" / "Unknown"
    keyword: str
    value: str
    length: int
    is_private: bool = False
    has_children: bool = False


class ElementList(Struct, frozen=True, kw_only=True):
    """All lines of one instance; ``truncated`` says in words what was left out, if anything."""

    lines: tuple[ElementLine, ...]
    truncated: str = ""


class DocumentKind(StrEnum):
    """How an instance without an ordinary picture is presented."""

    IMAGE = "image"
    STRUCTURED_REPORT = "structured-report"
    ENCAPSULATED = "encapsulated"
    WAVEFORM = "waveform"
    OTHER = "other"


class Document(Struct, frozen=True, kw_only=True):
    """A readable view of an instance that is not (only) a picture."""

    kind: DocumentKind
    title: str
    lines: tuple[str, ...]
    media_type: str = ""  # of an encapsulated document, e.g. application/pdf
    size: int = 0  # bytes of the encapsulated document
    exportable: bool = False
