"""Studies that a rule matched of late, and those that it nearly did, with the reason."""

from __future__ import annotations

from collections.abc import Sequence

from tuipacs.schema.route_messages import PREVIEW_DAYS, RoutePreview, RoutePreviewRow
from tuipacs.ui import format as f
from tuipacs.ui.widgets.line_view import Cell, Column
from tuipacs.ui.widgets.row_list import Row, RowList


def columns(width: int) -> Sequence[Column]:
    """Whether, who, what; when, where there is room."""
    out = [Column("", 1), Column("Patient", 14, flex=1, source=1)]
    if width >= 100:
        out.append(Column("Received", 16, source=4))
    out += [Column("Mod", 5, source=2), Column("Study: why not", 24, flex=3, source=3)]
    return out


def preview_words(found: RoutePreview) -> str:
    """``3 of 120 studies of the last 7 days``."""
    of = f.plural(found.came, "study", "studies")
    if found.looked_at < found.came:
        of = f"the newest {f.number(found.looked_at)} of {of}"
    return f"matches {f.number(found.matched)} of {of} of the last {PREVIEW_DAYS} days"


class PreviewList(RowList):
    """The rows of a `RoutePreview`; their keys are those of the studies."""

    def __init__(self) -> None:
        super().__init__(columns)
        self._found: tuple[RoutePreviewRow, ...] = ()

    @property
    def current(self) -> RoutePreviewRow | None:
        """The row under the cursor."""
        return next((row for row in self._found if row.study.key == self.current_key), None)

    def show(self, found: RoutePreview, *, matches: int = 0) -> None:
        """Show these; of those that match at most ``matches`` (0: all)."""
        fitting = [row for row in found.rows if not row.reason]
        others = [row for row in found.rows if row.reason]
        self.say_when_empty(f"no study came in the last {PREVIEW_DAYS} days")
        self._found = (*(fitting[:matches] if matches and others else fitting), *others)
        self.set_rows([_row(row) for row in self._found])

    def clear(self) -> None:
        """Show nothing."""
        self.say_when_empty("")
        self._found = ()
        self.set_rows([])


def _row(row: RoutePreviewRow) -> Row:
    study = row.study
    what: tuple[Cell, ...] = (Cell(study.study_description),)
    if row.reason:
        what = (Cell(study.study_description, "dim"), Cell(f"  {row.reason}", "warn"))
    return Row(
        study.key,
        (
            Cell("·", "guide") if row.reason else Cell("✓", "good"),
            Cell(f.person_name(study.patient_name) or "(no name)", "dim" if row.reason else "name"),
            Cell(f.modalities(study.modalities_in_study), "accent"),
            what,
            Cell(f.moment(study.received_at)[:16], "dim"),
        ),
    )
