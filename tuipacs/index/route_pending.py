"""What waits to be judged, what was decided, and how far the change feed was read."""

from __future__ import annotations

from typing import NamedTuple

from tuipacs.domain.job import JobState
from tuipacs.domain.route import RouteDecision, RouteOutcome
from tuipacs.index.database import Reader, Transaction


class Pending(NamedTuple):
    """A study that something came for. ``judged``: the rules that have spoken since."""

    study: int
    last_at: float
    due_at: float
    judged: frozenset[int]
    stopped_by: str
    forced: bool


class Arrivals(NamedTuple):
    """A stretch of the change feed: (study, time of its newest object) and where it ends."""

    studies: list[tuple[int, float]]
    seq: int
    more: bool


def cursor(reader: Reader) -> int:
    """How far the feed was read."""
    return int(reader.scalar("SELECT seq FROM route_cursor"))


def arrivals(reader: Reader, after: int, limit: int, *, with_imports: bool) -> Arrivals:
    """The studies that got objects in the next ``limit`` changes.

    Only what is new: not the other version of a known object, and no file that was put back.
    """
    last = reader.scalar(
        "SELECT max(seq) FROM (SELECT seq FROM change WHERE seq > ? ORDER BY seq LIMIT ?)",
        (after, limit),
    )
    if last is None:
        return Arrivals([], after, False)
    sent = "" if with_imports else " AND i.calling_ae_title <> ''"
    studies = reader.all(
        "SELECT c.study, max(c.at) FROM change c CROSS JOIN instance i ON i.id = c.instance"
        f" WHERE c.seq > ? AND c.seq <= ? AND c.kind = 'stored'{sent} GROUP BY c.study",
        (after, last),
    )
    more = reader.one("SELECT 1 FROM change WHERE seq > ? LIMIT 1", (last,)) is not None
    return Arrivals([(row[0], row[1]) for row in studies], int(last), more)


def set_cursor(tx: Transaction, seq: int) -> None:
    """Everything up to ``seq`` is noted."""
    tx.change("UPDATE route_cursor SET seq = max(seq, ?)", (seq,))


def note(tx: Transaction, study: int, last_at: float, quiet: float) -> None:
    """A study got objects: all rules are asked again, when it has been quiet."""
    tx.execute(
        "INSERT INTO route_pending (study, last_at, due_at) VALUES (?, ?, ?)"
        " ON CONFLICT (study) DO UPDATE SET last_at = max(last_at, excluded.last_at),"
        " due_at = CASE WHEN forced THEN due_at ELSE max(last_at, excluded.last_at) + ? END,"
        " judged = '', stopped_by = ''",
        (study, last_at, last_at + quiet, quiet),
    )


def pending(reader: Reader, study: int) -> Pending | None:
    """What is known of a study that waits."""
    row = reader.one(
        "SELECT study, last_at, due_at, judged, stopped_by, forced FROM route_pending"
        " WHERE study = ?",
        (study,),
    )
    if row is None:
        return None
    judged = frozenset(map(int, row[3].split()))
    return Pending(row[0], row[1], row[2], judged, row[4], bool(row[5]))


def due(reader: Reader, now: float, limit: int) -> list[int]:
    """Studies to look at now, the longest due first."""
    rows = reader.all(
        "SELECT study FROM route_pending WHERE due_at <= ? ORDER BY due_at LIMIT ?", (now, limit)
    )
    return [row[0] for row in rows]


def next_due(reader: Reader) -> float | None:
    """When the next study is to be looked at; None when none waits."""
    found = reader.scalar("SELECT min(due_at) FROM route_pending")
    return None if found is None else float(found)


def keep(tx: Transaction, item: Pending) -> None:
    """Some rules have yet to speak."""
    judged = " ".join(map(str, sorted(item.judged)))
    tx.change(
        "UPDATE route_pending SET last_at = ?, due_at = ?, judged = ?, stopped_by = ?, forced = ?"
        " WHERE study = ?",
        (item.last_at, item.due_at, judged, item.stopped_by, item.forced, item.study),
    )


