"""What a rule may say: checked, and brought to one form, before it is kept or tried."""

from __future__ import annotations

import msgspec

from tuipacs.domain.route import RouteConditions, RouteRule, Weekday
from tuipacs.domain.route_match import read_window
from tuipacs.domain.safe_text import clean
from tuipacs.domain.uid import is_valid_uid
from tuipacs.errors import UsageError

MAX_RULES = 200
MAX_NAME = 60  # characters
MAX_NODES = 20
MAX_PATTERNS = 50
MAX_PATTERN = 64  # characters: the longest text attribute there is a condition for
MAX_QUIET = 86_400  # seconds
MAX_AGE = 36_500  # days
MAX_COUNT = 1_000_000

_PATTERNS = (
    "patient_ids",
    "issuers",
    "study_descriptions",
    "accession_numbers",
    "referring_physicians",
    "calling_ae_titles",
    "modalities",
    "series_descriptions",
    "body_parts",
    "institutions",
    "stations",
    "sop_classes",
)
_NUMBERS = (("not_older_than_days", MAX_AGE), ("minimum", MAX_COUNT), ("maximum", MAX_COUNT))


def check_rule(rule: RouteRule) -> RouteRule:
    """The rule without outer blanks and repetitions. Raises `UsageError` with what is wrong."""
    name = rule.name.strip()
    if not name:
        raise UsageError("a rule needs a name")
    if len(name) > MAX_NAME or clean(name) != name:
        raise UsageError(f"a rule's name has at most {MAX_NAME} printable characters")
    if name.isdecimal():
        raise UsageError("a rule's name is no number: that would be taken for a key")
    nodes = tuple(key for n, key in enumerate(rule.nodes) if not key or key not in rule.nodes[:n])
    if not (nodes or rule.stop):
        raise UsageError("a rule needs a destination, or has to stop the rules after it")
    if len(nodes) > MAX_NODES:
        raise UsageError(f"a rule has at most {MAX_NODES} destinations")
    if rule.priority not in (0, 1, 2):
        raise UsageError("the priority is 0, 1 or 2")
    if not 0 <= rule.quiet_seconds <= MAX_QUIET:
        raise UsageError(f"the quiet time is 0 to {MAX_QUIET} seconds")
    return msgspec.structs.replace(
        rule, name=name, nodes=nodes, conditions=_checked(rule.conditions)
    )


def _checked(want: RouteConditions) -> RouteConditions:
    kept = {name: _patterns(name, getattr(want, name)) for name in _PATTERNS}
    for uid in kept["sop_classes"]:
        if not ({"*", "?"} & set(uid)) and not is_valid_uid(uid.removeprefix("!")):
            raise UsageError(f"{clean(uid, limit=70)} is no UID of a SOP class")
    for name, most in _NUMBERS:
        if not 0 <= getattr(want, name) <= most:
            raise UsageError(f"{name.replace('_', ' ')} is 0 to {most}")
    if want.maximum and want.maximum < want.minimum:
        raise UsageError("the maximum is less than the minimum")
    if want.only_modalities and not kept["modalities"]:
        raise UsageError("“only these modalities” needs modalities")
    window = want.window.strip()
    if window and read_window(window) is None:
        raise UsageError("a window is like 22:00-06:00")
    weekdays = tuple(day for day in Weekday if day in want.weekdays)
    return msgspec.structs.replace(want, window=window, weekdays=weekdays, **kept)


def _patterns(name: str, given: tuple[str, ...]) -> tuple[str, ...]:
    patterns = tuple(dict.fromkeys(pattern.strip() for pattern in given if pattern.strip()))
    words = name.replace("_", " ")
    if len(patterns) > MAX_PATTERNS:
        raise UsageError(f"more than {MAX_PATTERNS} {words}")
    for pattern in patterns:
        if len(pattern) > MAX_PATTERN + 1 or not pattern.isprintable():
            raise UsageError(f"{words}: a pattern has at most {MAX_PATTERN} printable characters")
        if '"' in pattern:
            raise UsageError(f"{words}: a pattern has no quotes: ? stands for one")
        if not pattern.removeprefix("!"):
            raise UsageError(f"{words}: “!” excludes nothing")
    return patterns
