"""What a retrieve job is to bring: asked of the source, instance by instance, at its start.

Counts that peers tell are not believed; their lists of SOP Instance UIDs are what a job is held to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from tuipacs.domain.node import NodeRecord
from tuipacs.errors import NotFoundError, UnavailableError, UsageError
from tuipacs.index import holdings
from tuipacs.index.database import Index
from tuipacs.index.retrieve_jobs import ListedSeries, Unnamed
from tuipacs.jobs.retrieve_watch import Watch
from tuipacs.schema.remote_messages import RetrieveTarget
from tuipacs.scu.requestor import Peer
from tuipacs.services.remote_asking import ListBrokenError, Listed, Lister, Unusable, asking

MAX_ITEMS = 500_000

Present = Callable[[str, str, frozenset[str]], frozenset[str]]
"""Of a study's series, which of these SOP Instance UIDs the destination has."""


@contextmanager
def listing(peer: Peer, node: NodeRecord, check: Callable[[], None]) -> Iterator[Lister]:
    """A node's lists on an association of its own; ``check`` raises what ends the job's run."""
    with asking(peer) as association, Watch(check, association.cut):
        yield Lister(association, node.key, node.character_set)


def nothing(study: str, series: str, uids: frozenset[str]) -> frozenset[str]:
    """`Present` where everything is to be brought."""
    return frozenset()


def here(index: Index) -> Present:
    """`Present` for this archive."""

    def present(study: str, series: str, uids: frozenset[str]) -> frozenset[str]:
        with index.read() as reader:
            return frozenset(holdings.held(reader, uids))

    return present


def there(lister: Lister) -> Present:
    """`Present` for another node."""

    def present(study: str, series: str, uids: frozenset[str]) -> frozenset[str]:
        return (
            frozenset(row.sop_instance_uid for row in lister.instances(study, series).rows) & uids
        )

    return present


@dataclass(frozen=True)
class Found:
    """What a source has listed. ``gaps``: study to why that is not all of it, the worst last."""

    series: tuple[ListedSeries, ...]
    gaps: Mapping[str, str]


def listed(
    source: Lister,
    targets: Sequence[RetrieveTarget],
    present: Present,
    check: Callable[[], None],
    *,
    known: frozenset[str] = frozenset(),
) -> Found:
    """Everything that the targets name at the source, but for the SOP instances that are known.

    A study whose list has gaps holds up no other. Raises `NotFoundError` if the source has nothing
    of it at all, `UnavailableError` if the destination does not say what it has.
    """
    by_study: dict[str, list[RetrieveTarget]] = {}
    for target in targets:
        by_study.setdefault(target.study_instance_uid, []).append(target)
    found: list[ListedSeries] = []
    gaps: dict[str, str] = {}
    broken: dict[str, str] = {}
    total = len(known)
    for study, wanted in by_study.items():
        check()
        if broken:
            gaps[study] = "it has not been listed yet"
            continue
        series: list[ListedSeries] = []
        try:
            patient = source.patient(study)
            why = "; ".join(_study(source, study, wanted, known, series, check))
        except ListBrokenError as error:  # last of all next time: it may break every list
            broken[study] = error.message
            continue
        if why:
            gaps[study] = why
        total += sum(len(each.instances) for each in series)
        if total > MAX_ITEMS:
            raise UsageError(f"a retrieval takes at most {MAX_ITEMS:,} objects")
        for each in series:
            uids = frozenset(uid for _, uid in each.instances)
            there = present(study, each.series_instance_uid, uids) if uids else uids
            found.append(replace(each, present=there, patient=patient))
    gaps |= broken
    if not (total or gaps) and all(u.is_absent for each in found for u in each.unnamed):
        why_not = [unnamed.why for each in found for unnamed in each.unnamed]
        raise NotFoundError(why_not[0] if why_not else "the source has no such objects")
    return Found(tuple(found), gaps)


def _study(
    source: Lister,
    study: str,
    targets: Sequence[RetrieveTarget],
    known: frozenset[str],
    into: list[ListedSeries],
    check: Callable[[], None],
) -> Iterator[str]:
    """Fill in what is wanted of one study; yields why that is not all of it.

    Raises `ListBrokenError`.
    """
    named: dict[str, frozenset[str]] = {}  # of a series; empty: all
    for target in targets:
        if series := target.series_instance_uid:
            some = named.get(series, frozenset({target.sop_instance_uid}))
            is_all = not target.sop_instance_uid or not some
            named[series] = frozenset() if is_all else some | {target.sop_instance_uid}
    wanted = dict(named)
    if any(not target.series_instance_uid for target in targets):
        yield from _all_series(source, study, wanted, into)
    for series, uids in wanted.items():
        check()
        try:
            listed = source.instances(study, series)
        except ListBrokenError:
            raise
        except UnavailableError as error:
            yield error.message
            continue
        if listed.unreadable:
            yield _unreadable(listed.unreadable, "instances")
        found = _series(study, series, listed, uids, known)
        if not (listed.rows or found.unnamed or listed.unreadable) and series in named:
            found = replace(found, unnamed=(_absent(f"the series {series}"),))
        into.append(found)


def _all_series(
    source: Lister, study: str, wanted: dict[str, frozenset[str]], into: list[ListedSeries]
) -> Iterator[str]:
    """Fill in a whole study's series; yields why they are not all. Raises `ListBrokenError`."""
    try:
        listed = source.series(study)
    except ListBrokenError:
        raise
    except UnavailableError as error:
        yield error.message
        return
    if listed.unreadable:
        yield _unreadable(listed.unreadable, "series")
    unnamed = [_unnamed(each) for each in listed.unusable]
    if not (listed.rows or unnamed or listed.unreadable):
        unnamed.append(_absent(f"the study {study}"))
    if unnamed:
        into.append(ListedSeries(study, "", unnamed=tuple(unnamed)))
    wanted.update((row.series_instance_uid, frozenset()) for row in listed.rows)


def _series(
    study: str, series: str, listed: Listed, some: frozenset[str], known: frozenset[str]
) -> ListedSeries:
    names = {row.sop_instance_uid: row.sop_class_uid for row in listed.rows}
    chosen = {
        uid: name for uid, name in names.items() if uid not in known and (not some or uid in some)
    }
    unnamed = [] if some else [_unnamed(each) for each in listed.unusable]
    if not listed.unreadable:  # it may be one of those
        unnamed += [_absent(f"the instance {uid}", uid) for uid in sorted(some - names.keys())]
    return ListedSeries(
        study_instance_uid=study,
        series_instance_uid=series,
        instances=tuple((sop_class, uid) for uid, sop_class in chosen.items()),
        is_whole=len(chosen) == len(names) and not (listed.unusable or listed.unreadable),
        unnamed=tuple(unnamed),
    )


def _absent(what: str, uid: str = "") -> Unnamed:
    return Unnamed(uid, f"the source does not have {what}", is_absent=True)


def _unnamed(unusable: Unusable) -> Unnamed:
    return Unnamed(unusable.uid, f"the source lists it with {unusable.fault}: nobody can keep it")


def _unreadable(count: int, what: str) -> str:
    answers = "answer" if count == 1 else "answers"
    return f"its list of {what} has gaps: {count:,} {answers} cannot be read"
