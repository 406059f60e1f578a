"""What commands print is safe on a terminal, and exact where it is JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuipacs.cli.app import exit_code_of
from tuipacs.cli.export import layout
from tuipacs.cli.output import print_table, size, to_json
from tuipacs.errors import (
    AuthenticationError,
    ConfigError,
    DaemonUnreachableError,
    ForbiddenError,
    StorageFullError,
    ThrottledError,
    TuipacsError,
    UsageError,
)
from tuipacs.schema.messages import ExportEntry
from tuipacs.ui.format import size as screen_size


@given(st.text())
def test_json_is_exact_and_holds_no_byte_that_a_terminal_obeys(text: str) -> None:
    line = to_json({"PatientName": text})
    assert all(0x20 <= ord(character) < 0x7F for character in line)
    assert json.loads(line) == {"PatientName": text}


def test_hostile_texts_in_a_table_are_made_visible(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("NAME", "ID"), [("\x1b]52;c;aGk=\x07DOE", "1"), ("a\nb\u202ec", "2")])
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\x07" not in out
    assert "\u202e" not in out
    assert len(out.splitlines()) == 3


def test_columns_stay_aligned_with_wide_characters(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("N", "ID"), [("山田", "1"), ("abcd", "2")])
    assert capsys.readouterr().out == "N     ID\n山田  1\nabcd  2\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TuipacsError("x"), 1),
        (ForbiddenError("x"), 1),
        (AuthenticationError("x"), 1),
        (UsageError("x"), 2),
        (ConfigError("x"), 2),
        (DaemonUnreachableError("x"), 3),
        (StorageFullError("x"), 3),
        (ThrottledError("x", retry_after=2), 3),
    ],
)
def test_the_error_tree_has_one_mapping_to_exit_codes(error: TuipacsError, code: int) -> None:
    assert exit_code_of(error) == code


def _entry(study: int, series: int) -> ExportEntry:
    return ExportEntry(
        key=1, study_key=study, series_key=series, sop_instance_uid="../../x", size_bytes=1
    )


def test_exported_files_are_numbered_in_the_order_of_the_plan() -> None:
    entries = [_entry(70, 8), _entry(70, 8), _entry(70, 9), _entry(3, 1)]
    names = [str(target.path) for target in layout(entries, Path("out"))]
    assert names == [
        "out/ST000001/SE000001/IM000001.dcm",
        "out/ST000001/SE000001/IM000002.dcm",
        "out/ST000001/SE000002/IM000001.dcm",
        "out/ST000002/SE000001/IM000001.dcm",
    ]


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (161_000_000, "161 MB"),
        (10**18, "1000 PB"),
    ],
)
def test_sizes_are_written_as_on_the_screens(count: int, text: str) -> None:
    """Two units for one thing, a twentieth apart, would look like two sizes."""
    assert size(count) == text
    assert screen_size(count) == text
