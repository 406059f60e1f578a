"""What the tests of services, index and jobs share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.services.parts import Parts, opened


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    """A new archive without a daemon."""
    with opened(tmp_path) as archive:
        yield archive