def forget(tx: Transaction, study: int) -> None:
    """All rules have spoken."""
    tx.change("DELETE FROM route_pending WHERE study = ?", (study,))


def force(tx: Transaction, study: int, now: float) -> None:
    """Judge a study at once, by all rules, whether or not anything came for it."""
    tx.execute(
        "INSERT INTO route_pending (study, last_at, due_at, forced) VALUES (?, ?, 0, 1)"
        " ON CONFLICT (study) DO UPDATE SET due_at = 0, forced = 1",
        (study, now),
    )


def reconsider(tx: Transaction) -> None:
    """The rules have changed: look at all that waits once."""
    tx.change("UPDATE route_pending SET due_at = 0 WHERE due_at > 0")


def clock_went_back(tx: Transaction, now: float) -> int:
    """Let no study wait for a time that was never true; the quiet time begins anew."""
    return tx.change(
        "UPDATE route_pending SET last_at = ?, due_at = 0 WHERE last_at > ?", (now, now)
    )


def begin(tx: Transaction, at: float) -> None:
    """Routing begins, or begins again: what came before ``at`` is no arrival any more."""
    seq = tx.scalar("SELECT seq FROM change WHERE at < ? ORDER BY seq DESC LIMIT 1", (at,))
    tx.change("UPDATE route_cursor SET seq = max(seq, ?)", (seq or 0,))
    tx.change("DELETE FROM route_pending WHERE last_at < ? AND NOT forced", (at,))


def mark(tx: Transaction, series: int, node: int, instance: int) -> None:
    """Everything of a series up to ``instance`` is routed to a node."""
    tx.execute(
        "INSERT INTO route_mark (series, node, instance) VALUES (?, ?, ?)"
        " ON CONFLICT DO UPDATE SET instance = max(instance, excluded.instance)",
        (series, node, instance),
    )


def decide(tx: Transaction, study: int, route: int, decision: RouteDecision) -> None:
    """Keep what a rule said."""
    tx.execute(
        "INSERT INTO route_decision (at, study, route, rule, outcome, reason, destination, job,"
        " instances, forced) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            decision.at,
            study,
            route,
            decision.rule,
            decision.outcome.value,
            decision.reason,
            decision.destination,
            decision.job,
            decision.instances,
            decision.forced,
        ),
    )


def decisions(reader: Reader, study: int, limit: int) -> tuple[RouteDecision, ...]:
    """What was decided of a study, oldest first; of more than ``limit`` the newest."""
    rows = reader.all(
        "SELECT d.at, d.rule, d.outcome, d.reason, d.destination, d.job, d.instances, d.forced,"
        " job.state FROM route_decision d LEFT JOIN job ON job.id = d.job"
        " WHERE d.study = ? ORDER BY d.id DESC LIMIT ?",
        (study, limit),
    )
    return tuple(
        RouteDecision(
            at=at,
            rule=rule,
            outcome=RouteOutcome(outcome),
            reason=reason,
            destination=destination,
            job=job,
            instances=instances,
            forced=bool(forced),
            job_state=JobState(state) if state else None,
        )
        for at, rule, outcome, reason, destination, job, instances, forced, state in rows[::-1]
    )


def prune(tx: Transaction, before: float) -> int:
    """Forget decisions that were made before then; return how many."""
    return tx.change("DELETE FROM route_decision WHERE at < ?", (before,))


def waiting(reader: Reader) -> int:
    """How many studies wait."""
    return int(reader.scalar("SELECT count(*) FROM route_pending"))


def newest(reader: Reader) -> float:
    """When the newest object came of those that wait; 0 if none waits."""
    return float(reader.scalar("SELECT max(last_at) FROM route_pending") or 0)


def is_behind(reader: Reader) -> bool:
    """Whether the feed goes on after the cursor."""
    return reader.one("SELECT 1 FROM change WHERE seq > (SELECT seq FROM route_cursor)") is not None


def is_noted(reader: Reader, study: int) -> bool:
    """Whether all that came for a study is read from the feed."""
    row = reader.one("SELECT 1 FROM change WHERE seq > ? AND study = ?", (cursor(reader), study))
    return row is None
