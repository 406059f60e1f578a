"""Sort keys that the rows carry: what a date or a number is ordered by."""

from __future__ import annotations

from tuipacs.domain.attributes import StudyAttributes


def sort_date_of(study: StudyAttributes) -> str:
    """Date and time as digits that sort; "" without a date (20240131, or 2024.01.31 of old)."""
    date = study.study_date.replace(".", "")
    if len(date) != 8 or not (date.isascii() and date.isdigit()):
        return ""
    return date + study.study_time.replace(":", "")


def sort_number(text: str) -> int:
    """A sort key from an IS value; what is no number comes last."""
    try:
        value = int(text.split("\\")[0])
    except ValueError:
        return 1 << 31
    return max(-(1 << 31), min(value, 1 << 31))
