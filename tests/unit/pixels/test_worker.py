"""The decoder process: what goes wrong in it goes wrong for one request only."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pydicom.data import get_testdata_file

from tuipacs.dicom.pixels.process import PixelWorker, PixelWorkers
from tuipacs.domain.frame import WindowRequest
from tuipacs.errors import DecodeError, NotFoundError, UnavailableError, UsageError

from .images import image, render_frame, write

# What a decoder may do to its process, chosen by the frame number asked for.
MISBEHAVING = """
import ctypes, os, resource, sys, time
from tuipacs.dicom.pixels import render, worker
from tuipacs.errors import DecodeError

real = render.Picture.render

def misbehave(picture, number, window=None):
    if number == 101:
        ctypes.string_at(0)
    if number == 102:
        time.sleep(600)
    if number == 103:
        while True:
            pass
    if number == 104:
        bytearray(1 << 40)
    if number == 105:
        os._exit(7)
    if number == 106:
        raise ZeroDivisionError
    if number == 107:
        print("noise"); sys.stdout.flush(); os.write(1, b"x" * 100_000); os.write(2, b"y" * 100_000)
    if number == 108:
        names = sorted(os.environ)
        limits = [resource.getrlimit(kind)[0] for kind in
                  (resource.RLIMIT_CORE, resource.RLIMIT_NOFILE, resource.RLIMIT_AS)]
        descriptors = sorted(int(name) for name in os.listdir("/proc/self/fd"))
        raise DecodeError(repr((names, limits, descriptors, os.getcwd())))
    return real(picture, 1, window) if number != 107 else real(picture, number, window)

render.Picture.render = misbehave
worker.main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def worker() -> Iterator[PixelWorker]:
    with PixelWorker() as one:
        yield one


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    return write(image([[[0, 1]], [[5, 9]]], "u2"), tmp_path / "a.dcm")


@pytest.fixture
def bad(tmp_path: Path) -> Iterator[PixelWorker]:
    program = tmp_path / "misbehaving.py"
    program.write_text(MISBEHAVING)
    with PixelWorker(command=(sys.executable, str(program)), timeout=1.0) as one:
        yield one


@pytest.mark.parametrize(
    "name",
    [
        "CT_small.dcm",
        "examples_palette.dcm",
        "JPEG-lossy.dcm",
        "examples_ybr_color.dcm",
        "image_dfl.dcm",
    ],
)
def test_a_picture_from_the_process_is_the_picture(worker: PixelWorker, name: str) -> None:
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str)
    assert worker.render(Path(path)) == render_frame(Path(path))


def test_frames_and_windows_are_passed_on(worker: PixelWorker, picture: Path) -> None:
    window = WindowRequest(center=5, width=9)
    assert worker.render(picture, 2, window) == render_frame(picture, 2, window)


def test_an_open_descriptor_will_do_and_stays_open(worker: PixelWorker, picture: Path) -> None:
    """Also after the name is gone: the process needs no folder."""
    with picture.open("rb") as file:
        picture.unlink()
        assert list(worker.render(file.fileno(), 1).pixels) == [0, 255]
        assert file.read(4) == b"\0\0\0\0"


def test_a_changed_file_is_not_taken_for_the_old_one(worker: PixelWorker, tmp_path: Path) -> None:
    for values in ([[1, 2]], [[2, 1]]):
        path = write(image(values), tmp_path / "a.dcm")
        os.utime(path, ns=(0, values[0][0]))
        assert list(worker.render(path).pixels) == ([0, 255] if values == [[1, 2]] else [255, 0])


def test_the_errors_keep_their_kind(worker: PixelWorker, picture: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="the object has 2"):
        worker.render(picture, 3)
    with pytest.raises(UsageError):
        worker.render(picture, 1, WindowRequest(center=0, width=0))
    broken = tmp_path / "broken.dcm"
    broken.write_bytes(b"nothing")
    with pytest.raises(DecodeError, match="not a DICOM file"):
        worker.render(broken)
    with pytest.raises(FileNotFoundError):
        worker.render(tmp_path / "none")
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(DecodeError, match="not a regular file"):
        worker.render(tmp_path / "fifo")
    assert list(worker.render(picture).pixels) == [0, 255]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (101, r"crashed \(signal 11\)"),
        (102, "longer than 1 s"),
        (103, "longer than 1 s|too much processor time"),
        (104, "more memory"),
        (105, r"stopped \(exit status 7\)"),
        (106, r"stopped \(exit status 1\)"),
    ],
)
def test_a_decoder_that_fails_is_replaced(
    bad: PixelWorker, picture: Path, number: int, words: str
) -> None:
    before = bad.render(picture).pixels
    with pytest.raises(DecodeError, match=words):
        bad.render(picture, number)
    assert bad.render(picture).pixels == before


