"""Whoever may write below a folder that is imported cannot lead the import out of it."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.hostile import dicomdir
from tuipacs.domain.job import Refusal
from tuipacs.errors import InvalidObjectError
from tuipacs.jobs.import_item import ImportItem, open_regular
from tuipacs.jobs.import_sources import iter_sources


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """(what is imported, with a folder and a file in it; a folder elsewhere, that looks alike)."""
    inside, elsewhere = tmp_path / "offered" / "in", tmp_path / "elsewhere"
    for folder in (inside, elsewhere):
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(folder.name.encode() * 100)
    return tmp_path / "offered", elsewhere


def _swap(offered: Path, elsewhere: Path) -> None:
    (offered / "in").rename(offered / "was")
    (offered / "in").symlink_to(elsewhere)


def test_a_folder_that_becomes_a_link_before_the_file_is_opened_is_not_followed(
    folders: tuple[Path, Path],
) -> None:
    offered, elsewhere = folders
    (item,) = [one for one in iter_sources([str(offered)]) if isinstance(one, ImportItem)]
    _swap(offered, elsewhere)
    with pytest.raises(InvalidObjectError):
        item.open()


def test_a_folder_that_becomes_a_link_while_the_folders_are_walked_is_not_entered(
    folders: tuple[Path, Path],
) -> None:
    offered, elsewhere = folders
    (offered / "a-first").write_bytes(b"first" * 100)
    walk: Iterator[ImportItem | Refusal] = iter_sources([str(offered)])
    assert next(walk).__class__ is ImportItem
    _swap(offered, elsewhere)
    rest = list(walk)
    assert [one.reason for one in rest if isinstance(one, Refusal)] != []
    assert not [one for one in rest if isinstance(one, ImportItem)]


def test_a_link_above_what_is_imported_is_the_callers_own(folders: tuple[Path, Path]) -> None:
    offered, _ = folders
    link = offered.parent / "link"
    link.symlink_to(offered)
    for path in (link / "in", link / "in" / "file"):
        (item,) = list(iter_sources([str(path)]))
        assert isinstance(item, ImportItem)
        with item.open() as file:
            assert file.read() == b"in" * 100


@pytest.mark.skipif(not Path("/proc/self/pagemap").exists(), reason="no such file here")
def test_a_file_without_an_end_is_refused_and_not_the_whole_import() -> None:
    """Some files of /proc cannot be sought in."""
    (refused,) = list(iter_sources(["/proc/self/pagemap"]))
    assert isinstance(refused, Refusal)
    assert refused.reason.startswith("cannot be read")


def test_descriptors_on_the_way_are_closed(folders: tuple[Path, Path]) -> None:
    offered, _ = folders
    before = len(list(Path("/dev/fd").iterdir()))
    for _ in range(20):
        open_regular(offered / "in" / "file", offered).close()
        with pytest.raises(InvalidObjectError):
            open_regular(offered / "in" / "none" / "file", offered)
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_a_name_of_any_length_takes_no_more_room_than_a_path(tmp_path: Path) -> None:
    """A refusal is kept; a small ZIP can hold half a million of names of 64 KiB."""
    path = tmp_path / "names.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("d/" * 20_000 + "DICOMDIR", dicomdir("A" * 50_000))
        archive.writestr("e/" * 20_000 + "file", b"")
    offered = list(iter_sources([str(path)]))
    shown = [one.path if isinstance(one, Refusal) else one.display_path for one in offered]
    assert len(shown) == 2
    assert all(len(name) < 3000 for name in shown)
