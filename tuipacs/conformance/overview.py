"""Sections 1 to 3: what the product does in one table, and for whom this is written."""

from __future__ import annotations

from tuipacs.conformance.facts import Facts
from tuipacs.conformance.markdown import bullets, heading, paragraph, table
from tuipacs.dimse.messages import (
    C_ECHO_RQ,
    C_FIND_RQ,
    C_GET_RQ,
    C_MOVE_RQ,
    C_STORE_RQ,
    N_ACTION_RQ,
)
from tuipacs.dimse.syntaxes import name_of

_QUESTIONS = (C_FIND_RQ, C_MOVE_RQ, C_GET_RQ)


def overview(facts: Facts) -> list[str]:
    """Section 1."""
    lines = heading("1", "Conformance statement overview")
    lines += paragraph(
        "tuipacs is an image archive: it receives composite objects from modalities and other"
        " systems, keeps them as they came, answers queries, sends and retrieves objects, and"
        " takes and asks for storage commitment. People use it from a terminal."
    )
    rows = [(name_of(uid), "yes", "yes") for uid in facts.classes_of(C_ECHO_RQ)]
    stored = len(facts.classes_of(C_STORE_RQ))
    rows.append((f"Storage: {stored} standard SOP classes, and private ones", "yes", "yes"))
    asked = sorted({uid for field in _QUESTIONS for uid in facts.classes_of(field)})
    rows += [(name_of(uid), _as_scu(uid), "yes") for uid in asked]
    rows += [(name_of(uid), "yes", "yes") for uid in facts.classes_of(N_ACTION_RQ)]
    lines += paragraph("**Table 1-1. Network services**")
    return lines + table(("SOP class", "User of service (SCU)", "Provider of service (SCP)"), rows)


def _as_scu(uid: str) -> str:
    return "yes" if name_of(uid).startswith("Study Root") else "no"


def introduction(facts: Facts) -> list[str]:
    """Section 3."""
    lines = heading("3", "Introduction")
    lines += heading("3.1", "Revision history")
    lines += paragraph(
        f"This statement is of version {facts.version}. It was made by `tuipacs conformance` from"
        " the program's code and an archive's settings; the same command gives that of a running"
        " site. What changed between versions is in CHANGELOG.md."
    )
    lines += heading("3.2", "Audience and remarks")
    lines += paragraph(
        "It is for those who connect other systems to this archive, and know DICOM. A conformance"
        " statement alone does not ensure that two systems work together: test the connection,"
        " for which `tuipacs node test` is at hand."
    )
    lines += paragraph(
        "Layout: PS3.2 with the section numbers that readers know from its editions before 2023;"
        " the tables of a service stand with the service."
    )
    lines += heading("3.3", "Terms")
    return lines + bullets(
        (
            "**Node**: a remote application entity that an administrator has made known, with what"
            " it may do here and what it is asked for.",
            "**Known caller**: a caller whose AE title, address and, where the node has one,"
            " certificate are those of a node.",
            "**SCU, SCP, SOP, AE, PDU, UID**: as in PS3.1 and PS3.7.",
        )
    )
