"""The conformance statement says what the program does, and the one in docs/ is that very text."""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import tuipacs
from tuipacs.cli.conformance import statement_of
from tuipacs.config import Config, DicomSettings, TlsSettings
from tuipacs.conformance import statuses

PACKAGE = Path(tuipacs.__file__).parent
DOCUMENT = PACKAGE.parent / "docs" / "conformance.md"
REMEDY = "tuipacs conformance --defaults --output docs/conformance.md"


@pytest.fixture(scope="module")
def statement() -> str:
    return statement_of(Config())


def test_the_statement_in_docs_is_what_the_program_says(statement: str) -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == statement, f"write it again: {REMEDY}"


def _table(statement: str, heading: str) -> list[list[str]]:
    """The cells of all tables between a heading and the next one."""
    part = re.split(r"^#+ .*$", statement.partition(f"# {heading}\n")[2], maxsplit=1, flags=re.M)[0]
    return [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("| ")]


def _statuses_in(file: Path) -> Iterator[int]:
    """Numbers that a module of the SCPs can put into an answer."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and type(node.value) is int:
            source = ast.get_source_segment(file.read_text(encoding="utf-8"), node) or ""
            if re.fullmatch(r"0x[0-9A-F]{4}", source):
                yield node.value


@pytest.mark.parametrize(
    ("module", "rows"),
    [
        ("c_echo", statuses.VERIFY),
        ("c_store", statuses.STORE),
        ("c_find", statuses.FIND),
        ("retrieving", statuses.MOVE),
        ("n_action", statuses.N_ACTION),
        ("n_event_report", statuses.N_EVENT_REPORT),
    ],
)
def test_every_status_that_a_service_can_answer_is_in_its_table(
    module: str, rows: tuple[statuses.Row, ...]
) -> None:
    told = {int(status, 16) for status, _, _ in rows}
    answered = set(_statuses_in(PACKAGE / "scp" / f"{module}.py"))
    assert answered  # the search finds something
    assert {f"{status:04X}" for status in answered - told} == set()


def test_every_module_of_a_service_was_looked_at() -> None:
    """A new service needs its table."""
    assert {file.stem for file in (PACKAGE / "scp").glob("*.py")} == {
        "__init__",
        "c_echo",
        "c_find",
        "c_get",
        "c_move",
        "c_store",
        "n_action",
        "n_event_report",
        "retrieving",
        "status",
    }


def test_a_service_that_is_not_there_is_not_claimed(statement: str) -> None:
    assert ["Verification SOP Class", "yes", "yes"] in _table(
        statement, "1 Conformance statement overview"
    )
    assert "Modality Worklist" not in statement


def test_the_statement_names_the_settings_of_the_site() -> None:
    config = dataclasses.replace(
        Config(),
        dicom=DicomSettings(ae_title="ARCH7", port=10404, refuse_sop_classes=("1.2.3.4.5",)),
        tls=TlsSettings(certificate="a.crt", key="a.key", ca="ca.crt", port=2763, only=True),
    )
    statement = statement_of(config)
    assert ["AE title", "ARCH7"] in _table(statement, "4.4.1 AE title and presentation address")
    assert ["TCP port", "closed"] in _table(statement, "4.4.1 AE title and presentation address")
    assert ["TCP port for TLS", "2763"] in _table(
        statement, "4.4.1 AE title and presentation address"
    )
    assert "1.2.3.4.5" in statement


def test_a_refused_class_is_not_among_those_that_are_accepted() -> None:
    secondary = "1.2.840.10008.5.1.4.1.1.7"
    config = dataclasses.replace(Config(), dicom=DicomSettings(refuse_sop_classes=(secondary,)))
    classes = {row[1] for row in _table(statement_of(config), "8.1 Storage SOP classes")}
    assert secondary not in classes
    assert "1.2.840.10008.5.1.4.1.1.2" in classes
