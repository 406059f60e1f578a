"""What stands in the columns of the archive, whatever their width."""

from __future__ import annotations

import msgspec
import pytest

from tests.ui.fake_archive import FakeArchive
from tuipacs.domain.records import PatientRecord
from tuipacs.ui import format as f
from tuipacs.ui.widgets.archive_cells import NARROW, WIDE, cells, columns
from tuipacs.ui.widgets.line_view import Cell, Part

WIDTHS = (NARROW, NARROW + 12, WIDE - 1, WIDE, 130)


def patient(modalities: tuple[str, ...], images: int) -> PatientRecord:
    """A patient with these modalities and that many images."""
    return msgspec.structs.replace(
        FakeArchive(1).patients[0],
        modalities=modalities,
        number_of_patient_related_instances=images,
    )


def drawn(record: PatientRecord, width: int) -> str:
    """All columns but the first, as they come out when each is cut to its width."""
    _, rest = cells(record, width)

    def text(part: Part) -> str:
        assert isinstance(part, str | Cell)
        return part if isinstance(part, str) else part.text

    return " ".join(
        f.fit(text(part), column.width, column.align)
        for part, column in zip(rest, columns(width, flat=False)[1:], strict=True)
    )


@pytest.mark.parametrize("width", WIDTHS)
def test_a_long_list_of_modalities_never_cuts_the_count(width: int) -> None:
    shown = drawn(patient(("CT", "MR", "RTSTRUCT", "SR"), 12_345), width)
    assert "12,345" in shown
    assert "CT/M" in shown


@pytest.mark.parametrize("width", WIDTHS)
def test_the_longest_modality_is_shown_whole(width: int) -> None:
    assert "RTSTRUCT" in drawn(patient(("RTSTRUCT",), 41), width)
