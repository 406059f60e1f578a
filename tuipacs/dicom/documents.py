"""Instances that are not (only) pictures as texts: reports, documents, waveforms, RT, others."""

from __future__ import annotations

from pathlib import Path

from tuipacs.dicom import document_facts, encapsulated_document, sr
from tuipacs.dicom.content_reader import OpenedContent, open_content
from tuipacs.dicom.encoding import PIXEL_TAGS
from tuipacs.dicom.kinds import kind_of
from tuipacs.domain.content import Document, DocumentKind
from tuipacs.domain.safe_text import clean
from tuipacs.errors import DecodeError


def read_document(path: Path) -> Document:
    """Read a Part 10 file as a document; all lines are cleaned for a terminal.

    Damage is said in the last line. Raises :class:`InvalidObjectError` if it is no DICOM file;
    :class:`OSError` passes.
    """
    with open_content(path) as content:
        document = _document(content)
        if not content.truncated:
            return document
        return Document(
            kind=document.kind,
            title=document.title,
            lines=(*document.lines, f"({content.truncated})"),
            media_type=document.media_type,
            size=document.size,
            exportable=document.exportable,
        )


def read_encapsulated(path: Path) -> bytes:
    """The document inside an encapsulated object, byte for byte, without DICOM's padding byte.

    Raises :class:`DecodeError` if there is none, :class:`InvalidObjectError` if the file is no
    DICOM; :class:`OSError` passes.
    """
    with open_content(path) as content:
        if content.truncated:
            raise DecodeError(f"the document is damaged: {content.truncated}")
        start, stop = encapsulated_document.span_of(content)
        return bytes(content.data[start:stop])


def _document(content: OpenedContent) -> Document:
    root = content.root
    kind = kind_of(root.text(0x00080016), has_pixels=any(map(root.has, PIXEL_TAGS)))
    title = document_facts.kind_title(root)
    if kind == DocumentKind.STRUCTURED_REPORT:
        return Document(kind=kind, title=sr.title_of(root) or title, lines=tuple(sr.lines_of(root)))
    if kind == DocumentKind.ENCAPSULATED:
        return _encapsulated(content, title)
    if kind == DocumentKind.WAVEFORM:
        lines = document_facts.waveform_lines(root) or document_facts.other_lines(root)
    else:
        lines = document_facts.other_lines(root)
    return Document(kind=kind, title=title, lines=tuple(lines))


def _encapsulated(content: OpenedContent, class_title: str) -> Document:
    title = clean(content.root.text(encapsulated_document.TITLE), limit=200)
    media_type = encapsulated_document.media_type(content)
    try:
        start, stop = encapsulated_document.span_of(content)
    except DecodeError as error:
        return Document(
            kind=DocumentKind.ENCAPSULATED,
            title=title or class_title,
            lines=(error.message,),
            media_type=media_type,
        )
    lines = [f"{class_title}: {media_type}, {stop - start:,} bytes"]
    lines += encapsulated_document.text_lines(content, start, stop)
    return Document(
        kind=DocumentKind.ENCAPSULATED,
        title=title or class_title,
        lines=tuple(lines),
        media_type=media_type,
        size=stop - start,
        exportable=not content.truncated,
    )
