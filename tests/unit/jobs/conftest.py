"""The archive's parts, as the services' tests have them."""

from __future__ import annotations

from tests.unit.services.conftest import parts  # noqa: F401 - a fixture for these tests
