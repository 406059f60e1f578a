"""What a retrieve job is to bring: asked of the source, instance by instance, at its start.

Counts that peers tell are not believed; their lists of SOP Instance UIDs are what a job is held to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from tuipacs.domain.node import NodeRecord
from tuipacs.errors import NotFoundError, UsageError
from tuipacs.index import holdings
from tuipacs.index.database import Index
from tuipacs.index.retrieve_jobs import ListedSeries
from tuipacs.jobs.retrieve_watch import Watch
from tuipacs.schema.remote_messages import RetrieveTarget
from tuipacs.scu.requestor import Peer
from tuipacs.services.remote_asking import Lister, asking

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
        return frozenset(row.sop_instance_uid for row in lister.instances(study, series)) & uids

    return present


def listed(
    source: Lister, targets: Sequence[RetrieveTarget], present: Present, check: Callable[[], None]
) -> list[ListedSeries]:
    """Everything that the targets name at the source.

    Raises `NotFoundError` for a target that the source does not have, `UnavailableError` for a list
    with gaps.
    """
    wanted = _wanted(source, targets)
    found = []
    total = 0
    for (study, series), some in wanted.items():
        check()
        names = {row.sop_instance_uid: row.sop_class_uid for row in source.instances(study, series)}
        if missing := (some or frozenset()) - names.keys():
            raise NotFoundError(f"the source has no instance {min(missing)}")
        if some is not None:
            chosen = {uid: name for uid, name in names.items() if uid in some}
        else:
            chosen = names
        total += len(chosen)
        if total > MAX_ITEMS:
            raise UsageError(f"a retrieval takes at most {MAX_ITEMS:,} objects")
        found.append(
            ListedSeries(
                study_instance_uid=study,
                series_instance_uid=series,
                instances=tuple((sop_class, uid) for uid, sop_class in chosen.items()),
                is_whole=len(chosen) == len(names),
                present=present(study, series, frozenset(chosen)),
            )
        )
    if not total:
        raise NotFoundError("the source has no such objects")
    return found


def _wanted(
    source: Lister, targets: Sequence[RetrieveTarget]
) -> dict[tuple[str, str], frozenset[str] | None]:
    """(study, series) to the instances that are wanted of it; None: all."""
    wanted: dict[tuple[str, str], frozenset[str] | None] = {}
    for target in targets:
        study = target.study_instance_uid
        if target.series_instance_uid:
            names = [target.series_instance_uid]
        else:
            names = [row.series_instance_uid for row in source.series(study)]
            if not names:
                raise NotFoundError(f"the source does not have the study {study}")
        for series in names:
            before = wanted.get((study, series), frozenset())
            if target.sop_instance_uid and before is not None:
                wanted[study, series] = before | {target.sop_instance_uid}
            else:
                wanted[study, series] = None
    return wanted
