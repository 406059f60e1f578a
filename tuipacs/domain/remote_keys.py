"""From a query form to the keys of a C-FIND identifier (PS3.4 C.2.2.2), as users mean them.

A name without a wildcard is looked for at its beginning and a description anywhere, as the field
has it; in double quotes each is taken to the letter. IDs are exact unless they have a wildcard.
"""

from __future__ import annotations

import calendar
import datetime as dt
import re
import unicodedata
from itertools import product
from typing import NamedTuple

from tuipacs.domain.dates import da, days_ago, is_relative, range_ends, spoken_day
from tuipacs.domain.level import Level
from tuipacs.domain.remote import RemoteQuery
from tuipacs.domain.uid import MAX_KEPT_UID_LENGTH, is_usable_uid, strip_uid
from tuipacs.errors import UsageError

MAX_TEXT = 64  # characters of a key
MAX_UIDS = 500
MAX_MODALITIES = 8
LEVELS = (Level.STUDY, Level.SERIES, Level.INSTANCE)

_DATE = re.compile(r"([0-9]{4})([0-9]{2})?([0-9]{2})?")
_DATE_WORDS = "today, yesterday, -7d, 2026, 202611, 20261121, FIRST-LAST, FIRST- or -LAST"


class Key(NamedTuple):
    """One matching key: its keyword, its VR and the text that is sent."""

    keyword: str
    vr: str
    text: str


def questions_of(query: RemoteQuery, today: dt.date) -> tuple[tuple[Key, ...], ...]:
    """The keys of each identifier that has to be asked; what any of them finds is an answer.

    One for each modality: a list of values matches UIDs only (PS3.4 C.2.2.2.2). Raises `UsageError`
    for a query that asks for nothing that can be found, or for more than there is.
    """
    if query.level not in LEVELS:
        raise UsageError("nodes are asked for studies, series or instances")
    studies = _uids("study", query.study_instance_uids)
    series = _uids("series", query.series_instance_uids)
    instances = _uids("instance", query.sop_instance_uids)
    _check_hierarchy(query, studies, series, instances)
    keys = [
        _name("PatientName", query.patient_name),
        _text("PatientID", "LO", query.patient_id),
        _dates("PatientBirthDate", query.patient_birth_date, today),
        _text("AccessionNumber", "SH", query.accession_number),
        _dates("StudyDate", query.study_date, today),
        _description("StudyDescription", query.study_description),
        _name("ReferringPhysicianName", query.referring_physician_name),
        Key("StudyInstanceUID", "UI", "\\".join(studies)),
        Key("SeriesInstanceUID", "UI", "\\".join(series)),
        Key("SOPInstanceUID", "UI", "\\".join(instances)),
    ]
    keys = [key for key in keys if key.text]
    modality = "ModalitiesInStudy" if query.level is Level.STUDY else "Modality"
    modalities = [Key(modality, "CS", word) for word in _modalities(query.modality)]
    if query.level is not Level.STUDY:
        _check_only_series_keys(query, keys)
    if not keys and not modalities and _has_text(query):
        raise UsageError("* alone restricts nothing: that would ask for everything")
    if not keys and not modalities:
        raise UsageError(
            "the form is empty: that would ask for everything", remedy="fill in one field"
        )
    return tuple((*keys, *more) for more in product(*([modalities] if modalities else [])))


def _has_text(query: RemoteQuery) -> bool:
    """Whether anything was filled in: what of it is left is only wildcards."""
    fields = (
        query.patient_name,
        query.patient_id,
        query.accession_number,
        query.study_description,
        query.referring_physician_name,
        query.modality,
    )
    return any(field.strip() for field in fields)


def _check_hierarchy(
    query: RemoteQuery,
    studies: tuple[str, ...],
    series: tuple[str, ...],
    instances: tuple[str, ...],
) -> None:
    """Above the level each unique key is one value, and below it there is none (PS3.4 C.4.1.2)."""
    if query.level is not Level.STUDY and len(studies) != 1:
        raise UsageError("series and instances are asked for in one study: give its UID")
    if query.level is Level.INSTANCE and len(series) != 1:
        raise UsageError("instances are asked for in one series: give its UID")
    if (query.level is Level.STUDY and series) or (query.level is not Level.INSTANCE and instances):
        raise UsageError("a UID below the level that is asked for")


def _check_only_series_keys(query: RemoteQuery, keys: list[Key]) -> None:
    uids = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    if others := [key.keyword for key in keys if key.keyword not in uids]:
        raise UsageError(f"{others[0]} is a key of studies, not of what is below them")
    if query.modality and query.level is Level.INSTANCE:
        raise UsageError("the modality is a key of studies and series")


