"""Settings that were changed under a daemon that runs are named, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tuipacs.cli.restart import changed_settings, restart_words
from tuipacs.domain.system import Health, TlsHealth
from tuipacs.paths import ArchivePaths

TLS = "[tls]\ncertificate = 'a.crt'\nkey = 'a.key'\nca = 'ca.crt'\n"
SECURE = TlsHealth(port=2762, subject="archive", sha256="00", expires_at=0.0)


def health(port: int = 11112, *, receiving: bool = True, tls: TlsHealth | None = None) -> Health:
    return Health(
        version="1",
        pid=1,
        ae_title="TUIPACS",
        host="127.0.0.1",
        port=port,
        receiving=receiving,
        started_at=0.0,
        tls=tls,
    )


@pytest.mark.parametrize(
    ("text", "running", "changed"),
    [
        ("", health(), ()),
        ("[dicom]\nport = 0\n", health(40000), ()),
        ("[dicom]\nport = 104\n", health(), ("dicom.port",)),
        ("[dicom]\nport = 104\n", health(0, receiving=False), ()),
        (
            "[dicom]\nae_title = 'OTHER'\nhost = '::'\n",
            health(),
            ("dicom.ae_title", "dicom.host"),
        ),
        (TLS, health(), ("tls.certificate",)),
        (TLS, health(tls=SECURE), ()),
        ("", health(tls=SECURE), ("tls.certificate",)),
        (f"{TLS}only = true\n", health(tls=SECURE), ("tls.only",)),
        (f"{TLS}only = true\n", health(0, tls=SECURE), ()),
        (TLS, health(0, tls=SECURE), ("tls.only",)),
        (f"{TLS}port = 2763\n", health(tls=SECURE), ("tls.port",)),
        ("[dicom\n", health(), ()),
    ],
)
def test_what_the_daemon_does_not_know_yet_is_named(
    tmp_path: Path, text: str, running: Health, changed: tuple[str, ...]
) -> None:
    (tmp_path / "archive.toml").write_text(text)
    assert changed_settings(ArchivePaths(tmp_path), running) == changed
    assert bool(restart_words(changed)) is bool(changed)
