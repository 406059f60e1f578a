"""Application Entity titles (PS3.5 6.2, VR AE): what one may look like, and how two compare."""

from __future__ import annotations

from tuipacs.errors import UsageError

MAX_AE_TITLE = 16


def strip_ae_title(text: str) -> str:
    """``text`` without outer spaces, which mean nothing, and NULs, with which some senders pad."""
    return text.strip(" \0")


def ae_title_fault(text: str) -> str:
    """Why ``text`` is no AE title, in words; empty when it is one.

    1 to 16 characters of printable ASCII, no backslash; outer spaces do not count.
    """
    title = strip_ae_title(text)
    if not title:
        return "is empty"
    if len(title) > MAX_AE_TITLE:
        return f"is longer than {MAX_AE_TITLE} characters"
    if not title.isascii() or not title.isprintable():
        return "has a character outside printable ASCII"
    if "\\" in title:
        return "has a backslash"
    return ""


def looks_like_pattern(text: str) -> bool:
    """Whether it has a ``*`` or ``?``: legal in a title (PS3.5 6.2), where they stand for nothing.

    Other programs take them for wildcards; here a title is compared as it stands.
    """
    return "*" in text or "?" in text


def check_ae_title(text: str) -> str:
    """The title without outer spaces. Raises `UsageError` that says what is wrong with it."""
    fault = ae_title_fault(text)
    if fault:
        raise UsageError(
            f"the AE title {fault}",
            remedy=f"1 to {MAX_AE_TITLE} ASCII characters, no backslash, no controls",
        )
    return strip_ae_title(text)
