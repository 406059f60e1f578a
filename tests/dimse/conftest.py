"""Listening archives on free ports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.dimse.archive import Archive
from tests.dimse.tls_site import Site

MakeArchive = Callable[..., Archive]


@pytest.fixture
def make_archive(tmp_path: Path) -> Iterator[MakeArchive]:
    """Start an archive with these settings; closed at the end."""
    made: list[Archive] = []

    def make(**settings: object) -> Archive:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        archive = Archive(folder, **settings)  # type: ignore[arg-type]
        made.append(archive)
        return archive

    yield make
    for archive in made:
        archive.close()


@pytest.fixture
def archive(make_archive: MakeArchive) -> Archive:
    """An archive that takes everything from everybody."""
    return make_archive()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site of this module's own: some replace its files."""
    return Site(tmp_path_factory.mktemp("site"))
