"""What is held in which transfer syntax, without looking at the objects."""

from __future__ import annotations

from tuipacs.index.database import Reader

_MOST = 100  # of one SOP class; there are not as many


def of_class(reader: Reader, sop_class_uid: str) -> frozenset[str]:
    """The transfer syntaxes in which objects of a SOP class are stored, or were once."""
    return frozenset(
        row[0]
        for row in reader.execute(
            "SELECT transfer_syntax_uid FROM held_syntax WHERE sop_class_uid = ? LIMIT ?",
            (sop_class_uid, _MOST),
        )
    )
