"""Specific Character Sets that a node can be assumed to mean (PS3.3 C.12.1.1.2).

Only Defined Terms that we read; `dicom.charset` has the codecs, and a test compares the two.
"""

from __future__ import annotations

from tuipacs.errors import UsageError

SINGLE = {  # Defined Term of PS3.3 Table C.12-2 and C.12-5: what it is for
    "ISO_IR 100": "Western European (Latin 1)",
    "ISO_IR 101": "Central European (Latin 2)",
    "ISO_IR 109": "Latin 3",
    "ISO_IR 110": "Latin 4, Baltic",
    "ISO_IR 126": "Greek",
    "ISO_IR 127": "Arabic",
    "ISO_IR 138": "Hebrew",
    "ISO_IR 144": "Cyrillic",
    "ISO_IR 148": "Turkish (Latin 5)",
    "ISO_IR 203": "Latin 9",
    "ISO_IR 13": "Japanese, JIS X 0201",
    "ISO_IR 166": "Thai",
    "ISO_IR 192": "Unicode (UTF-8)",
    "GB18030": "Chinese",
    "GBK": "Chinese",
}
EXTENSIONS = tuple(  # Tables C.12-3 and C.12-4: with code extensions, so several go together
    f"ISO 2022 IR {number}"
    for number in (
        *(6, 100, 101, 109, 110, 126, 127, 138, 144, 148, 203, 13, 166),
        *(87, 159, 149, 58),
    )
)
_MOST = 8  # terms
_REMEDY = (
    "such as ISO_IR 100 (Western European), ISO_IR 192 (UTF-8), GB18030,"
    r" or several with code extensions: ISO 2022 IR 6\ISO 2022 IR 87"
)


def check_character_set(text: str) -> str:
    """``text`` with its Defined Terms as the standard writes them; empty stays empty.

    Several are parted by backslashes, as in the attribute, and then need code extensions; the first
    may be empty (PS3.3 C.12.1.1.2). Raises `UsageError` for what is no term that we read.
    """
    if not text.strip():
        return ""
    terms = [" ".join(term.upper().split()) for term in text.split("\\")]
    if len(terms) == 1 and terms[0] in SINGLE:
        return terms[0]
    known = all(term in EXTENSIONS or (not term and not at) for at, term in enumerate(terms))
    if not known or len(terms) > _MOST:
        raise UsageError("this is no character set of DICOM that can be read here", remedy=_REMEDY)
    return "\\".join(terms)
