"""Section 8: what is too long to stand elsewhere."""

from __future__ import annotations

from tuipacs.conformance.facts import Facts, named
from tuipacs.conformance.markdown import heading, paragraph, table
from tuipacs.dimse.messages import C_STORE_RQ


def annexes(facts: Facts) -> list[str]:
    """Storage SOP classes and transfer syntaxes."""
    lines = heading("8", "Annexes") + heading("8.1", "Storage SOP classes")
    lines += paragraph(
        "Accepted as SCP and proposed as SCU. Classes of the standard that are newer than this"
        " table and private ones are accepted as well."
    )
    lines += table(("SOP class", "UID"), named(facts.classes_of(C_STORE_RQ)))
    lines += heading("8.2", "Transfer syntaxes of storage")
    lines += table(("Transfer syntax", "UID"), named(facts.syntaxes_of(C_STORE_RQ)))
    lines += heading("8.3", "Extensions, specializations and privatizations")
    lines += paragraph("None: no private attributes, SOP classes or transfer syntaxes are made.")
    lines += heading("8.4", "Coercion")
    return lines + paragraph("Stored objects are not coerced.")
