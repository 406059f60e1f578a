"""Who may do what on the command line: logins, roles, accounts, nodes and the audit log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cli_harness import Cli, as_user, cli_on_running_archive
from tests.e2e.daemon_fixture import ADMIN, PASSWORD
from tuipacs.domain.permissions import Role


@pytest.fixture(scope="module")
def cli() -> Iterator[Cli]:
    with cli_on_running_archive(Role.VIEWER, Role.TECHNOLOGIST, Role.AUDITOR) as (cli, _):
        yield cli


@pytest.fixture
def own(cli: Cli, tmp_path: Path) -> Cli:
    """The same archive for another Unix account: no login is kept yet."""
    return Cli(cli.root, tmp_path)


def test_without_a_login_both_ways_are_told(own: Cli) -> None:
    result = own.run("find")
    assert (result.code, result.out) == (1, "")
    assert "TUIPACS_USER" in result.err
    assert "tuipacs login" in result.err


def test_a_wrong_password_and_an_unknown_user_are_told_alike(cli: Cli) -> None:
    wrong = cli.run("find", "--json", TUIPACS_USER="technologist", TUIPACS_PASSWORD="wrong")
    unknown = cli.run("find", "--json", TUIPACS_USER="nobody", TUIPACS_PASSWORD="wrong")
    assert wrong.code == unknown.code == 1
    assert json.loads(wrong.err) == json.loads(unknown.err)
    assert "tuipacs user password NAME" in json.loads(wrong.err)["remedy"]


def test_a_user_without_a_password_in_the_environment_is_told(own: Cli) -> None:
    result = own.run("find", TUIPACS_USER="viewer")
    assert result.code == 1
    assert "TUIPACS_PASSWORD" in result.err


def test_a_login_is_kept_privately_until_logout(own: Cli) -> None:
    assert own.run("login", "viewer", "--password-stdin", said=PASSWORD).code == 0
    (kept,) = [path for path in own.state.rglob("*") if path.is_file()]
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    assert PASSWORD not in kept.read_text()
    assert own.run("find").code == 0
    token = json.loads(kept.read_text())["token"]
    assert own.run("logout").code == 0
    assert not kept.exists()
    kept.write_text(json.dumps({"archive": str(own.root), "user": "viewer", "token": token}))
    kept.chmod(0o600)
    stale = own.run("find")
    assert stale.code == 1
    assert "tuipacs login" in stale.err


def test_a_login_that_others_could_read_is_not_used(own: Cli) -> None:
    own.run("login", "viewer", "--password-stdin", said=PASSWORD)
    (kept,) = [path for path in own.state.rglob("*") if path.is_file()]
    kept.chmod(0o644)
    result = own.run("find")
    assert result.code == 1
    assert "others" in result.err


def test_a_login_by_the_environment_ends_with_the_command(own: Cli, cli: Cli) -> None:
    assert own.run("find", **as_user("technologist")).code == 0
    records = cli.run("audit", "list", "technologist", "--json", user="auditor").json
    operations = [record["operation"] for record in records[:3]]
    assert operations == ["sessions.logout", "browse.find", "sessions.login"]
    assert not own.state.exists() or not list(own.state.rglob("*.json"))


@pytest.mark.parametrize(
    "words",
    [
        ("import", "/nowhere"),
        ("user", "list"),
        ("audit", "list"),
        ("export", "1.2.3", "--to", "/nowhere"),
        ("stop",),
    ],
)
def test_a_viewer_is_refused_with_a_clean_line(cli: Cli, words: tuple[str, ...]) -> None:
    result = cli.run(*words, user="viewer")
    assert (result.code, result.out) == (1, "")
    assert "viewer may not do that" in result.err


def test_every_refusal_is_in_the_audit_log(cli: Cli) -> None:
    cli.run("user", "list", user="viewer")
    (record, *_) = cli.run("audit", "list", "users.list", "viewer", "--json", user="auditor").json
    assert (record["actor"], record["outcome"]) == ("viewer", "refused")


def test_an_account_lives_from_add_to_disable(cli: Cli, own: Cli) -> None:
    add = ("user", "add", "anna", "--role", "viewer", "--password-stdin", "--json")
    assert cli.run(*add, user=ADMIN, said=PASSWORD).json["role"] == "viewer"
    again = cli.run(*add, user=ADMIN, said=PASSWORD)
    assert (again.code, "tuipacs user list" in again.err) == (1, True)
    last = cli.run("user", "disable", ADMIN, user=ADMIN)
    assert (last.code, "make another first" in last.err) == (1, True)
    assert cli.run("user", "role", "anna", "auditor", user=ADMIN).code == 0
    own.run("login", "anna", "--password-stdin", said=PASSWORD)
    assert own.run("audit", "verify").code == 0
    new = "another quite long phrase"
    wrong = own.run("user", "password", "--password-stdin", said=f"not it\n{new}\n")
    assert (wrong.code, wrong.out) == (1, "")
    assert "the old password is wrong" in wrong.err
    assert "does not hold" not in wrong.err
    changed = own.run("user", "password", "--password-stdin", said=f"{PASSWORD}\n{new}\n")
    assert changed.code == 0, changed.err
    assert own.run("login", "anna", "--password-stdin", said=PASSWORD).code == 1
    reset = ("user", "password", "anna", "--password-stdin")
    assert cli.run(*reset, user=ADMIN, said=PASSWORD).code == 0
    assert cli.run("user", "disable", "anna", user=ADMIN).code == 0
    assert own.run("login", "anna", "--password-stdin", said=PASSWORD).code != 0
    assert cli.run("user", "enable", "anna", user=ADMIN).code == 0
    users = {row["name"]: row for row in cli.run("user", "list", "--json", user=ADMIN).json}
    assert (users["anna"]["role"], users["anna"]["disabled"]) == ("auditor", False)


def test_a_password_that_will_not_do_is_refused_with_the_rule(cli: Cli) -> None:
    words = ("user", "add", "bob", "--role", "viewer", "--password-stdin")
    result = cli.run(*words, user=ADMIN, said="short\n")
    assert result.code == 2
    assert "15 characters" in result.err


def test_nodes_are_added_listed_and_removed_by_title(cli: Cli) -> None:
    add = ("node", "add", "SCAN1", "--address", "10.0.0.0/8", "--service", "store", "--json")
    assert cli.run(*add, user=ADMIN).json["services"] == ["store"]
    (node,) = cli.run("node", "list", "--json", user=ADMIN).json
    assert (node["ae_title"], node["address"]) == ("SCAN1", "10.0.0.0/8")
    assert cli.run("node", "remove", "OTHER", user=ADMIN).code == 1
    assert cli.run("node", "remove", "SCAN1", user=ADMIN).code == 0
    assert cli.run("node", "list", "--json", user=ADMIN).json == []


def test_the_audit_log_verifies_and_pages_on(cli: Cli) -> None:
    outcome = cli.run("audit", "verify", "--json", user="auditor").json
    assert outcome["ok"]
    records = cli.run("audit", "list", "--limit", "0", "--json", user="auditor").json
    sequence = [record["seq"] for record in records]
    assert sequence == list(range(sequence[0], 0, -1))
    assert len(cli.run("audit", "list", "--limit", "3", "--json", user="auditor").json) == 3


def test_status_tells_anyone_that_it_runs_and_more_to_those_who_may_know(
    own: Cli, cli: Cli
) -> None:
    anyone = own.run("status", "--json")
    assert (anyone.code, anyone.json["running"]) == (0, True)
    assert "totals" not in anyone.json
    viewer = cli.run("status", "--json", user="viewer")
    assert viewer.code == 0
    assert "totals" not in viewer.json
    technologist = cli.run("status", "--json", user="technologist").json
    assert technologist["totals"]["instances"] == 0
    assert technologist["health"]["pid"] == anyone.json["health"]["pid"]


def test_the_doctor_finds_a_healthy_archive(own: Cli) -> None:
    result = own.run("doctor", "--json")
    assert result.code == 0
    assert {f["check"]: f["verdict"] for f in result.json}["dicom"] == "ok"


def test_stop_ends_the_daemon_and_waits_for_it() -> None:
    with cli_on_running_archive() as (cli, archive):
        assert cli.run("stop", user=ADMIN).code == 0
        assert cli.run("status", "--json").json["running"] is False
        archive.end()
        assert archive.process is not None
        assert archive.process.returncode == 0
