"""``tuipacs route`` as it is typed: what the options make of a rule, and what is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builders import make_dataset, part10_bytes
from tests.e2e.cli_harness import Cli, cli_on_running_archive
from tests.e2e.daemon_fixture import ADMIN


@pytest.fixture(scope="module")
def cli() -> Iterator[Cli]:
    with cli_on_running_archive() as (made, _):
        call = ("--host", "192.0.2.9", "--port", "104", "--call", "send")
        assert made.run("node", "add", "PACS2", *call, user=ADMIN).code == 0
        yield made


def test_a_rule_is_made_edited_ordered_and_removed(cli: Cli) -> None:
    first = cli.run(
        *("route", "add", "Chest", "--to", "PACS2", "--modality", "CT", "--modality", "MR"),
        *("--study", "*CHEST*", "--from", "CT*", "--days", "mon-fri", "--window", "07:00-18:00"),
        *("--min", "2", "--max-age", "30", "--source", "any", "--level", "series", "--commit"),
        *("--priority", "high", "--quiet", "5", "--json"),
        user=ADMIN,
    )
    made = first.json["rule"]
    conditions = made["conditions"]
    assert (made["nodes"], made["level"], made["priority"], made["commit"]) == (
        [1],
        "series",
        2,
        True,
    )
    assert (conditions["modalities"], conditions["study_descriptions"]) == (
        ["CT", "MR"],
        ["*CHEST*"],
    )
    assert (conditions["calling_ae_titles"], conditions["source"]) == (["CT*"], "any")
    assert conditions["weekdays"] == ["mon", "tue", "wed", "thu", "fri"]
    assert (conditions["minimum"], conditions["not_older_than_days"]) == (2, 30)
    said = cli.run("route", "edit", "chest", "--study", "", "--no-commit", "--json", user=ADMIN)
    edited = said.json["rule"]
    assert edited == {
        **made,
        "commit": False,
        "conditions": {**conditions, "study_descriptions": []},
    }
    assert cli.run("route", "add", "rest", "--stop", "--off", user=ADMIN).out == (
        "rule 2, rest: everything; then stop → to nowhere (switched off)\n"
    )
    assert cli.run("route", "move", "rest", "1", user=ADMIN).out == "rest is rule 1 now\n"
    assert cli.run("route", "enable", "rest", user=ADMIN).out == "the rule rest is on\n"
    listed = cli.run("route", "list", user=ADMIN).out.splitlines()
    assert [line.split()[:3] for line in listed[1:]] == [["1", "rest", "on"], ["2", "Chest", "on"]]
    assert cli.run("route", "remove", "rest", user=ADMIN).code == 0
    assert cli.run("route", "disable", "rest", user=ADMIN).code == 1


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("add", "x", "--to", "NOBODY"), 1, "no such node: NOBODY"),
        (("add", "x"), 2, "a rule needs a destination"),
        (("add", "x", "--to", "PACS2", "--days", "someday"), 2, "days are mon, tue"),
        (("explain", "1.2.3"), 1, "there is no such study"),
    ],
)
def test_what_cannot_be_is_told(cli: Cli, words: tuple[str, ...], code: int, told: str) -> None:
    result = cli.run("route", *words, user=ADMIN)
    assert result.code == code
    assert told in result.err
    assert result.out == ""


def test_a_dry_run_shows_what_would_match_and_keeps_nothing(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "one.dcm"
    dataset = make_dataset()
    file.write_bytes(part10_bytes(dataset))
    cli.run("import", str(file), user=ADMIN)
    tried = cli.run("route", "add", "try", "--to", "PACS2", "--dry-run", user=ADMIN)
    assert tried.out.startswith("0 of 1 studies of 7 days match\n")
    assert "--source any takes what was imported" in tried.err
    assert "no: it was imported, and the rule is for what nodes send" in tried.out
    assert "try" not in cli.run("route", "list", user=ADMIN).out
    asked = cli.run("route", "explain", str(dataset.StudyInstanceUID), user=ADMIN)
    assert "    Chest: not sent: it is " in asked.out  # days old
