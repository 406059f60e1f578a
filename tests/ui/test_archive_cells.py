"""What stands in the columns of the archive, whatever their width."""

from __future__ import annotations

import datetime as dt
import time

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


@pytest.mark.parametrize("images", [0, 41, 999, 12_345, 123_456, 1_234_567, 987_654_321])
@pytest.mark.parametrize("width", [*WIDTHS, 20, 40, NARROW - 1])
def test_a_count_is_whole_or_plainly_rounded_down(width: int, images: int) -> None:
    shown = drawn(patient(("CT", "MR", "SR"), images), width).split()[-1]
    assert shown in (f"{images:,}", f"{images}", f"{images // 1000}k", f"{images // 1_000_000}M")


@pytest.mark.parametrize("width", range(1, 14))
@pytest.mark.parametrize("text", ["1,234,567", "410/1,000", "161.4 MB/s", "undefined"])
def test_what_does_not_fit_on_the_right_is_no_other_number(text: str, width: int) -> None:
    shown = f.fit(text, width, "right").strip()
    assert shown in (text, text.replace(",", ""), "1234k", "1M", "…")


def test_times_fit_their_columns() -> None:
    """A date cut in the middle would be another date."""
    now = time.time()
    today = dt.datetime.fromtimestamp(now).astimezone().date()
    assert f.clock(now, today) == dt.datetime.fromtimestamp(now).strftime("%H:%M:%S")  # noqa: DTZ006
    assert f.clock(86400.0 * 365, today) == "1971-01-01"
