"""What a password must be: long, and not what anyone tries first. No composition rules."""

from __future__ import annotations

from tuipacs.errors import UsageError

MINIMUM_LENGTH = 15  # alone, without a second factor (NIST SP 800-63B)
MAXIMUM_LENGTH = 256
_MINIMUM_DISTINCT = 6
_COMMON_PARTS = (
    "password", "passwort", "kennwort", "tuipacs", "orthanc", "changeme", "administrator", "admin",
    "qwertyuiop", "qwertz", "qwerty", "asdfghjkl", "asdf", "letmein", "welcome", "iloveyou",
    "abcdefghijklmnopqrstuvwxyz", "abc", "radiology", "hospital", "secret", "default", "user",
    "dicom", "pacs", "login", "test",
)  # fmt: skip


def check_password(password: str, account: str) -> None:
    """Raise `UsageError` with the rule that ``password`` breaks."""
    if len(password) < MINIMUM_LENGTH:
        raise UsageError(f"the password needs at least {MINIMUM_LENGTH} characters")
    if len(password) > MAXIMUM_LENGTH:
        raise UsageError(f"the password has more than {MAXIMUM_LENGTH} characters")
    if len(set(password.lower())) < _MINIMUM_DISTINCT:
        raise UsageError("the password repeats the same few characters")
    rest = password.lower()
    for part in sorted((*_COMMON_PARTS, account.lower()), key=len, reverse=True):
        if len(part) >= 3:
            rest = rest.replace(part, "")
    if len(set(rest) - set("0123456789!.-_ ")) < 3:
        raise UsageError(
            "the password is made of common words and numbers: choose a less known one"
        )
