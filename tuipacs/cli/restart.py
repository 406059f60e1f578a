"""Does the daemon that runs do what ``archive.toml`` says? Most settings are read at its start."""

from __future__ import annotations

from pathlib import Path

from tuipacs.domain.system import Health, TlsHealth
from tuipacs.errors import TuipacsError
from tuipacs.paths import ArchivePaths

RESTART = "restart it: systemctl restart tuipacs, or end it with tuipacs stop and start it again"


def changed_settings(archive: ArchivePaths, health: Health) -> tuple[str, ...]:
    """Names of settings that show in ``health`` otherwise than in the file.

    None as well for a file that cannot be read or is wrong: `tuipacs doctor` tells that.
    """
    from tuipacs.config import load_config

    try:
        config = load_config(archive.config)
    except TuipacsError:
        return ()
    dicom, tls = config.dicom, config.tls
    changed = {
        "dicom.ae_title": dicom.ae_title != health.ae_title,
        "dicom.host": dicom.host != health.host,
        "tls.certificate": bool(tls.certificate) != (health.tls is not None),
    }
    if health.receiving:  # only then the ports are known; 0 picks any
        is_only = bool(tls.certificate) and tls.only
        changed["tls.only"] = health.tls is not None and is_only == bool(health.port)
        changed["dicom.port"] = _differ(dicom.port, health.port)
        changed["tls.port"] = health.tls is not None and _differ(tls.port, health.tls.port)
    if tls.certificate and health.tls is not None:
        changed["tls.certificate"] = _is_another(archive, tls.certificate, health.tls)
    return tuple(name for name, is_so in changed.items() if is_so)


def restart_words(changed: tuple[str, ...]) -> str:
    """For a person; empty if nothing changed."""
    if not changed:
        return ""
    return f"restart needed: {', '.join(changed)} in archive.toml is not what the daemon runs with"


def _differ(wanted: int, port: int) -> bool:
    return bool(wanted and port) and wanted != port


def _is_another(archive: ArchivePaths, name: str, tls: TlsHealth) -> bool:
    """The daemon has taken or refused what lies under its own file names; these are others."""
    from tuipacs.certificates.reading import certificate_sha256

    if tls.problem:
        return False
    try:
        return certificate_sha256(archive.root / Path(name).expanduser()) != tls.sha256
    except TuipacsError:
        return False
