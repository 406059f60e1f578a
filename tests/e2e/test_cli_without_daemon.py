"""Commands that need no daemon, and what the others say when there is none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.cli_harness import Cli, as_user
from tests.e2e.daemon_fixture import PASSWORD


@pytest.fixture
def empty(tmp_path: Path) -> Cli:
    return Cli(tmp_path / "archive", tmp_path / "state")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    folder = tmp_path_factory.mktemp("made")
    archive = Cli(folder / "archive", folder / "state")
    assert archive.init("--ae-title", "ARCH1", "--port", "4242").code == 0
    return archive


def test_the_version_is_told(empty: Cli) -> None:
    assert empty.run("--version").out.startswith("tuipacs ")


@pytest.mark.parametrize("words", [("bogus",), ("find", "--level", "x"), ("find", "--bogus")])
def test_wrong_usage_ends_with_2(empty: Cli, words: tuple[str, ...]) -> None:
    result = empty.run(*words)
    assert (result.code, result.out) == (2, "")


def test_no_archive_is_told_with_the_way_to_make_one(empty: Cli) -> None:
    result = empty.run("find")
    assert result.code == 1
    assert "no archive" in result.err
    assert "tuipacs init" in result.err


def test_status_tells_that_nothing_runs_and_ends_with_3(empty: Cli) -> None:
    result = empty.run("status", "--json")
    assert (result.code, result.json["running"]) == (3, False)
    assert empty.run("status").code == 3


def test_no_daemon_is_worth_another_try(made: Cli) -> None:
    result = made.run("find", "--json", **as_user("ada"))
    assert (result.code, result.out) == (3, "")
    assert json.loads(result.err)["error"] == "daemon-unreachable"


def test_init_makes_a_private_folder_once(made: Cli) -> None:
    assert made.root.stat().st_mode & 0o777 == 0o700
    again = made.init()
    assert again.code == 1
    assert "already" in again.err


@pytest.mark.parametrize(
    ("words", "password", "told"),
    [
        ((), "short", "15 characters"),
        ((), "", "no password"),
        (("--port", "99999"), PASSWORD, "dicom.port"),
        (("--port", "99999"), PASSWORD, "give another --ae-title, --port"),
        (("--ae-title", "SEVENTEEN-LETTERS"), PASSWORD, "dicom.ae_title"),
        (("--unknown-callers", "all"), PASSWORD, "dicom.unknown_callers"),
    ],
)
def test_init_refuses_what_will_not_do_and_makes_nothing(
    empty: Cli, words: tuple[str, ...], password: str, told: str
) -> None:
    result = empty.run("init", "--admin", "boss", "--password-stdin", *words, said=password)
    assert result.code == 2
    assert told in result.err
    assert not (empty.root / "archive.toml").exists()


def test_passwords_are_never_asked_for_without_a_terminal(empty: Cli) -> None:
    result = empty.run("init", "--admin", "boss")
    assert result.code == 2
    assert "--password-stdin" in result.err


def test_config_shows_each_value_with_its_origin(made: Cli) -> None:
    rows = {row["name"]: row for row in made.run("config", "show", "--json").json}
    assert rows["dicom.ae_title"]["value"] == '"ARCH1"'
    assert rows["dicom.port"]["value"] == "4242"
    assert rows["dicom.port"]["origin"].startswith("archive.toml line ")
    assert made.run("config", "locate").out.strip() == str(made.root / "archive.toml")
    assert made.run("config", "validate").code == 0


def test_a_misspelt_setting_is_told_with_its_line_and_the_nearest_name(tmp_path: Path) -> None:
    archive = Cli(tmp_path, tmp_path / "state")
    (tmp_path / "archive.toml").write_text('[dicom]\nae_titel = "X"\n')
    result = archive.run("config", "validate")
    assert result.code == 2
    assert "line 2" in result.err
    assert "ae_title" in result.err


def test_the_archive_option_comes_before_the_variable(made: Cli, tmp_path: Path) -> None:
    result = made.run("--archive", str(tmp_path / "other"), "config", "locate")
    assert result.out.strip() == str(tmp_path / "other" / "archive.toml")


def test_the_doctor_needs_no_daemon(made: Cli) -> None:
    findings = made.run("doctor", "--json").json
    verdicts = {finding["check"]: finding["verdict"] for finding in findings}
    assert verdicts["sqlite"] == "ok"
    assert verdicts["settings"] == "ok"
    assert verdicts["daemon"] == "warn"


def test_the_doctor_finds_a_folder_that_others_can_read(tmp_path: Path) -> None:
    archive = Cli(tmp_path / "open", tmp_path / "state")
    archive.root.mkdir()
    archive.root.chmod(0o755)
    result = archive.run("doctor", "--json")
    assert result.code == 1
    (finding,) = [f for f in result.json if f["check"] == "archive" and f["verdict"] == "fail"]
    assert "chmod 700" in finding["remedy"]


def test_a_reader_that_leaves_early_causes_no_noise(made: Cli) -> None:
    """As in ``tuipacs config show | true``."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "tuipacs", "--archive", str(made.root), "config", "show"],
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


def test_completion_is_offered(empty: Cli) -> None:
    result = empty.run("--show-completion", "bash", SHELL="/bin/bash")
    assert result.code == 0
    assert "tuipacs" in result.out


def test_every_command_explains_itself_in_the_c_locale(empty: Cli) -> None:
    for words in (("--help",), ("import", "--help"), ("audit", "--help")):
        result = empty.run(*words, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
        assert result.code == 0
        assert "\x1b" not in result.out


@pytest.mark.parametrize("words", [("ca",), ("certificate", "ct1"), ("renew", "x.crt")])
def test_no_certificate_makes_a_folder_that_init_would_refuse(
    empty: Cli, words: tuple[str, ...]
) -> None:
    result = empty.run("tls", *words)
    assert result.code == 1
    assert "tuipacs init --admin NAME" in result.err
    assert not empty.root.exists()


def test_init_names_what_is_in_the_way(empty: Cli) -> None:
    (empty.root / "holiday").mkdir(parents=True)
    result = empty.init()
    assert (result.code, "is not empty: holiday" in result.err) == (1, True)


def test_commands_that_are_printed_are_for_the_archive_that_was_named(
    empty: Cli, tmp_path: Path
) -> None:
    """As typed they would reach another archive, or none."""
    named = str(tmp_path / "my archive")
    for words in (("find",), ("status",), ("doctor",), ("tls", "ca"), ("serve",)):
        result = empty.run("--archive", named, *words)
        told = f"tuipacs --archive '{named}' init --admin NAME"
        assert told in result.out + result.err
    made = empty.run(
        "--archive", named, "init", "--admin", "boss", "--password-stdin", said=PASSWORD
    )
    assert f"start it with: tuipacs --archive '{named}' serve" in made.out
    assert f"'{named}' serve" in empty.run("--archive", named, "status").err
