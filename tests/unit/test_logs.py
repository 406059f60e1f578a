"""The daemon's log: nothing that a terminal obeys, nothing of a patient."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tuipacs import logs
from tuipacs.errors import StorageFullError


@contextmanager
def logging_to(path: Path, level: str = "info") -> Iterator[None]:
    root = logging.getLogger()
    before = root.level
    handlers = logs.start_logging(path, level, to_stderr=False)
    try:
        yield
    finally:
        logs.stop_logging(handlers)
        root.setLevel(before)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "daemon.log"


def test_a_line_says_when_how_bad_and_from_where(path: Path) -> None:
    with logging_to(path):
        logging.getLogger("tuipacs.scp").warning("association %d aborted", 7)
    line = path.read_text()
    assert line.endswith(" WARNING tuipacs.scp association 7 aborted\n")
    assert line[:4].isdigit()
    assert "+00:00 " in line


def test_a_hostile_text_cannot_leave_its_line_nor_reach_a_terminal(path: Path) -> None:
    with logging_to(path):
        logging.getLogger("tuipacs.scp").info(
            "from %s", "EVIL\x1b]52;c;eA==\x07\n2026 INFO fake\x9b"
        )
    text = path.read_text()
    assert text.count("\n") == 1
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in text.rstrip("\n"))


def test_a_message_of_ours_is_bounded(path: Path) -> None:
    with logging_to(path):
        logging.getLogger("tuipacs.x").info("x" * 100000)
    assert len(path.read_text()) < 2200


@pytest.mark.parametrize("name", ["pydicom", "pynetdicom.acse", "asyncio", "tuipacsx"])
def test_the_words_of_a_library_are_left_out(path: Path, name: str) -> None:
    with logging_to(path):
        logging.getLogger(name).error("Invalid value: DOE^JANE")
    text = path.read_text()
    assert "DOE" not in text
    assert f"ERROR {name} (a message of test_logs:" in text


def test_a_warning_of_a_library_is_left_out(path: Path) -> None:
    with logging_to(path), warnings.catch_warnings():
        warnings.simplefilter("default")
        logging.captureWarnings(True)
        warnings.warn("Invalid value: DOE^JANE", stacklevel=1)
    assert "DOE" not in path.read_text()


def test_a_trace_has_no_message_and_no_values(path: Path) -> None:
    with logging_to(path):
        try:
            int("DOE^" + "JANE")  # int() quotes what it cannot read
        except ValueError:
            logging.getLogger("tuipacs.scp").exception("association %d", 7)
    text = path.read_text()
    assert "ValueError" in text
    assert "test_logs.py" in text
    assert "DOE^JANE" not in text


def test_our_own_errors_keep_their_words_in_a_trace(path: Path) -> None:
    with logging_to(path):
        try:
            try:
                raise OSError("DOE^JANE")
            except OSError as cause:
                raise StorageFullError("the disk is full") from cause
        except StorageFullError:
            logging.getLogger("tuipacs.scp").exception("association %d", 7)
    text = path.read_text()
    assert "StorageFullError: the disk is full" in text
    assert "builtins.OSError" in text
    assert "OSError: DOE" not in text


def test_the_level_can_be_changed_while_running(path: Path) -> None:
    with logging_to(path, "warning"):
        log = logging.getLogger("tuipacs.scp")
        log.info("before")
        logs.set_level("debug")
        log.debug("after")
    assert "before" not in path.read_text()
    assert "after" in path.read_text()


def test_the_log_is_rotated(path: Path) -> None:
    with logging_to(path):
        log = logging.getLogger("tuipacs.scp")
        for _ in range(2 * logs.MAX_BYTES // 1900):
            log.info("x" * 1900)
    assert path.stat().st_size <= logs.MAX_BYTES
    assert path.with_name("daemon.log.1").exists()


def test_a_full_disk_stops_the_log_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    full = tmp_path / "daemon.log"
    full.symlink_to("/dev/full")
    with logging_to(full):
        logging.getLogger("tuipacs.scp").error("DOE^JANE")
    said = capsys.readouterr().err
    assert said == "tuipacs: a log line of tuipacs.scp could not be written\n"
