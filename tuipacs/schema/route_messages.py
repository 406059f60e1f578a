"""Requests and answers about routing; rules and decisions come from ``tuipacs.domain.route``."""

from __future__ import annotations

from tuipacs.domain.records import StudyRecord
from tuipacs.domain.route import RouteDecision, RouteRecord, RouteRule
from tuipacs.schema.messages import Message

PREVIEW_DAYS = 7
MAX_PREVIEW_DAYS = 366


class RouteList(Message, frozen=True, kw_only=True):
    """All rules in order. ``waiting``: studies that are not judged yet."""

    routes: tuple[RouteRecord, ...]
    quiet_seconds: int  # the archive's setting
    waiting: int


class RouteAddRequest(Message, frozen=True, kw_only=True):
    """A new rule, at ``position`` (from 1; 0: the end)."""

    rule: RouteRule
    position: int = 0


class RouteEditRequest(Message, frozen=True, kw_only=True):
    """Another rule in the place of one; refused if it is not at ``revision`` any more.

    A 0 in ``rule.nodes`` keeps a destination that was removed from the nodes; without it the
    destination goes.
    """

    key: int
    revision: int
    rule: RouteRule


class RouteRequest(Message, frozen=True, kw_only=True):
    """One rule."""

    key: int


class RouteEnableRequest(Message, frozen=True, kw_only=True):
    """Switch a rule on or off."""

    key: int
    enabled: bool


class RouteMoveRequest(Message, frozen=True, kw_only=True):
    """Give a rule another place, from 1."""

    key: int
    position: int


class RoutePreviewRequest(Message, frozen=True, kw_only=True):
    """What a rule, kept or not, would have matched in the last ``days``."""

    rule: RouteRule
    days: int = PREVIEW_DAYS


class RoutePreviewRow(Message, frozen=True, kw_only=True):
    """One study; ``reason`` why it does not match, empty if it does."""

    study: StudyRecord
    reason: str = ""


class RoutePreview(Message, frozen=True, kw_only=True):
    """``matched`` of ``looked_at`` studies, the newest of ``came`` that came in these days.

    ``rows``: the newest that match, then those that miss the least.
    """

    came: int
    looked_at: int
    matched: int
    rows: tuple[RoutePreviewRow, ...]


class RouteStudyRequest(Message, frozen=True, kw_only=True):
    """A study, by key or by Study Instance UID."""

    key: int = 0
    study_instance_uid: str = ""


class RouteExplanation(Message, frozen=True, kw_only=True):
    """Why one study was sent or not.

    ``state`` says how it stands; ``waits`` whether it is not judged yet. ``decisions`` were made,
    oldest first. ``now`` is what the rules would do at this moment; nothing was done.
    """

    study: StudyRecord
    state: str
    waits: bool
    decisions: tuple[RouteDecision, ...]
    now: tuple[RouteDecision, ...]


class RouteExplanations(Message, frozen=True, kw_only=True):
    """One for each study of that UID: there may be two, of different patients."""

    studies: tuple[RouteExplanation, ...]
