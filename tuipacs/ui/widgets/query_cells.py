"""How rows of a query across nodes, its nodes and a comparison fill their columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tuipacs.domain.remote import (
    HERE,
    NodeAnswer,
    NodeState,
    Presence,
    RemoteRow,
    SeriesComparison,
)
from tuipacs.domain.remote_merge import MergedRow
from tuipacs.ui import format as f
from tuipacs.ui.widgets.line_view import Cell, Column, Part

MEDIUM, WIDE = 96, 130
MARK = "✓"
BADGES = {
    Presence.HAVE: "●",
    Presence.PARTIAL: "◐",
    Presence.MISSING: "○",
    Presence.UNKNOWN: "◌",
}
_TONES = {
    Presence.HAVE: "good",
    Presence.PARTIAL: "warn",
    Presence.MISSING: "bad",
    Presence.UNKNOWN: "accent",
}
_STATE_TONES = {
    NodeState.WAITING: "dim",
    NodeState.ASKING: "accent",
    NodeState.COMPLETE: "good",
    NodeState.LIMITED: "warn",
    NodeState.CANCELLED: "warn",
    NodeState.REFUSED: "bad",
    NodeState.UNREACHABLE: "bad",
    NodeState.FAILED: "bad",
}


def study_columns(width: int) -> Sequence[Column]:
    """Who, when, what is here, and who has it; more where there is room."""
    out = [
        Column("", 1, source=0),
        Column("Patient", 18, flex=3, source=1 if width >= MEDIUM else 2),
    ]
    if width >= MEDIUM:
        out.append(Column("ID", 12, source=3))
    out.append(Column("Date", 10, source=4))
    if width >= MEDIUM:
        out.append(Column("Mod", 8, source=5))
    if width >= WIDE:
        out.append(Column("Description", 16, flex=3, source=6))
    out += [
        Column("Here", 14 if width >= MEDIUM else 11, source=7),
        Column("At", 22 if width >= MEDIUM else 16, flex=2, source=8),
    ]
    return out


def study_cells(row: MergedRow, titles: Mapping[int, str], *, marked: bool) -> tuple[Part, ...]:
    """One study, whoever has it."""
    first = row.first
    name = f.person_name(first.patient_name)
    who = Cell(name, "name") if name else Cell("(no name)", "dim")
    flag = (Cell(f" {f.FLAG_MARK}", "bad"),) if row.differing else ()
    more = "  ".join(part for part in (first.patient_id, first.study_description) if part)
    return (
        Cell(MARK if marked else "", "accent"),
        (who, *flag),
        (who, *flag, Cell(f"  {more}", "dim")),
        Cell(first.patient_id),
        Cell(f.date(first.study_date), "dim"),
        Cell(f.modalities(first.modalities_in_study), "accent"),
        Cell(first.study_description),
        here_cell(row),
        _where(row, titles),
    )


def here_cell(row: MergedRow) -> Cell:
    """``partial 4/6``."""
    presence = row.presence
    of = ""
    if row.here and presence is not Presence.HAVE:
        of = f" {row.here}/{'?' if row.elsewhere is None else row.elsewhere}"
    return Cell(f"{presence.value}{of}", _TONES[presence])


def _where(row: MergedRow, titles: Mapping[int, str]) -> tuple[Cell, ...]:
    """``● PACS1 312  ○ PACS2 4``: what each has, and whether that is here."""
    out: list[Cell] = []
    for node in row.nodes:
        said, presence = row.of(node), row.presence_of(node)
        if node == HERE or said is None or presence is None:
            continue
        count = "?" if said.instances is None else f.number(said.instances)
        out += [
            Cell(f"{'  ' if out else ''}{BADGES[presence]} ", _TONES[presence]),
            Cell(titles.get(node, "?")),
            Cell(f" {count}", "dim"),
        ]
    return tuple(out) or (Cell("only here", "dim"),)


def node_columns(width: int) -> Sequence[Column]:
    """Who was asked, how that stands, and why."""
    return (
        Column("Node", 16, source=0),
        Column("State", 13, source=1),
        Column("Studies", 7, align="right", source=2),
        Column("", 20, flex=1, source=3),
    )


def node_cells(answer: NodeAnswer) -> tuple[Part, ...]:
    """One node."""
    tone = _STATE_TONES[answer.state]
    return (
        Cell(answer.ae_title, "name"),
        Cell(answer.state.value, tone),
        Cell(f.number(answer.rows), "" if answer.rows else "dim"),
        Cell(answer.reason, "warn" if answer.is_partial else "dim"),
    )


def series_columns(width: int) -> Sequence[Column]:
    """A series, and what of it is where."""
    return (
        Column("No", 5, align="right", source=0),
        Column("Mod", 8, source=1),
        Column("Description", 14, flex=1, source=2),
        Column("There", 6, align="right", source=3),
        Column("Here", 6, align="right", source=4),
        Column("Missing", 7, align="right", source=5),
        Column("", 16 if width >= MEDIUM else 9, source=6),
    )


def series_cells(series: SeriesComparison) -> tuple[Part, ...]:
    """One series, compared instance by instance."""
    presence = series.presence
    words, tone = f"{BADGES[presence]} {presence.value}", _TONES[presence]
    if not series.there:
        words, tone = "only here", "dim"
    elif series.extra:
        words += f", {series.extra} more"
    return (
        Cell(series.series_number, "dim"),
        Cell(series.modality, "accent"),
        Cell(series.series_description),
        Cell(f.number(series.there)),
        Cell(f.number(series.here)),
        Cell(f.number(series.missing), "bad" if series.missing else "dim"),
        Cell(words, tone),
    )


def patient_words(row: RemoteRow, title: str) -> str:
    """``PACS1: DOE^JOHN, 4711, born 1970-01-01``."""
    parts = [f.person_name(row.patient_name) or "(no name)", row.patient_id or "(no ID)"]
    if row.patient_birth_date:
        parts.append(f"born {f.date(row.patient_birth_date)}")
    return f"{title}: {', '.join(parts)}"
