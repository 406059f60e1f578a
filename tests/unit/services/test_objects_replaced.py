"""A stored file that somebody changes or replaces after it was verified is not shown."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.services.parts import Parts, actor
from tuipacs.dicom.pixels.process import PixelWorkers
from tuipacs.domain.permissions import Role
from tuipacs.errors import StorageFailedError
from tuipacs.schema import messages as m
from tuipacs.services.objects import Objects


@pytest.fixture
def objects(parts: Parts) -> Iterator[Objects]:
    pictures = PixelWorkers([])
    yield Objects(parts.index, parts.clock, parts.store, pictures)
    pictures.close()


def _change(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _replace(path: Path, data: bytes) -> None:
    other = path.with_name("other")
    other.write_bytes(data)
    other.replace(path)


@pytest.mark.parametrize("alter", [_change, _replace])
def test_a_file_altered_after_it_was_verified_is_not_shown(
    parts: Parts, objects: Objects, alter: Callable[[Path, bytes], None]
) -> None:
    """Also when its length and its time of modification are what they were."""
    parts.send()
    looking = (actor(Role.VIEWER, session_key=1), m.InstanceRequest(key=1))
    objects.elements(*looking)
    path = parts.store.path(_key(parts))
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    alter(path, bytes(data))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(StorageFailedError, match="damaged"):
        objects.elements(*looking)
    data[-1] ^= 1
    alter(path, bytes(data))
    objects.elements(*looking)


def _key(parts: Parts) -> str:
    with parts.index.read() as reader:
        return str(reader.scalar("SELECT blob_key FROM instance"))
