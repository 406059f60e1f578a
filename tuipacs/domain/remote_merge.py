"""One row for each study (or series, or instance) that any of many archives has.

What a UID names is one thing; where two archives tell of different patients under it, nobody may
choose between them unseen: such a row is flagged, and shows both.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tuipacs.domain.find_match import folded_groups
from tuipacs.domain.remote import HERE, Presence, RemoteRow, presence


@dataclass
class MergedRow:
    """All that was said of one UID, in the order it came. ``here``: SOP instances here by now."""

    uid: str
    answers: list[RemoteRow] = field(default_factory=list)
    here: int = 0

    @property
    def first(self) -> RemoteRow:
        """What the row shows: a node's word rather than our own, for that is what is looked at."""
        return next((row for row in self.answers if row.node != HERE), self.answers[0])

    @property
    def nodes(self) -> tuple[int, ...]:
        """Keys of those that have it, in the order of their answers."""
        return tuple(dict.fromkeys(row.node for row in self.answers))

    def of(self, node: int) -> RemoteRow | None:
        """What one node said; of several answers that with most instances."""
        said = [row for row in self.answers if row.node == node]
        return max(said, key=lambda row: row.instances or 0, default=None)

    @property
    def elsewhere(self) -> int | None:
        """The most instances that a node says it has; None if none of them says."""
        told = [row.instances for row in self.answers if row.node != HERE]
        return max((count for count in told if count is not None), default=None)

    @property
    def presence(self) -> Presence:
        """What is here of it, by counts."""
        if all(row.node == HERE for row in self.answers):
            return Presence.HAVE
        return presence(self.here, self.elsewhere)

    def presence_of(self, node: int) -> Presence | None:
        """What is here of that which one node has; None if it has nothing."""
        said = self.of(node)
        if said is None:
            return None
        return Presence.HAVE if node == HERE else presence(self.here, said.instances)

    @property
    def differing(self) -> str:
        """What of the patient is not the same everywhere: "patient ID, name"; empty if all is.

        A value that somebody leaves out differs from nothing.
        """
        parts = {
            "patient ID": {row.patient_id.strip() for row in self.answers},
            "name": {_name(row.patient_name) for row in self.answers},
            "birth date": {row.patient_birth_date.strip() for row in self.answers},
        }
        return ", ".join(what for what, values in parts.items() if len(values - {""}) > 1)


def _name(text: str) -> str:
    """The first component group that is not empty, without case and accents."""
    return next((group for group in folded_groups(text) if group), "")


class Merger:
    """Takes rows as they come, of one query."""

    def __init__(self) -> None:
        self._rows: dict[str, MergedRow] = {}

    def add(self, rows: Iterable[RemoteRow]) -> None:
        """More answers."""
        for row in rows:
            merged = self._rows.setdefault(row.uid, MergedRow(row.uid))
            merged.answers.append(row)
            merged.here = max(merged.here, row.here)

    def now_here(self, counts: dict[str, int]) -> None:
        """UID to the SOP instances that are here by now."""
        for uid, count in counts.items():
            if uid in self._rows:
                self._rows[uid].here = count

    def rows(self) -> list[MergedRow]:
        """Newest study first; below a study, by number."""
        return sorted(self._rows.values(), key=_order)


def _order(row: MergedRow) -> tuple[object, ...]:
    first = row.first
    digits = "".join(c for c in f"{first.study_date}{first.study_time}" if c.isdigit())
    newest = tuple(-ord(c) for c in digits) or (1,)
    return (newest, _number(first.series_number), _number(first.instance_number), row.uid)


def _number(text: str) -> int:
    text = text.strip()
    return int(text) if text.isdecimal() and len(text) < 12 else 1 << 40
