"""The whole statement, in the order of PS3.2."""

from __future__ import annotations

from tuipacs.conformance.annexes import annexes
from tuipacs.conformance.facts import Facts
from tuipacs.conformance.markdown import heading
from tuipacs.conformance.model import associations, implementation_model, network_and_configuration
from tuipacs.conformance.overview import introduction, overview
from tuipacs.conformance.scp_services import provided
from tuipacs.conformance.scu_services import used
from tuipacs.conformance.security import character_sets, media, security


def conformance_statement(facts: Facts) -> str:
    """The document, in Markdown. It has no date and no machine's name: it is the same each time."""
    body = (
        overview(facts)
        + heading("2", "Table of contents")
        + [""]
        + introduction(facts)
        + implementation_model(facts)
        + heading("4.2", "AE specifications")
        + heading("4.2.1", facts.config.dicom.ae_title)
        + associations(facts)
        + provided(facts)
        + used(facts)
        + network_and_configuration(facts)
        + media(facts)
        + character_sets(facts)
        + security(facts)
        + annexes(facts)
    )
    title = [f"# DICOM conformance statement of tuipacs {facts.version}", ""]
    at = body.index("## 2 Table of contents") + 2
    lines = title + body[:at] + _contents(body) + body[at:]
    return "\n".join(lines).rstrip() + "\n"


def _contents(body: list[str]) -> list[str]:
    """Two levels of headings, as links."""
    lines = []
    for line in body:
        marks, _, text = line.partition(" ")
        if marks in ("##", "###"):
            anchor = text.lower().replace(" ", "-").replace(".", "").replace(",", "")
            lines.append(f"{'  ' * (len(marks) - 2)}- [{text}](#{anchor})")
    return lines
