"""What has come to where a retrieve job wanted it: asked of whoever knows, never of the source."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tuipacs.index import holdings
from tuipacs.index.database import Index
from tuipacs.index.retrieve_jobs import SeriesToDo
from tuipacs.jobs.retrieve_listing import Present
from tuipacs.scu.suboperations import Retrieval


class Arrivals(Protocol):
    """Tells which SOP instances have come."""

    def before(self, series: SeriesToDo, uids: frozenset[str]) -> frozenset[str]:
        """Those that have come since the list was made, by this way or another."""
        ...

    def now(self, uids: frozenset[str]) -> frozenset[str]:
        """While they come; empty where that cannot be known."""
        ...

    def after(
        self, series: SeriesToDo, uids: frozenset[str], retrieval: Retrieval
    ) -> frozenset[str]:
        """Once the last answer was there."""
        ...


class InIndex:
    """To here: the index knows."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def before(self, series: SeriesToDo, uids: frozenset[str]) -> frozenset[str]:
        """See `Arrivals`."""
        return self.now(uids)

    def now(self, uids: frozenset[str]) -> frozenset[str]:
        """See `Arrivals`."""
        with self._index.read() as reader:
            return frozenset(holdings.held(reader, uids))

    def after(
        self, series: SeriesToDo, uids: frozenset[str], retrieval: Retrieval
    ) -> frozenset[str]:
        """See `Arrivals`."""
        return self.now(uids)


class Received:
    """To here by C-GET, with what is here already once more: those that came in this run."""

    def __init__(self) -> None:
        self.uids: set[str] = set()

    def before(self, series: SeriesToDo, uids: frozenset[str]) -> frozenset[str]:
        """See `Arrivals`."""
        return frozenset()

    def now(self, uids: frozenset[str]) -> frozenset[str]:
        """See `Arrivals`."""
        return uids & self.uids

    def after(
        self, series: SeriesToDo, uids: frozenset[str], retrieval: Retrieval
    ) -> frozenset[str]:
        """See `Arrivals`."""
        return self.now(uids)


class AtNode:
    """To a node that can be queried: it knows. ``present`` raises when it cannot be asked."""

    def __init__(self, present: Present) -> None:
        self._present = present

    def before(self, series: SeriesToDo, uids: frozenset[str]) -> frozenset[str]:
        """See `Arrivals`."""
        return self._present(series.study_instance_uid, series.series_instance_uid, uids)

    def now(self, uids: frozenset[str]) -> frozenset[str]:
        """See `Arrivals`."""
        return frozenset()

    def after(
        self, series: SeriesToDo, uids: frozenset[str], retrieval: Retrieval
    ) -> frozenset[str]:
        """See `Arrivals`."""
        return self._present(series.study_instance_uid, series.series_instance_uid, uids)


class AsTold:
    """To a node that cannot be asked, or by C-MOVE over what is here: the source's word is all.

    It is taken only where it leaves no doubt: a final success or a list of what failed, with counts
    that agree.
    """

    def __init__(self, on_told: Callable[[], None]) -> None:
        self._on_told = on_told

    def before(self, series: SeriesToDo, uids: frozenset[str]) -> frozenset[str]:
        """See `Arrivals`."""
        return frozenset()

    def now(self, uids: frozenset[str]) -> frozenset[str]:
        """See `Arrivals`."""
        return frozenset()

    def after(
        self, series: SeriesToDo, uids: frozenset[str], retrieval: Retrieval
    ) -> frozenset[str]:
        """See `Arrivals`."""
        final, counts = retrieval.final, retrieval.counts
        failed = uids & frozenset(retrieval.failed_uids)
        if final is None or final.status not in (0x0000, 0xB000):
            return frozenset()
        if final.status == 0xB000 and not failed:
            return frozenset()  # it does not say which
        if counts is not None and counts.completed + counts.warning != len(uids - failed):
            return frozenset()
        self._on_told()
        return uids - failed