def test_what_c_libraries_print_does_not_disturb(
    bad: PixelWorker, picture: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(NotFoundError):
        bad.render(picture, 107)
    assert list(bad.render(picture).pixels) == [0, 255]
    assert capfd.readouterr() == ("", "")


def test_the_process_inherits_nothing(picture: Path, tmp_path: Path) -> None:
    """Neither secrets of the environment, nor open files, nor the working folder."""
    program = tmp_path / "misbehaving.py"
    program.write_text(MISBEHAVING)
    with (
        (tmp_path / "secret").open("w") as secret,
        PixelWorker(command=(sys.executable, str(program))) as one,
    ):
        os.set_inheritable(secret.fileno(), True)
        with pytest.raises(DecodeError) as caught:
            one.render(picture, 108)
    assert "'HOME'" not in caught.value.message
    assert "[0, 64, 2147483648]" in caught.value.message
    assert caught.value.message.endswith("'/')")
    # standard streams, the socket, the picture and the listing itself
    listed = caught.value.message.split("], [")[-1].split("]")[0].split(",")
    assert len(listed) <= 6


def test_a_picture_beyond_the_memory_limit_is_refused(tmp_path: Path) -> None:
    side = 11000
    path = write(image(np.zeros((1, 1)), "u1", Rows=side, Columns=side), tmp_path / "a.dcm")
    content = path.read_bytes()
    at = content.index(b"\xe0\x7f\x10\x00")
    with path.open("r+b") as file:
        file.seek(at + 8)
        file.write((side * side).to_bytes(4, "little"))
        file.truncate(at + 12 + side * side)
    with (
        PixelWorker(memory_bytes=300 << 20) as small,
        pytest.raises(DecodeError, match="memory"),
    ):
        small.render(path)
    with PixelWorker() as large:
        assert len(large.render(path).pixels) == side * side


def test_requests_of_many_threads_get_their_own_pictures(tmp_path: Path) -> None:
    paths = [write(image([[n, n + 1, n + 2 + n]]), tmp_path / f"{n}.dcm") for n in range(8)]
    expected = [render_frame(path) for path in paths]
    workers = PixelWorkers([PixelWorker(), PixelWorker()])
    wrong: list[int] = []

    def ask(start: int) -> None:
        for step in range(20):
            which = (start + step) % len(paths)
            if workers.render(paths[which]) != expected[which]:
                wrong.append(which)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    workers.close()
    assert wrong == []


def test_an_idle_process_ends_and_the_next_picture_starts_another(picture: Path) -> None:
    """It holds some 70 MB that a daemon without viewers does not need."""
    worker = PixelWorker()
    workers = PixelWorkers([worker], idle_seconds=0.2)
    try:
        first = workers.render(picture)
        for _ in range(100):
            if worker.process_id is None:
                break
            time.sleep(0.05)
        assert worker.process_id is None
        assert workers.render(picture) == first
    finally:
        workers.close()


def test_closing_ends_the_process_even_in_a_request(bad: PixelWorker, picture: Path) -> None:
    errors: list[Exception] = []

    def ask() -> None:
        try:
            bad.render(picture, 102)
        except (UnavailableError, DecodeError) as error:
            errors.append(error)

    bad.start()
    process = bad.process_id
    assert process is not None
    thread = threading.Thread(target=ask)
    thread.start()
    bad.close()
    thread.join()
    assert len(errors) == 1
    assert isinstance(errors[0], UnavailableError)
    assert not Path(f"/proc/{process}").exists()
    with pytest.raises(UnavailableError):
        bad.render(picture)


def test_the_process_ends_with_its_parent(picture: Path, tmp_path: Path) -> None:
    """The parent is killed without a chance to tidy up."""
    script = (
        "import sys, time\n"
        "from tuipacs.dicom.pixels.process import PixelWorker\n"
        "worker = PixelWorker(); worker.start()\n"
        "print(worker.process_id, flush=True); time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert Path(f"/proc/{child}").exists()
        parent.kill()
    for _ in range(500):
        if not _runs(child):
            break
        time.sleep(0.02)
    assert not _runs(child)


def _runs(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_a_program_that_is_not_the_decoder_is_refused(picture: Path) -> None:
    with (
        PixelWorker(command=(sys.executable, "-c", "pass")) as wrong,
        pytest.raises(UnavailableError, match="cannot be started"),
    ):
        wrong.render(picture)
    with (
        PixelWorker(command=("/nonexistent/program",)) as missing,
        pytest.raises(UnavailableError, match="cannot be started"),
    ):
        missing.render(picture)
