"""The error tree. Each edge (DIMSE, HTTP, toast, exit code) maps it once.

TuipacsError
├── UsageError            the caller asked for something that makes no sense
│   ├── ConfigError       archive.toml is wrong; carries the line
│   ├── UnknownDestinationError   nobody can be sent anything under that AE title
│   └── InvalidQueryError     the identifier of a query cannot be answered as it stands
│       └── QueryModelError       it does not fit the information model it is asked of
├── NotFoundError         nothing has that key or UID
├── ConflictError         it exists already, or is in the wrong state
├── AuthenticationError   who are you? (never says which part was wrong)
│   ├── SessionLockedError    the session waits for its password
│   ├── WrongPasswordError    the session is fine; the password that was asked for is not
│   └── ThrottledError        too many wrong passwords; carries the delay
├── ForbiddenError        you are known, and may not
├── UnavailableError      try again later
│   ├── StorageFullError      the reserve is reached
│   ├── StorageFailedError    a write or fsync failed; the archive is read-only
│   └── DaemonUnreachableError  no daemon, or it went away
├── InvalidObjectError    bytes that cannot be kept as a DICOM object
│   └── UidMismatchError      the command names other UIDs than the dataset
└── DecodeError           pixels or a document that cannot be shown; says why
"""

from __future__ import annotations


class TuipacsError(Exception):
    """Base of all errors that this program raises on purpose.

    ``code`` is the stable machine name; the message is for people and never carries PHI.
    """

    code = "failed"

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


class UsageError(TuipacsError):
    """The request makes no sense as it stands."""

    code = "usage"


class ConfigError(UsageError):
    """A setting is wrong; the message names the file, the line and the nearest valid key."""

    code = "config"


class UnknownDestinationError(UsageError):
    """A C-MOVE names a destination that nothing is sent to from here; DIMSE status 0xA801."""

    code = "unknown-destination"


class InvalidQueryError(UsageError):
    """A C-FIND identifier that cannot be answered as it stands; DIMSE status 0xC000.

    ``tag``: of the key that is to blame; 0 if it is no single one. ``subject``: the UID that it is
    about, for the people here.
    """

    code = "invalid-query"

    def __init__(self, message: str, *, remedy: str = "", tag: int = 0, subject: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.tag = tag
        self.subject = subject


class QueryModelError(InvalidQueryError):
    """It does not fit the information model (level, unique keys); DIMSE status 0xA900."""

    code = "query-model"


class NotFoundError(TuipacsError):
    """Nothing has the key or UID asked for."""

    code = "not-found"


class ConflictError(TuipacsError):
    """It exists already, or is in a state that does not allow this."""

    code = "conflict"


class AuthenticationError(TuipacsError):
    """The caller is not known. The message never tells which part was wrong."""

    code = "authentication"


class SessionLockedError(AuthenticationError):
    """The session is locked until its user gives the password again."""

    code = "locked"


class WrongPasswordError(AuthenticationError):
    """Who has a session gave a wrong password for what needs it once more; the session goes on."""

    code = "wrong-password"


class ThrottledError(AuthenticationError):
    """Too many wrong passwords. ``retry_after`` is in seconds."""

    code = "throttled"

    def __init__(self, message: str, *, retry_after: float, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.retry_after = retry_after


class ForbiddenError(TuipacsError):
    """The caller is known and lacks the permission."""

    code = "forbidden"


class UnavailableError(TuipacsError):
    """Cannot be done now; the same call may succeed later."""

    code = "unavailable"


class StorageFullError(UnavailableError):
    """The free space has reached the reserve; DIMSE status 0xA700."""

    code = "storage-full"


class StorageFailedError(UnavailableError):
    """A write or an fsync failed; the archive refuses to store until an operator looks."""

    code = "storage-failed"


class DaemonUnreachableError(UnavailableError):
    """No daemon answers on the control socket."""

    code = "daemon-unreachable"


class InvalidObjectError(TuipacsError):
    """The bytes cannot be kept as a DICOM object; DIMSE status 0xC000."""

    code = "invalid-object"


class UidMismatchError(InvalidObjectError):
    """The dataset is of another object than the command names, or was asked for; status 0xA900."""

    code = "uid-mismatch"


class DecodeError(TuipacsError):
    """Pixels or a document cannot be shown; the message says why in words."""

    code = "decode"
