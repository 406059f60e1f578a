"""A rule in words, as lists, the audit log and dialogs show it."""

from __future__ import annotations

from tuipacs.domain.job import JobState
from tuipacs.domain.route import (
    RouteConditions,
    RouteDecision,
    RouteLevel,
    RouteOutcome,
    RouteRule,
    RouteSource,
)

_TEXTS = (
    ("patient ID", "patient_ids"),
    ("issuer", "issuers"),
    ("study", "study_descriptions"),
    ("accession", "accession_numbers"),
    ("referring", "referring_physicians"),
    ("series", "series_descriptions"),
    ("body part", "body_parts"),
    ("institution", "institutions"),
    ("station", "stations"),
    ("SOP class", "sop_classes"),
)
PRIORITIES = ("low", "normal", "high")


def condition_words(want: RouteConditions) -> list[str]:
    """Each condition as a few words: ``CT or MR``, ``from CT*``, ``study *CHEST*``."""
    words = []
    if want.modalities:
        only = "only " if want.only_modalities else ""
        words.append(only + _or(want.modalities))
    if want.calling_ae_titles:
        words.append(f"from {_or(want.calling_ae_titles)}")
    words += [
        f"{name} {_or(getattr(want, field))}" for name, field in _TEXTS if getattr(want, field)
    ]
    if want.minimum:
        words.append(f"{want.minimum:,} objects or more")
    if want.maximum:
        words.append(f"up to {want.maximum:,} objects")
    return words + _circumstances(want)


def _circumstances(want: RouteConditions) -> list[str]:
    words = []
    if want.not_older_than_days:
        words.append(f"up to {want.not_older_than_days:,} days old")
    if want.weekdays:
        words.append(" ".join(want.weekdays))
    if want.window:
        words.append(want.window)
    if want.without_flags:
        words.append("not flagged")
    if want.source is not RouteSource.RECEIVED:
        words.append("imports" if want.source is RouteSource.IMPORTED else "imports too")
    return words


def rule_words(rule: RouteRule) -> list[str]:
    """What is particular about what a rule does, beside its destinations."""
    words = []
    if rule.level is RouteLevel.SERIES:
        words.append("matching series only")
    if rule.priority != 1:
        words.append(f"priority {PRIORITIES[rule.priority]}")
    if rule.commit:
        words.append("then commit")
    if rule.stop:
        words.append("then stop")
    if rule.quiet_seconds:
        words.append(f"after {rule.quiet_seconds:,} s quiet")
    return words


def decision_words(decision: RouteDecision) -> str:
    """What became of it: ``sent by job 7``, ``job 7 is waiting``, ``would be sent``."""
    if decision.outcome is not RouteOutcome.SENT:
        return "not sent"
    if not decision.job:
        return "would be sent"
    if decision.job_state in (None, JobState.DONE):
        return f"sent by job {decision.job}"
    return f"job {decision.job} is {decision.job_state}"


def _or(patterns: tuple[str, ...]) -> str:
    return " or ".join(patterns)
