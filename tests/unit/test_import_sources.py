"""What an import is made of: real files, folders, ZIP archives and media, friendly and hostile."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import stat
import struct
import tempfile
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file

from tests.builders import make_dataset, part10_bytes
from tuipacs.domain.job import Refusal
from tuipacs.errors import InvalidObjectError
from tuipacs.jobs.dicomdir import read_references
from tuipacs.jobs.import_item import ImportItem
from tuipacs.jobs.import_sources import iter_sources
from tuipacs.jobs.zip_source import ZipLimits

MEDIA = Path(str(get_testdata_file("DICOMDIR"))).parent


def _items(*paths: Path) -> list[ImportItem]:
    return [found for found in iter_sources([str(p) for p in paths]) if type(found) is ImportItem]


def _refusals(*paths: Path, limits: ZipLimits | None = None) -> dict[str, str]:
    found = iter_sources([str(p) for p in paths], limits or ZipLimits())
    return {r.path: r.reason for r in found if isinstance(r, Refusal)}


def _read(item: ImportItem) -> bytes:
    with item.open() as stream:
        return stream.read()


def _zip(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_a_folder_is_walked_in_byte_order_with_all_below(tmp_path: Path) -> None:
    for name in ("b/2", "b/10", "a", "c", "b/sub/x"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    names = [Path(item.display_path).relative_to(tmp_path).as_posix() for item in _items(tmp_path)]
    assert names == ["a", "b/10", "b/2", "b/sub/x", "c"]
    assert [_read(item) for item in _items(tmp_path)] == [name.encode() for name in names]


def test_links_are_refused_wherever_they_stand(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"not to be read")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "to-file").symlink_to(secret)
    (folder / "to-folder").symlink_to(tmp_path)
    assert _items(folder, folder / "to-file", folder / "to-folder") == []
    assert len(_refusals(folder)) == 2
    assert set(_refusals(folder).values()) == {"a symbolic link: not followed"}


def test_fifos_sockets_and_devices_are_refused_and_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        reasons = _refusals(tmp_path, Path("/dev/zero"))
    assert reasons == {
        str(tmp_path / "fifo"): "a FIFO, not a file",
        str(tmp_path / "socket"): "a socket, not a file",
        "/dev/zero": "a device, not a file",
    }


def test_a_fifo_that_takes_the_place_of_a_file_neither_hangs_nor_passes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    (item,) = _items(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(InvalidObjectError, match="FIFO"):
        item.open()


def test_a_link_that_takes_the_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    (item,) = _items(path)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InvalidObjectError, match="symbolic link"):
        item.open()


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_an_unreadable_file_or_folder_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "file").chmod(0)
    (tmp_path / "folder").mkdir(mode=0)
    reasons = _refusals(tmp_path)
    (tmp_path / "folder").chmod(0o700)
    assert set(reasons.values()) == {"cannot be read: Permission denied"}
    assert len(reasons) == 2


@pytest.mark.parametrize("path", ["", "\0", "/nowhere/at/all", "a" * 300])
def test_a_path_that_is_none_is_refused(path: str) -> None:
    (found,) = iter_sources([path])
    assert isinstance(found, Refusal)


def test_a_name_that_is_no_utf8_is_shown_and_read(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/\xff\xfe"
    Path(os.fsdecode(raw)).write_bytes(b"data")
    (item,) = _items(tmp_path)
    assert item.display_path.endswith("\\xff\\xfe")
    assert _read(item) == b"data"


def test_a_folder_deeper_than_the_stack_is_walked(tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(1100):
        deep = deep / "d"
        deep.mkdir()
    (deep / "f").write_bytes(b"deep")
    contents = [_read(item) for item in _items(tmp_path)]
    (deep / "f").unlink()
    while deep != tmp_path:  # shutil.rmtree would recurse
        deep.rmdir()
        deep = deep.parent
    assert contents == [b"deep"]


def test_a_file_that_changes_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "growing"
    path.write_bytes(b"a" * 1000)
    (item,) = _items(path)
    with item.open() as stream:
        assert stream.read(10) == b"a" * 10
        with path.open("ab") as more:
            more.write(b"b")
        with pytest.raises(InvalidObjectError, match="changed"):
            stream.read()


def test_a_stream_can_be_read_again_from_its_start(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    archive = _zip(tmp_path / "z.zip", {"m": b"0123456789"})
    for found in iter_sources([str(path), str(archive)]):
        assert isinstance(found, ImportItem)
        with found.open() as stream:
            assert stream.read(4) == b"0123"
            stream.seek(0)
            assert stream.read() == b"0123456789"


def test_the_members_of_a_zip_are_read_in_place(tmp_path: Path) -> None:
    data = part10_bytes(make_dataset())
    archive = _zip(tmp_path / "any.name", {"x/": b"", "x/a": data, "../../evil": b"e", "/abs": b""})
    before = sorted(tmp_path.rglob("*"))
    found = [
        (item.display_path, _read(item), item.size)
        for item in iter_sources([str(archive)])
        if isinstance(item, ImportItem)
    ]
    assert found == [
        (f"{archive}:x/a", data, len(data)),
        (f"{archive}:../../evil", b"e", 1),
        (f"{archive}:/abs", b"", 0),
    ]
    assert sorted(tmp_path.rglob("*")) == before


def test_a_dicom_file_that_starts_like_a_zip_is_a_dicom_file(tmp_path: Path) -> None:
    data = part10_bytes(make_dataset())
    path = tmp_path / "f"
    path.write_bytes(b"PK\x03\x04" + data[4:])
    (item,) = _items(path)
    assert item.display_path == str(path)


def test_bombs_are_refused_before_a_byte_is_unpacked(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "z", {"zeros": b"\0" * 1_000_000, "small": b"s"})
    cases = {
        "larger than": ZipLimits(member=999_999),
        "unpacked": ZipLimits(total=1_000_000),
        "more than 1 files": ZipLimits(members=1),
        "directory is too large": ZipLimits(directory=40),
        "grow more than 200 times": ZipLimits(ratio_free=999_999),
    }
    for words, limits in cases.items():
        assert any(words in reason for reason in _refusals(archive, limits=limits).values()), words


def test_a_member_that_lies_about_its_size_gives_no_more_than_it_claims(tmp_path: Path) -> None:
    path = _zip(tmp_path / "z", {"bomb": b"\0" * 1_000_000})
    raw = path.read_bytes()
    path.write_bytes(raw.replace(struct.pack("<L", 1_000_000), struct.pack("<L", 10)))
    (found,) = iter_sources([str(path)])
    iterator = iter_sources([str(path)])
    found = next(iterator)
    assert isinstance(found, ImportItem)
    assert found.size == 10
    with found.open() as stream, pytest.raises(InvalidObjectError, match="damaged"):
        stream.read()


def test_encrypted_linked_nested_and_oddly_packed_members_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "z"
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("inner.zip", b"PK")
        archive.writestr("bz2", b"x", zipfile.ZIP_BZIP2)
        archive.writestr("locked", b"x")
    raw = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.rindex(signature) + offset] |= 1  # the last member becomes "encrypted"
    path.write_bytes(raw)
    reasons = {name.rpartition(":")[2]: reason for name, reason in _refusals(path).items()}
    assert set(reasons) == {"link", "inner.zip", "bz2", "locked"}
    assert "symbolic link" in reasons["link"]
    assert "inside a ZIP" in reasons["inner.zip"]
    assert "method" in reasons["bz2"]
    assert "encrypted" in reasons["locked"]


def test_a_damaged_member_is_told_when_it_is_read(tmp_path: Path) -> None:
    path = _zip(tmp_path / "z", {"a": b"A" * 100}, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"AAAA", b"AAAB", 1))
    for item in iter_sources([str(path)]):
        assert isinstance(item, ImportItem)
        with item.open() as stream, pytest.raises(InvalidObjectError, match="CRC"):
            stream.read()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_no_damage_to_a_zip_ever_raises_anything_else(data: st.DataObject) -> None:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("one", b"1" * 300)
        archive.writestr("two", bytes(range(256)))
    raw = bytearray(out.getvalue())
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(4, len(raw) - 1))] = data.draw(st.integers(0, 255))
    raw = raw[: data.draw(st.integers(4, len(raw)))]
    with tempfile.NamedTemporaryFile() as file:
        file.write(raw)
        file.flush()
        for found in iter_sources([file.name]):
            if isinstance(found, ImportItem):
                with contextlib.suppress(InvalidObjectError):
                    _read(found)


def test_a_medium_is_taken_whole_and_what_its_dicomdir_lacks_is_told(tmp_path: Path) -> None:
    medium = tmp_path / "cd"
    shutil.copytree(MEDIA / "TINY_ALPHA", medium)
    gone = medium / "PT000000" / "ST000000" / "SE000000" / "IM00000A"
    gone.unlink()
    items = _items(medium)
    assert len(items) == 50  # 49 images and the README beside the DICOMDIR
    assert not any("DICOMDIR" in item.display_path for item in items)
    assert _refusals(medium) == {
        f"{medium}/DICOMDIR -> PT000000\\ST000000\\SE000000\\IM00000A": (
            "named in the DICOMDIR and missing on the medium"
        )
    }


def test_a_dicomdir_as_a_path_stands_for_the_files_that_it_names(tmp_path: Path) -> None:
    medium = tmp_path / "cd"
    shutil.copytree(MEDIA / "TINY_ALPHA", medium)
    items = _items(medium / "DICOMDIR")
    assert len(items) == 50
    assert all("/PT000000/ST000000/" in item.display_path for item in items)


def test_the_files_of_a_medium_are_found_in_any_case(tmp_path: Path) -> None:
    medium = tmp_path / "cd"
    medium.mkdir()
    for source in (MEDIA / "TINY_ALPHA").rglob("*"):
        if source.is_file():
            name = source.relative_to(MEDIA / "TINY_ALPHA").as_posix().lower() + ";1"
            target = medium / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    assert len(_items(medium / "dicomdir;1")) == 50
    assert _refusals(medium) == {}


@pytest.mark.parametrize(
    "kind", ["DICOMDIR", "DICOMDIR-bigEnd", "DICOMDIR-implicit", "DICOMDIR-reordered"]
)
def test_dicomdirs_of_other_encodings_are_read_too(kind: str) -> None:
    with (MEDIA / kind).open("rb") as stream:
        references = read_references(stream)
    assert len(references) == 31
    assert references[0] == ("77654033", "CR1", "6154")


@pytest.mark.parametrize(
    "reference",
    [b"..\\..\\SECRET", b"\\etc\\passwd", b"/etc/passwd", b"A/../../S", b".\\X", b"A\\" * 9 + b"X"],
)
def test_a_reference_out_of_the_medium_is_refused(tmp_path: Path, reference: bytes) -> None:
    _dicomdir_with(tmp_path / "DICOMDIR", reference)
    assert _items(tmp_path / "DICOMDIR") == []
    (reason,) = _refusals(tmp_path / "DICOMDIR").values()
    assert "leads out of the medium" in reason or "too many components" in reason
    assert list(_refusals(tmp_path).values()) == [reason]


def test_a_reference_through_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "X").write_bytes(b"secret")
    medium = tmp_path / "cd"
    medium.mkdir()
    (medium / "A").symlink_to(tmp_path / "outside")
    _dicomdir_with(medium / "DICOMDIR", b"A\\X")
    assert _items(medium / "DICOMDIR") == []
    assert list(_refusals(medium / "DICOMDIR").values()) == ["a symbolic link: not followed"]


def _dicomdir_with(path: Path, reference: bytes) -> None:
    """A DICOMDIR whose only record names ``reference``, whatever a toolkit thinks of it."""
    value = reference + b" " * (len(reference) % 2)
    element = struct.pack("<HH2sH", 4, 0x1500, b"CS", len(value)) + value
    item = struct.pack("<HHL", 0xFFFE, 0xE000, len(element)) + element
    sequence = struct.pack("<HH2sHL", 4, 0x1220, b"SQ", 0, len(item)) + item
    directory, syntax = b"1.2.840.10008.1.3.10", b"1.2.840.10008.1.2.1\0"
    meta = struct.pack("<HH2sH", 2, 0x0002, b"UI", len(directory)) + directory
    meta += struct.pack("<HH2sH", 2, 0x0010, b"UI", len(syntax)) + syntax
    group = struct.pack("<HH2sHL", 2, 0, b"UL", 4, len(meta))
    path.write_bytes(b"\0" * 128 + b"DICM" + group + meta + sequence)


def test_a_dicomdir_that_cannot_be_read_is_told_and_its_folder_taken(tmp_path: Path) -> None:
    (tmp_path / "DICOMDIR").write_bytes(b"nonsense")
    (tmp_path / "image").write_bytes(b"x")
    assert len(_items(tmp_path)) == 1
    (reason,) = _refusals(tmp_path).values()
    assert "DICOMDIR that cannot be read" in reason


def test_the_dicomdir_in_a_zip_tells_what_is_missing_there(tmp_path: Path) -> None:
    directory = (MEDIA / "TINY_ALPHA" / "DICOMDIR").read_bytes()
    archive = _zip(tmp_path / "z", {"cd/DICOMDIR": directory, "cd/README": b"r"})
    reasons = _refusals(archive)
    assert len(reasons) == 50
    assert set(reasons.values()) == {"named in the DICOMDIR and missing in the ZIP archive"}


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_damage_to_a_dicomdir_ever_raises_anything_else(data: st.DataObject) -> None:
    raw = bytearray((MEDIA / "DICOMDIR").read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        raw[data.draw(st.integers(132, 1500))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(InvalidObjectError):
        read_references(BytesIO(raw))


def test_sequences_nested_without_end_cost_nothing() -> None:
    nested = struct.pack("<HH2sHL", 4, 0x1220, b"SQ", 0, 0xFFFFFFFF)
    nested += struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
    with (MEDIA / "DICOMDIR-empty.dcm").open("rb") as stream:
        start = stream.read()
    assert read_references(BytesIO(start + nested * 50_000)) == ()


def test_a_dicomdir_cut_short_is_told() -> None:
    whole = (MEDIA / "DICOMDIR").read_bytes()
    with pytest.raises(InvalidObjectError, match="middle of a record"):
        read_references(BytesIO(whole[:-100]))
