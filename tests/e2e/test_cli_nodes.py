"""``tuipacs node`` from a process of its own: adding, changing, testing and importing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cli_harness import Cli, cli_on_running_archive
from tests.e2e.daemon_fixture import ADMIN, RunningArchive
from tuipacs.domain.permissions import Role
from tuipacs.domain.safe_text import cells


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Cli, RunningArchive]]:
    with cli_on_running_archive(Role.SERVICE) as both:
        yield both


@pytest.fixture
def cli(running: tuple[Cli, RunningArchive]) -> Iterator[Cli]:
    """No node is left to the next test."""
    yield running[0]
    for node in running[0].run("node", "list", "--json", user=ADMIN).json:
        running[0].run("node", "remove", str(node["key"]), user=ADMIN)


def test_all_of_a_node_is_added_shown_and_changed(cli: Cli) -> None:
    words = (
        *("node", "add", "PACS2", "--host", "192.0.2.9", "--port", "11112", "--service", "store"),
        *("--call", "echo,send", "--call", "commit", "--prefer", "ExplicitVRLittleEndian"),
        *("--window", "22:00-6:00", "--rate", "500", "--character-set", "iso_ir 100", "--json"),
    )
    node = cli.run(*words, user=ADMIN).json
    assert (node["address"], node["services"]) == ("192.0.2.9", ["store"])  # its host is an IP
    assert node["call"]["services"] == ["echo", "send", "commit"]
    assert node["call"]["preferred_syntaxes"] == ["1.2.840.10008.1.2.1"]
    shown = cli.run("node", "show", "PACS2", user=ADMIN)
    for told in ("192.0.2.9:11112", "ExplicitVRLittleEndian", "22:00-06:00", "ISO_IR 100"):
        assert told in shown.out
    edit = ("node", "edit", "PACS2", "--title", "PACS3", "--call", "echo", "--window", "none")
    changed = cli.run(*edit, "--address", "any", user=ADMIN)
    assert "AE title PACS2 → PACS3" in changed.out
    assert "asked for echo, send, commit → echo" in changed.out
    (after,) = cli.run("node", "list", "--json", user=ADMIN).json
    assert (after["call"]["window"], after["call"]["kib_per_second"]) == ("", 500)
    assert (after["address"], after["key"]) == ("", node["key"])
    gone = cli.run("node", "edit", "PACS3", "--host", "none", user=ADMIN)
    assert gone.code == 0, gone.err
    (after,) = cli.run("node", "list", "--json", user=ADMIN).json
    assert (after["call"]["host"], after["call"]["services"]) == ("", [])
    audited = cli.run("audit", "list", user=ADMIN).out
    assert "AE title PACS2 → PACS3" in audited


def test_a_title_that_looks_like_a_pattern_is_added_with_a_warning(cli: Cli) -> None:
    added = cli.run("node", "add", "CT*", "--address", "192.0.2.9", user=ADMIN)
    assert added.code == 0
    assert "CT* is taken letter by letter, not as a pattern" in added.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("add", "X", "--call", "fly"), "there is no such service"),
        (("add", "X", "--service", "report"), "there is no such service"),
        (("add", "X", "--host", "h:104"), "the port has a place of its own"),
        (("add", "X", "--host", "h", "--prefer", "JPEG"), "one of ImplicitVRLittleEndian"),
        (("add", "X", "--host", "h", "--window", "at night"), "write 22:00-06:00"),
        (("add", "X", "--service", "none"), "of no use"),
        (("edit", "X"), "nothing to change"),
        (("import", "/dev/null"), "not a regular file"),
    ],
)
def test_wrong_usage_is_told_with_what_is_right(
    cli: Cli, words: tuple[str, ...], told: str
) -> None:
    result = cli.run("node", *words, user=ADMIN)
    assert (result.code, result.out) == (2, "")
    assert told in result.err
    assert "Traceback" not in result.err


def test_the_list_fits_80_columns_whatever_is_in_it(cli: Cli) -> None:
    long = "a-host-name-that-goes-on-and-on-and-on.example.org"
    everything = "echo,store,query,move,get,commit"
    calls = "echo,send,query,move,get,commit"
    add = ("node", "add", "SIXTEEN_LETTERS_", "--address", "2001:db8:1234:5678::/64")
    more = ("--service", everything, "--host", long, "--call", calls, "--tls", "--require-identity")
    assert cli.run(*add, *more, user=ADMIN).code == 0
    out = cli.run("node", "list", user=ADMIN).out
    assert max(cells(line) for line in out.splitlines()) <= 80
    assert everything in out
    assert calls in out


def test_an_echo_and_a_test_tell_by_words_and_exit_code(
    cli: Cli, running: tuple[Cli, RunningArchive]
) -> None:
    """By an account that may ask nodes, and not list them. The other node is a second archive."""
    from tests.e2e.daemon_fixture import new_archive

    port = running[1].port
    own = cli.run("node", "add", "SELF", "--host", "127.0.0.1", "--port", str(port), user=ADMIN)
    assert (own.code, "is this archive itself" in own.err) == (2, True)
    other = new_archive(running[1].paths.root.parent / "other")
    try:
        other.start()
        add = ("node", "add", "TUIPACS", "--host", "127.0.0.1", "--port", str(other.port))
        assert cli.run(*add, "--call", "echo,query", user=ADMIN).code == 0
        echoed = cli.run("node", "echo", "TUIPACS", user="service")
        assert (echoed.code, echoed.err) == (0, "")
        assert "0x0000 success in " in echoed.out
        tested = cli.run("node", "test", "TUIPACS", "--json", user="service")
        rungs = {rung["rung"]: rung for rung in tested.json}
        assert tested.code == 1  # strangers may echo there, and not query
        assert [rung["verdict"] for rung in tested.json] == [
            *("passed", "skipped", "passed", "passed", "failed"),
        ]
        assert rungs["find"]["remedy"]
    finally:
        other.close()
    gone = cli.run("node", "test", "TUIPACS", user="service")
    assert gone.code == 1
    assert "tcp         BROKEN    refused the connection" in gone.out
    assert gone.out.count("not tried") == 3
    health = cli.run("node", "show", "TUIPACS", user=ADMIN).out
    assert "tcp: refused the connection" in health
    unknown = cli.run("node", "echo", "NOBODY", user="service")
    assert (unknown.code, "tuipacs node list" in unknown.err) == (1, True)


def test_a_list_of_another_program_is_looked_at_and_then_added(cli: Cli, tmp_path: Path) -> None:
    modalities = {
        "pacs": ["PACS2", "192.0.2.5", 104],
        "known": ["KNOWN", "192.0.2.6", 104],
        "bad": ["A_TITLE_TOO_LONG_FOR_DICOM", "192.0.2.7", 104],
    }
    file = tmp_path / "orthanc.json"
    file.write_text("// made by hand\n" + json.dumps({"DicomModalities": modalities}))
    assert cli.run("node", "add", "KNOWN", user=ADMIN).code == 0
    looked = cli.run("node", "import", "--dry-run", str(file), user=ADMIN)
    assert looked.code == 0
    assert "1 would be added, 2 left out" in looked.out
    assert "left out: known: KNOWN is known already" in looked.err
    assert len(cli.run("node", "list", "--json", user=ADMIN).json) == 1
    added = cli.run("node", "import", str(file), "--json", user=ADMIN).json
    assert [node["ae_title"] for node in added["added"]] == ["PACS2"]
    assert [left["entry"] for left in added["left_out"]] == ["bad", "known"]
    assert len(cli.run("node", "list", "--json", user=ADMIN).json) == 2
    again = cli.run("node", "import", str(file), user=ADMIN)
    assert (again.code, "0 added, 3 left out" in again.out) == (1, True)


def test_a_node_that_is_never_called_says_how_it_could_be(cli: Cli) -> None:
    assert cli.run("node", "add", "CT1", user=ADMIN).code == 0
    result = cli.run("node", "echo", "CT1", user=ADMIN)
    assert result.code == 2
    assert "tuipacs node edit CT1 --host HOST --port PORT" in result.err
