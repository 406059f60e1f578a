"""Where state, socket, configuration and themes live."""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import platformdirs

ARCHIVE_VARIABLE = "TUIPACS_ARCHIVE"
# No variable decides: daemon and clients often have different ones (systemd, cron, sudo).
SHARED_FOLDER = Path("/tmp")  # noqa: S108 - the folder in it is made private and checked
SOCKET_PATH_LIMIT = 100  # bytes; the kernel's limit is 108 with the final NUL


@dataclass(frozen=True)
class ArchivePaths:
    """The fixed places inside one archive folder."""

    root: Path

    @property
    def config(self) -> Path:
        """The daemon's settings; a folder is an archive when this file exists."""
        return self.root / "archive.toml"

    @property
    def index(self) -> Path:
        """The SQLite file."""
        return self.root / "index.sqlite"

    @property
    def objects(self) -> Path:
        """The stored bytes."""
        return self.root / "objects"

    @property
    def quarantine(self) -> Path:
        """What was received and could not be kept as an object."""
        return self.root / "quarantine"

    @property
    def lock(self) -> Path:
        """Held by the one daemon that owns the archive."""
        return self.root / "daemon.lock"

    @property
    def log(self) -> Path:
        """The daemon's log, without PHI."""
        return self.root / "daemon.log"

    @property
    def socket(self) -> Path:
        """The control socket; in a private folder elsewhere when this path is too long for one."""
        inside = self.root / "control.sock"
        if len(os.fsencode(inside)) <= SOCKET_PATH_LIMIT:
            return inside
        digest = hashlib.sha256(os.fsencode(self.root.resolve())).hexdigest()[:24]
        return SHARED_FOLDER / f"tuipacs-{os.getuid()}" / f"{digest}.sock"

    @property
    def exists(self) -> bool:
        """True when the folder holds an archive."""
        return self.config.is_file()


def archive_paths(chosen: Path | None) -> ArchivePaths:
    """The archive asked for: the option, ``TUIPACS_ARCHIVE``, or the platform's data folder."""
    if chosen is None:
        named = os.environ.get(ARCHIVE_VARIABLE)
        chosen = Path(named) if named else Path(platformdirs.user_data_dir("tuipacs"))
    return ArchivePaths(chosen.expanduser().absolute())


def user_config_dir() -> Path:
    """A person's own settings: themes, UI preferences."""
    return Path(platformdirs.user_config_dir("tuipacs"))


def user_state_dir() -> Path:
    """A person's own state: command line logins."""
    return Path(platformdirs.user_state_dir("tuipacs"))


def theme_dirs() -> tuple[Path, ...]:
    """Folders with themes, the user's last: the checkout's, else those of the installed wheel."""
    shipped = (
        Path(__file__).parent.parent / "themes",
        Path(sys.prefix) / "share" / "tuipacs" / "themes",
    )
    first_shipped = [folder for folder in shipped if folder.is_dir()][:1]
    # The person's own also when it is not there yet: it is looked at again and again.
    return (*first_shipped, user_config_dir() / "themes")