def _uids(what: str, values: tuple[str, ...]) -> tuple[str, ...]:
    uids = tuple(dict.fromkeys(strip_uid(value.strip()) for value in values))
    if len(uids) > MAX_UIDS:
        raise UsageError(f"more than {MAX_UIDS} UIDs")
    if not all(is_usable_uid(uid, longest=MAX_KEPT_UID_LENGTH) for uid in uids):
        raise UsageError(f"that is no {what} UID")
    return uids


def _clean(keyword: str, text: str) -> tuple[str, bool]:
    """The text without what surrounds it, and whether it was in quotes."""
    text = unicodedata.normalize("NFC", text.strip())
    is_exact = len(text) > 1 and text[0] == text[-1] == '"'
    text = text[1:-1].strip() if is_exact else text
    if "\\" in text or any(unicodedata.category(c)[0] == "C" for c in text):
        raise UsageError(f"{keyword} cannot hold a backslash or a control character")
    if len(text) > MAX_TEXT:
        raise UsageError(f"{keyword} is longer than {MAX_TEXT} characters")
    return re.sub(r"\*+", "*", text), is_exact


def _text(keyword: str, vr: str, text: str) -> Key:
    text, _ = _clean(keyword, text)
    return Key(keyword, vr, "" if text == "*" else text)


def _name(keyword: str, text: str) -> Key:
    """``doe john`` finds DOE^JOHN and DOE^MARY JOHN: blanks stand for what may be between."""
    text, is_exact = _clean(keyword, text)
    if text and not is_exact and "*" not in text and "?" not in text:
        parts = text.split() if "^" not in text and "," not in text else [text]
        text = "*".join(parts).replace(", ", "^").replace(",", "^") + "*"
    return Key(keyword, "PN", "" if text == "*" else text)


def _description(keyword: str, text: str) -> Key:
    text, is_exact = _clean(keyword, text)
    if text and not is_exact and "*" not in text and "?" not in text:
        text = f"*{text}*"
    return Key(keyword, "LO", "" if text == "*" else text)


def _modalities(text: str) -> tuple[str, ...]:
    words = tuple(dict.fromkeys(word.upper() for word in re.split(r"[,\s\\]+", text) if word))
    if len(words) > MAX_MODALITIES:
        raise UsageError(f"more than {MAX_MODALITIES} modalities")
    if bad := [word for word in words if not re.fullmatch(r"[A-Z0-9_*?]{1,16}", word)]:
        raise UsageError(f"{bad[0][:16]!r} is no modality")
    return () if any(not word.strip("*") for word in words) else words


def _dates(keyword: str, text: str, today: dt.date) -> Key:
    text = text.strip()
    return Key(keyword, "DA", date_range(text, today) if text else "")


def date_range(text: str, today: dt.date) -> str:
    """A date or a range of dates as DICOM has it: ``20261101-20261130``, ``20261101-``.

    >>> date_range("-7d", dt.date(2026, 11, 22))
    '20261115-'
    >>> date_range("202602", dt.date(2026, 11, 22))
    '20260201-20260228'

    Raises `UsageError` for what is none.
    """
    lowered = text.strip().lower()
    if day := spoken_day(lowered, today):
        return da(day)
    if is_relative(lowered):
        try:
            return f"{da(days_ago(lowered, today))}-"
        except OverflowError:
            raise UsageError("there is no day so long ago") from None
    if lowered.startswith("-") and lowered[-1] in "dwmy":
        raise UsageError(f"{lowered[:20]} is too long ago, or no number: -1d to -9999y")
    first_text, dash, last_text = (part.strip() for part in range_ends(lowered))
    first = _day(first_text, is_last=False) if first_text else None
    last = _day(last_text if dash else first_text, is_last=True) if last_text or not dash else None
    if first is None and last is None:
        raise UsageError(f"a date is one of {_DATE_WORDS}")
    if first == last and first is not None:
        return da(first)
    if first is not None and last is not None and first > last:
        raise UsageError("the first date is after the last")
    return f"{da(first) if first else ''}-{da(last) if last else ''}"


def _day(text: str, *, is_last: bool) -> dt.date:
    found = _DATE.fullmatch(text)
    if found is None:
        raise UsageError(f"a date is one of {_DATE_WORDS}")
    year = int(found[1])
    month = int(found[2] or (12 if is_last else 1))
    try:
        day = int(found[3] or (calendar.monthrange(year, month)[1] if is_last else 1))
        return dt.date(year, month, day)
    except (ValueError, calendar.IllegalMonthError):
        raise UsageError(f"there is no day {text}") from None
