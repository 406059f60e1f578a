"""TLS as a small site sets it up: the commands of docs/tls.md, and a daemon that obeys them."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Iterator

import pytest

from tests.dimse.raw_peer import ECHO_CONTEXT
from tests.dimse.tls_site import TlsPeer
from tests.e2e.cli_harness import Cli, cli_on_running_archive
from tests.e2e.daemon_fixture import ADMIN, RunningArchive
from tuipacs.certificates.reading import certificate_sha256
from tuipacs.dimse.tls import client_context
from tuipacs.domain.node import AssociationState
from tuipacs.schema import operations as op
from tuipacs.schema.messages import Empty


@pytest.fixture(scope="module")
def played() -> Iterator[tuple[Cli, RunningArchive]]:
    """An archive with an authority, its own certificate and one for ct1; TLS is still off."""
    with cli_on_running_archive() as (cli, archive):
        assert cli.run("tls", "ca", "--key", "ec").code == 0
        for words in (("archive", "--host", "localhost", "--ip", "127.0.0.1"), ("ct1", "--client")):
            result = cli.run("tls", "certificate", *words, "--key", "ec")
            assert result.code == 0, result.err
        yield cli, archive


def set_tls(archive: RunningArchive, **values: str) -> None:
    """Write settings of [tls] into archive.toml."""
    lines, table = archive.paths.config.read_text("utf-8").split("\n"), ""
    for number, line in enumerate(lines):
        if line.startswith("["):
            table = line
        name = line.partition(" = ")[0]
        if table == "[tls]" and name in values:
            lines[number] = f"{name} = {values[name]}"
    archive.paths.config.write_text("\n".join(lines), "utf-8")


def test_certificates_are_made_shown_and_never_overwritten(
    played: tuple[Cli, RunningArchive],
) -> None:
    cli, archive = played
    folder = archive.paths.root / "tls"
    shown = cli.run("tls", "show", str(folder / "ct1.crt"))
    assert certificate_sha256(folder / "ct1.crt") in shown.out
    assert "use        client\n" in shown.out
    (facts,) = cli.run("tls", "show", str(folder / "archive.crt"), "--json").json
    assert facts["names"] == ["localhost", "127.0.0.1"]
    again = cli.run("tls", "certificate", "ct1")
    assert (again.code, "not overwritten" in again.err) == (1, True)
    assert cli.run("tls", "certificate", "../x").code == 2
    assert cli.run("tls", "certificate", "x", "--key", "dsa").code == 2
    assert cli.run("tls", "show", str(folder / "ca.key")).code == 2


def test_check_says_what_is_missing_and_ends_with_1_until_it_fits(
    played: tuple[Cli, RunningArchive],
) -> None:
    cli, archive = played
    result = cli.run("tls", "check")
    assert (result.code, "TLS is off" in result.err) == (1, True)
    set_tls(archive, certificate='"tls/archive.crt"', key='"tls/archive.key"')
    assert "tls.ca is needed" in cli.run("config", "validate").err
    set_tls(archive, ca='"tls/ca.crt"', port="0")
    assert cli.run("tls", "check").code == 0
    key = archive.paths.root / "tls" / "archive.key"
    key.chmod(0o644)
    result = cli.run("tls", "check")
    assert (result.code, f"chmod 600 {key}" in result.out) == (1, True)
    key.chmod(0o600)
    assert {line["verdict"] for line in cli.run("tls", "check", "--json").json} == {"ok"}


def test_a_daemon_with_tls_from_start_to_a_replaced_certificate(
    played: tuple[Cli, RunningArchive],
) -> None:
    cli, archive = played
    folder = archive.paths.root / "tls"
    set_tls(archive, only="true")
    archive.stop()
    archive.start()
    assert archive.health is not None
    assert archive.health.tls is not None
    assert archive.health.port == 0
    port = archive.health.tls.port
    assert f":{port} with TLS only, receiving" in cli.run("status").out
    doctor = cli.run("doctor").out
    assert f"{port}, TLS: takes connections" in doctor
    assert "tls          chain: ends at DICOM site CA" in doctor

    added = cli.run("node", "add", "CT1", "--certificate", str(folder / "ct1.crt"), user=ADMIN)
    assert added.code == 0, added.err
    short = certificate_sha256(folder / "ct1.crt")[:12]
    assert f"by certificate {short}…" in added.out
    assert short in cli.run("node", "list", user=ADMIN).out
    assert cli.run("node", "add", "X", "--certificate", "abc", user=ADMIN).code == 2

    ct1 = client_context(
        folder / "ca.crt", certificate=folder / "ct1.crt", key=folder / "ct1.key", check_host=False
    )
    with TlsPeer(port, ct1) as peer:
        assert peer.associate([ECHO_CONTEXT], calling=b"CT1").kind == "accept"
        assert peer.echo() == 0
    seen = archive.connect().call(op.INCOMING, Empty()).associations[0]
    assert (seen.is_tls, seen.known_node, seen.state is AssociationState.REJECTED) == (
        True,
        True,
        False,
    )

    shutil.copy(folder / "ct1.crt", folder / "archive.crt")  # not its key
    assert archive.process is not None
    archive.process.send_signal(signal.SIGHUP)
    wait_for(archive, "the new TLS files are not used")
    assert "is not the key of" in cli.run("status").out
    assert cli.run("doctor").code == 1
    with TlsPeer(port, ct1) as peer:
        assert peer.associate([ECHO_CONTEXT], calling=b"CT1").kind == "accept"


def wait_for(archive: RunningArchive, words: str) -> None:
    deadline = time.monotonic() + 10
    while words not in archive.log():
        assert time.monotonic() < deadline, words
        time.sleep(0.02)


def test_a_start_without_its_key_is_refused_with_the_reason(
    played: tuple[Cli, RunningArchive],
) -> None:
    _, archive = played
    archive.stop()
    (archive.paths.root / "tls" / "archive.key").unlink()
    archive.process = archive.spawn()
    assert "archive.key: there is no such file" in archive.end()
    assert archive.process.returncode == 1
