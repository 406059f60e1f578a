"""The process that transcodes: what goes wrong in it costs one object."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest

from tests.builders import make_dataset, part10_bytes
from tests.bundled import bundled_files
from tests.unit.transcoding.making import EXPLICIT, IMPLICIT, made
from tuipacs.dicom.part10 import read_part10
from tuipacs.dicom.transcoding.process import Transcoder, seconds_for
from tuipacs.errors import DecodeError, UnavailableError

# What a decoder may do, chosen by the number of bytes that may be written.
MISBEHAVING = """
import ctypes, os, sys, time
from tuipacs.dicom.transcoding import worker

real = worker.transcode

def misbehave(descriptor, wanted, write, tick, most):
    if most == 101:
        ctypes.string_at(0)
    if most == 102:
        time.sleep(600)
    if most == 103:
        while True:
            pass
    if most == 104:
        bytearray(1 << 40)
    if most == 105:
        os._exit(7)
    if most == 106:
        raise ZeroDivisionError
    if most == 107:
        for _ in range(4):
            time.sleep(0.4)  # longer than the patience in all
            tick()
    if most == 108:
        write(bytes(4 << 20))
    if most == 109:
        while True:
            time.sleep(0.3)
            tick()
    return real(descriptor, wanted, write, tick, 1 << 30)

worker.transcode = misbehave
worker.main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def transcoder() -> Iterator[Transcoder]:
    with Transcoder() as one:
        yield one


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Transcoder]:
    program = tmp_path_factory.mktemp("bad") / "misbehaving.py"
    program.write_text(MISBEHAVING)
    with Transcoder(command=(sys.executable, str(program)), timeout=1.0) as one:
        yield one


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "stored"
    path.write_bytes(part10_bytes(make_dataset()))
    return path


def asked(
    transcoder: Transcoder,
    path: Path,
    target: str = IMPLICIT,
    most: int = 1 << 30,
    **more: Any,
) -> bytes:
    """What the process makes of a file."""
    parts = read_part10(path)
    with path.open("rb") as file, TemporaryFile() as out:
        size = transcoder.transcode(
            file.fileno(),
            out.fileno(),
            start=parts.dataset_offset,
            syntaxes=(parts.transfer_syntax_uid, target),
            most=most,
            **more,
        )
        assert file.tell() == 0, "the position of the file is not touched"
        out.seek(0)
        data = out.read()
    assert len(data) == size
    return data


@pytest.mark.parametrize("name", ["CT_small.dcm", "JPEG2000.dcm", "SC_rgb_rle_2frame.dcm"])
def test_the_process_gives_what_it_gives_here(transcoder: Transcoder, name: str) -> None:
    (path,) = bundled_files(name)
    assert asked(transcoder, path) == made(path, IMPLICIT)


def test_a_refusal_is_told_in_words(transcoder: Transcoder) -> None:
    (path,) = bundled_files("MR_truncated.dcm")
    with pytest.raises(DecodeError, match="ends inside an element"):
        asked(transcoder, path)
    assert transcoder.process_id is not None, "a refusal is no reason to end"


def test_there_may_be_no_room(transcoder: Transcoder, stored: Path) -> None:
    with pytest.raises(DecodeError, match="no room"):
        asked(transcoder, stored, most=10)


@pytest.mark.parametrize(
    ("most", "words"),
    [
        (101, "crashed"),
        (102, "longer than 1 s"),
        (103, "longer than 1 s"),
        (104, "more memory"),
        (105, "exit status 7"),
        (106, "stopped"),
    ],
)
def test_a_decoder_that_dies_or_hangs_costs_one_object(
    bad: Transcoder, stored: Path, most: int, words: str
) -> None:
    with pytest.raises(DecodeError, match=words):
        asked(bad, stored, most=most)
    assert asked(bad, stored) == made(stored, IMPLICIT)


def test_work_that_goes_on_is_waited_for(bad: Transcoder, stored: Path) -> None:
    assert asked(bad, stored, most=107) == made(stored, IMPLICIT)


def test_an_object_without_end_is_ended_though_it_lives(bad: Transcoder, stored: Path) -> None:
    """Each frame is quick enough, and there are too many."""
    with pytest.raises(DecodeError, match="longer than 2 s for all of it"):
        asked(bad, stored, most=109, seconds=1.5)
    assert bad.process_id is None
    assert asked(bad, stored) == made(stored, IMPLICIT)


@pytest.mark.parametrize("most", [102, 109])
def test_who_does_not_want_it_any_more_ends_the_process(
    bad: Transcoder, stored: Path, most: int
) -> None:
    looks = []

    def check() -> None:
        looks.append(1)
        if len(looks) == 3:
            raise KeyError("no more")

    with pytest.raises(KeyError):
        asked(bad, stored, most=most, check=check)
    assert bad.process_id is None


def test_the_time_for_an_object_is_by_its_frames_and_bytes() -> None:
    """Frames that the header claims, and that have no bytes, give no time."""
    assert seconds_for(1, 1 << 10) < 61
    assert seconds_for(1000, 1 << 20) == 60 + 250 + 1
    assert seconds_for(2_000_000_000, 1 << 10) < 100


def test_what_fills_the_disk_is_stopped(bad: Transcoder, stored: Path) -> None:
    """By the limit on the size of a file, whatever a decoder tries."""
    with pytest.raises(DecodeError, match="too large"):
        asked(bad, stored, most=108)


def test_a_closed_one_starts_nothing(stored: Path) -> None:
    transcoder = Transcoder()
    transcoder.close()
    with pytest.raises(UnavailableError):
        asked(transcoder, stored, EXPLICIT)
