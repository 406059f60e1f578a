"""The filter line of the archive: words and ``key:value`` terms, read once into plain data.

Grammar: terms are separated by blanks and all must match. ``"two words"`` is one term, ``!term``
excludes. Keys: ``mod:CT,MR`` ``date:-7d`` ``date:today`` ``date:20261101-20261120`` ``id:``
``acc:`` ``name:`` ``desc:`` ``ae:`` ``uid:`` ``st:conflict``. A bare word is looked for in name,
ID, accession number, description, referring physician and modality, whatever its case or accents.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from enum import StrEnum

from msgspec import Struct

from tuipacs.domain.dates import da, days_ago, is_relative, range_ends, spoken_day
from tuipacs.errors import UsageError

MAX_TERMS = 20
MAX_LENGTH = 500


class Field(StrEnum):
    """What a term is matched against."""

    ANY = "any"
    MODALITY = "mod"
    DATE = "date"
    PATIENT_ID = "id"
    ACCESSION = "acc"
    NAME = "name"
    DESCRIPTION = "desc"
    CALLING_AE = "ae"
    UID = "uid"
    STATE = "st"


class Term(Struct, frozen=True, kw_only=True):
    """One condition. A DATE lies in ``first`` to ``last``: YYYYMMDD, inclusive, "" is open."""

    field: Field
    value: str = ""
    exclude: bool = False
    first: str = ""
    last: str = ""


class SortKey(StrEnum):
    """Orders that an index backs."""

    RECEIVED = "received"
    DATE = "date"
    NAME = "name"
    ID = "id"


_TOKEN = re.compile(r'(!?)(?:([A-Za-z]+):)?(?:"([^"]*)"?|(\S*))')
_PART_OF_DATE = re.compile(r"(?:[0-9]{4}(?:[0-9]{2}){0,2})?")
# Marks that are accents or optional vowel points. Those of other scripts make another letter of it:
# without its voicing mark a kana is a different one, without its vowel a Thai syllable.
_ACCENTS = re.compile("[\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0670\u1ab0-\u1aff\u1dc0-\u1dff]")
_NEAREST_KEYS = ", ".join(f"{field.value}:" for field in Field if field is not Field.ANY)


def fold(text: str) -> str:
    """Return ``text`` without case, accents and the separators of person names, for comparing.

    >>> fold("MÜLLER^Änne=山田^太郎")
    'muller anne 山田 太郎'
    """
    if text.isascii():
        plain = text.lower()
    else:  # decomposed before and after: U+210C has no lower case, the "H" within it has
        folded = unicodedata.normalize("NFKD", text).casefold()
        decomposed = unicodedata.normalize("NFKD", folded)
        plain = _ACCENTS.sub("", decomposed)
    return " ".join(plain.replace("^", " ").replace("=", " ").split())


def parse_filter(text: str, today: dt.date) -> tuple[Term, ...]:
    """Read a filter line. Raises `UsageError` for an unknown key or a date that is none."""
    if len(text) > MAX_LENGTH:
        raise UsageError(f"the filter is longer than {MAX_LENGTH} characters")
    terms: list[Term] = []
    for bang, key, quoted, bare in _TOKEN.findall(text):
        try:
            field = Field(key.lower()) if key else Field.ANY
        except ValueError:
            raise UsageError(f"no such filter key: {key}: (known: {_NEAREST_KEYS})") from None
        value = quoted or bare
        if not value:
            continue  # "mod:" while it is being typed
        if field is Field.DATE:
            first, last = _dates(value, today)
            terms.append(Term(field=field, exclude=bool(bang), first=first, last=last))
        else:
            terms.append(Term(field=field, value=value, exclude=bool(bang)))
    if len(terms) > MAX_TERMS:
        raise UsageError(f"the filter has more than {MAX_TERMS} terms")
    return tuple(terms)


def _dates(value: str, today: dt.date) -> tuple[str, str]:
    lowered = value.lower()
    if day := spoken_day(lowered, today):
        return da(day), da(day)
    if is_relative(lowered):
        try:
            return da(days_ago(lowered, today)), ""
        except OverflowError:
            return "", ""
    first, dash, last = range_ends(value)
    if not (first or last) or not all(_PART_OF_DATE.fullmatch(end) for end in (first, last)):
        raise UsageError("date: takes today, -7d, 2026, 202611, 20261121 or FIRST-LAST")
    last = last if dash else first
    return first and first.ljust(8, "0"), last and last.ljust(8, "9")
