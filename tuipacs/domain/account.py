"""Names of accounts."""

from __future__ import annotations

import re

from tuipacs.errors import UsageError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


def check_account_name(name: str) -> None:
    """Raise `UsageError` unless ``name`` is 1 to 64 letters, digits and ``. _ @ -``."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            "an account name has 1 to 64 letters, digits or . _ @ - and begins with a letter"
            " or digit"
        )
