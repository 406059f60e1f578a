"""TLS as a small site sets it up: the commands of docs/tls.md, and a daemon that obeys them."""

from __future__ import annotations

import datetime as dt
import shutil
import signal
import time
from collections.abc import Iterator

import pytest

from tests.dimse.raw_peer import ECHO_CONTEXT
from tests.dimse.tls_site import TlsPeer
from tests.e2e.cli_harness import Cli, cli_on_running_archive
from tests.e2e.daemon_fixture import ADMIN, RunningArchive
from tuipacs.certificates.making import KeyKind, Wanted, issue
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
    found = cli.run("tls", "check", "--json").json
    assert {line["verdict"] for line in found if line["check"] != "daemon"} == {"ok"}
    assert found[0].keys() == cli.run("doctor", "--json").json[0].keys()


def test_settings_that_the_daemon_has_not_read_are_told(
    played: tuple[Cli, RunningArchive],
) -> None:
    """TLS was filled in above while it ran: everything looks right, and nobody listens."""
    cli, _ = played
    assert "restart needed: tls.certificate" in cli.run("status").out
    assert cli.run("status", "--json").json["restart_needed"] == ["tls.certificate"]
    assert "restart needed: tls.certificate" in cli.run("doctor").out
    assert cli.run("tls", "check", "--json").json[-1]["check"] == "daemon"


def test_a_renewal_of_the_archives_own_says_what_to_copy_where(
    played: tuple[Cli, RunningArchive],
) -> None:
    cli, archive = played
    folder = archive.paths.root / "tls"
    new = cli.run("tls", "renew", str(folder / "archive.crt"))
    assert "subject    archive\n" in new.out
    assert f"{folder / 'archive.key'}\n" in new.out
    new = cli.run("tls", "renew", str(folder / "ct1.crt"))
    assert ("node edit" in new.out, "  cp " in new.out) == (True, False)


def test_hints_are_for_what_the_certificate_is_for(played: tuple[Cli, RunningArchive]) -> None:
    cli, archive = played
    made = cli.run("tls", "certificate", "scp", "--ip", "192.0.2.1", "--key", "ec")
    assert 'certificate = "tls/scp.crt"' in made.out
    assert 'ca = "tls/ca.crt"' in made.out
    assert made.err == ""
    made = cli.run("tls", "certificate", "mr1", "--client", "--key", "ec")
    assert ("for this archive" in made.out, "node add" in made.out) == (False, True)
    made = cli.run("tls", "certificate", "anyone", "--key", "ec")
    assert "warning: it names no host" in made.err
    kept = archive.paths.root / "kept.key"
    (archive.paths.root / "tls" / "ca.key").rename(kept)
    assert "tuipacs tls ca" in cli.run("tls", "certificate", "x").err
    kept.rename(archive.paths.root / "tls" / "ca.key")
    assert "[730] [default" not in cli.run("tls", "renew", "--help").out


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
    status = cli.run("status").out
    assert f":{port} with TLS only, receiving" in status
    assert "restart needed" not in status
    doctor = cli.run("doctor").out
    assert f"{port}, TLS: takes connections" in doctor
    assert "tls          chain: ends at DICOM site CA" in doctor

    added = cli.run("node", "add", "CT1", "--certificate", str(folder / "ct1.crt"), user=ADMIN)
    assert added.code == 0, added.err
    short = certificate_sha256(folder / "ct1.crt")[:12]
    assert f"by certificate {short}…" in added.out
    assert short in cli.run("node", "show", "CT1", user=ADMIN).out
    assert cli.run("node", "add", "X", "--certificate", "abc", user=ADMIN).code == 2
    again = cli.run("node", "add", "CT1", user=ADMIN)
    assert "tuipacs node edit CT1" in again.err
    shared = cli.run("node", "add", "CT2", "--certificate", str(folder / "ct1.crt"), user=ADMIN)
    assert (shared.code, "CT1 is bound to the same certificate" in shared.err) == (0, True)
    assert cli.run("node", "remove", "CT2", user=ADMIN).code == 0
    authority = cli.run("node", "add", "X", "--certificate", str(folder / "ca.crt"), user=ADMIN)
    assert (authority.code, "an authority's certificate" in authority.err) == (2, True)
    now = dt.datetime.now(dt.UTC) - dt.timedelta(days=9)
    late = issue(folder, Wanted(name="late", days=1, client_only=True, kind=KeyKind.EC), now=now)
    added = cli.run("node", "add", "LATE", "--certificate", str(late.certificate), user=ADMIN)
    assert (added.code, "is not valid now" in added.err) == (0, True)

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
