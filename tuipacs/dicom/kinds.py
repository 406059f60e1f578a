"""How an instance is presented, told from its SOP class (PS3.4 B.5)."""

from __future__ import annotations

from tuipacs.domain.content import DocumentKind

_ENCAPSULATED = "1.2.840.10008.5.1.4.1.1.104."
_REPORTS = "1.2.840.10008.5.1.4.1.1.88."
_WAVEFORMS = "1.2.840.10008.5.1.4.1.1.9."


def kind_of(sop_class_uid: str, *, has_pixels: bool) -> DocumentKind:
    """The view that suits an instance; ``has_pixels`` decides for unknown and private classes."""
    if sop_class_uid.startswith(_ENCAPSULATED):
        return DocumentKind.ENCAPSULATED
    if sop_class_uid.startswith(_REPORTS):
        return DocumentKind.STRUCTURED_REPORT
    if sop_class_uid.startswith(_WAVEFORMS):
        return DocumentKind.WAVEFORM
    return DocumentKind.IMAGE if has_pixels else DocumentKind.OTHER
