"""The conditions of a rule as one line, as on the archive's filter line.

``mod:CT,MR from:CT* study:"*CHEST W/O*" age:30d``: each key once, its patterns divided by commas,
in quotes where they hold a blank or comma; ``!`` before a pattern excludes. `FIELDS` has the keys.
"""

from __future__ import annotations

import re
from typing import Any

from tuipacs.domain.route import RouteConditions, RouteSource, Weekday
from tuipacs.domain.safe_text import clean
from tuipacs.errors import UsageError

FIELDS = {
    "mod": "modalities",
    "only": "modalities",  # and no other one
    "from": "calling_ae_titles",
    "study": "study_descriptions",
    "series": "series_descriptions",
    "part": "body_parts",
    "id": "patient_ids",
    "issuer": "issuers",
    "acc": "accession_numbers",
    "ref": "referring_physicians",
    "inst": "institutions",
    "station": "stations",
    "class": "sop_classes",
}
NUMBERS = {"age": "not_older_than_days", "min": "minimum", "max": "maximum"}
OTHERS = ("days", "time", "in")
UNFLAGGED = "unflagged"
KEYS = (*FIELDS, *NUMBERS, *OTHERS)

_TOKEN = re.compile(r'\s*(?:([a-z]+):)?((?:"[^"]*"|[^\s"])*)', re.IGNORECASE)
_VALUE = re.compile(r'(?:"[^"]*"|[^,"])+')
_PLAIN = re.compile(r'[^\s,"]+')


def read_conditions(text: str) -> RouteConditions:
    """Read the line. Raises `UsageError` that says which part cannot be read."""
    if text.count('"') % 2:
        raise UsageError("a quote is not closed")
    found: dict[str, Any] = {}
    position = 0
    while position < len(text.rstrip()):
        token = _TOKEN.match(text, position)
        if token is None or token.end() == position:
            raise UsageError(f"{clean(text[position : position + 20])} cannot be read")
        position = token.end()
        for name, value in _condition((token[1] or "").lower(), token[2]).items():
            if name in found:
                raise UsageError(f"{token[1] or token[2]} stands there twice")
            found[name] = value
    return RouteConditions(**found)


def _condition(key: str, value: str) -> dict[str, Any]:
    if not key:
        if value.lower() == UNFLAGGED:
            return {"without_flags": True}
        raise UsageError(f"{clean(value, limit=20)}: conditions are like mod:CT study:*CHEST*")
    if key not in KEYS:
        raise UsageError(f"there is no {clean(key, limit=20)}: (but {', '.join(KEYS)})")
    if not value:
        return {}  # while it is being typed
    if key in FIELDS:
        found: dict[str, Any] = {FIELDS[key]: _patterns(value)}
        return found | {"only_modalities": True} if key == "only" else found
    if key in NUMBERS:
        return {NUMBERS[key]: _number(key, value)}
    if key == "days":
        return {"weekdays": read_days(value)}
    if key == "time":
        return {"window": value}
    try:
        return {"source": RouteSource(value.lower())}
    except ValueError:
        raise UsageError(f"in: takes {', '.join(RouteSource)}") from None


def _patterns(value: str) -> tuple[str, ...]:
    return tuple(part.replace('"', "") for part in _VALUE.findall(value))


def _number(key: str, value: str) -> int:
    digits = value.lower().removesuffix("d") if key == "age" else value
    if not re.fullmatch(r"[0-9]{1,7}", digits):
        raise UsageError(f"{key}: takes a number" + (" of days" if key == "age" else ""))
    return int(digits)


def read_days(text: str) -> tuple[Weekday, ...]:
    """``mon-fri,sun`` as days. Raises `UsageError`."""
    days = tuple(Weekday)
    found: set[Weekday] = set()
    for part in text.lower().replace(" ", "").split(","):
        first, _, last = part.partition("-")
        if not part:
            continue
        try:
            start, end = days.index(Weekday(first)), days.index(Weekday(last or first))
        except ValueError:
            raise UsageError(f"days are {', '.join(days)}, as in mon-fri,sun") from None
        found |= {days[(start + n) % 7] for n in range((end - start) % 7 + 1)}
    return tuple(day for day in days if day in found)


def write_conditions(want: RouteConditions) -> str:
    """The line that `read_conditions` makes ``want`` of."""
    parts = []
    for key, field in FIELDS.items():
        if field == "modalities" and (key == "only") != want.only_modalities:
            continue
        if patterns := getattr(want, field):
            parts.append(f"{key}:{','.join(map(_quoted, patterns))}")
    for key, field in NUMBERS.items():
        if number := getattr(want, field):
            parts.append(f"{key}:{number}{'d' if key == 'age' else ''}")
    if want.weekdays:
        parts.append(f"days:{','.join(want.weekdays)}")
    if want.window:
        parts.append(f"time:{want.window}")
    if want.source is not RouteSource.RECEIVED:
        parts.append(f"in:{want.source}")
    if want.without_flags:
        parts.append(UNFLAGGED)
    return " ".join(parts)


def _quoted(pattern: str) -> str:
    return pattern if _PLAIN.fullmatch(pattern) else f'"{pattern}"'
