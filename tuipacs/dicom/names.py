"""Names of UIDs for people (PS3.6 A); the UID itself where it has none."""

from __future__ import annotations

from functools import lru_cache

from pydicom.uid import UID


@lru_cache(maxsize=1000)
def sop_class_name(uid: str) -> str:
    """ "CT Image Storage" for its UID; "Private" or "Unknown" classes keep the UID in brackets."""
    return _name(uid)


@lru_cache(maxsize=200)
def transfer_syntax_name(uid: str) -> str:
    """ "JPEG 2000 Image Compression" for its UID."""
    return _name(uid)


def _name(text: str) -> str:
    uid = UID(text)
    if uid.name != text:
        return uid.name
    return f"Private ({text})" if uid.is_private else f"Unknown ({text})"
