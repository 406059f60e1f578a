"""Routing rules: which studies are sent on, and where to. What is decided is in `route_match`."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from tuipacs.domain.job import JobState

NORMAL_PRIORITY = 1


class RouteLevel(StrEnum):
    """What is sent when a rule matches."""

    STUDY = "study"  # all of it
    SERIES = "series"  # the series that match


class RouteSource(StrEnum):
    """How the objects came in."""

    RECEIVED = "received"  # a node sent them
    IMPORTED = "imported"
    ANY = "any"


class Weekday(StrEnum):
    """Days as `datetime.date.weekday` counts them."""

    MONDAY = "mon"
    TUESDAY = "tue"
    WEDNESDAY = "wed"
    THURSDAY = "thu"
    FRIDAY = "fri"
    SATURDAY = "sat"
    SUNDAY = "sun"


class RouteConditions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a study has to be like; all that is set must hold, and nothing set matches everything.

    Texts are patterns: ``*`` stands for any text, ``?`` for one character, a leading ``!``
    excludes; one of those that do not exclude has to fit the whole value. AE titles, patient IDs,
    issuers and UIDs are compared exactly, other texts without regard to case and accents.

    The first group is asked of the study. The second is asked of one series: a study matches when
    at least one of its series fits all of it. ``only_modalities``: no series may be of another one.
    ``minimum`` and ``maximum`` count the instances of the study, or of the series that a rule of
    series level sends. ``window``: "22:00-06:00", local time of the last arrival, as ``weekdays``.
    """

    source: RouteSource = RouteSource.RECEIVED
    patient_ids: tuple[str, ...] = ()
    issuers: tuple[str, ...] = ()
    study_descriptions: tuple[str, ...] = ()
    accession_numbers: tuple[str, ...] = ()
    referring_physicians: tuple[str, ...] = ()
    not_older_than_days: int = 0  # by study date; 0: of any age
    weekdays: tuple[Weekday, ...] = ()
    window: str = ""
    without_flags: bool = False  # nothing is odd about its patient or its objects

    calling_ae_titles: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    only_modalities: bool = False
    series_descriptions: tuple[str, ...] = ()
    body_parts: tuple[str, ...] = ()
    institutions: tuple[str, ...] = ()
    stations: tuple[str, ...] = ()
    sop_classes: tuple[str, ...] = ()  # UIDs
    minimum: int = 0
    maximum: int = 0  # 0: no limit


_ANYTHING = RouteConditions()


class RouteRule(Struct, frozen=True, kw_only=True):
    """One rule. ``nodes`` are keys of nodes; none with ``stop``: what it matches goes nowhere.

    ``quiet_seconds``: without a new object until the study is taken for complete; 0: the archive's
    setting. ``stop``: what it matches is not shown to the rules after it. ``commit``: when all is
    sent, the node is asked to commit to it (PS3.4 J).
    """

    name: str
    nodes: tuple[int, ...]
    conditions: RouteConditions = _ANYTHING
    level: RouteLevel = RouteLevel.STUDY
    enabled: bool = True
    priority: int = NORMAL_PRIORITY  # 0 low, 1 normal, 2 high
    commit: bool = False
    stop: bool = False
    quiet_seconds: int = 0


class RouteTarget(Struct, frozen=True, kw_only=True):
    """One destination of a rule. ``fault`` says why nothing can be sent there; empty: it can."""

    node: int  # 0: it was removed from the nodes
    ae_title: str
    fault: str = ""


class RouteRecord(Struct, frozen=True, kw_only=True):
    """A rule as it is kept. ``matched`` counts studies of the last days (`MATCHED_DAYS`)."""

    key: int
    position: int  # from 1, in order
    revision: int  # grows with each change
    rule: RouteRule
    targets: tuple[RouteTarget, ...]
    created_at: float
    changed_at: float
    changed_by: str
    matched: int = 0
    matched_at: float | None = None


MATCHED_DAYS = 7


class RouteOutcome(StrEnum):
    """What became of one rule, for one study and one destination."""

    SENT = "sent"  # a job was queued, and has it in its hands
    NOT_MATCHED = "not-matched"
    DISABLED = "disabled"
    STOPPED = "stopped"  # a rule before it said so
    NOTHING_NEW = "nothing-new"  # all of it was routed there before
    CAME_FROM_THERE = "came-from-there"
    NOWHERE = "nowhere"  # the rule has no destination: it keeps studies from the rules after it
    NODE_REMOVED = "node-removed"
    NODE_NOT_CALLED = "node-not-called"  # nothing may be sent to it


class RouteDecision(Struct, frozen=True, kw_only=True):
    """What one rule said of a study, with the reason in words.

    ``job``: 0 for none. ``job_state``: as it is now; None for none, and for one long gone.
    """

    at: float
    rule: str
    outcome: RouteOutcome
    reason: str
    destination: str = ""
    job: int = 0
    instances: int = 0
    forced: bool = False
    job_state: JobState | None = None
