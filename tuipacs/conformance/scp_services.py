"""Sections 4.2.1.4: the services that this archive provides."""

from __future__ import annotations

from tuipacs.conformance.facts import Facts, named
from tuipacs.conformance.markdown import bullets, heading, paragraph, table
from tuipacs.conformance.statuses import (
    COMMIT_FAILURES,
    FIND,
    GET,
    MOVE,
    N_ACTION,
    N_EVENT_REPORT,
    STORE,
    VERIFY,
)
from tuipacs.dimse.messages import (
    C_ECHO_RQ,
    C_FIND_RQ,
    C_GET_RQ,
    C_MOVE_RQ,
    N_ACTION_RQ,
)
from tuipacs.domain.find import KEYS, LEVEL_WORDS

_STATUS = ("Status", "Meaning", "When")


def provided(facts: Facts) -> list[str]:
    """Section 4.2.1.4, a part for each service."""
    return (
        heading("4.2.1.4", "Services provided")
        + _echo(facts)
        + _store(facts)
        + _find(facts)
        + _retrieve(facts)
        + _commit(facts)
    )


def _contexts(facts: Facts, command_field: int) -> list[str]:
    rows = [(name, uid, "SCP", "as below") for name, uid in named(facts.classes_of(command_field))]
    lines = table(("Abstract syntax", "UID", "Role", "Transfer syntaxes"), rows)
    return lines + table(("Transfer syntax", "UID"), named(facts.syntaxes_of(command_field)))


def _echo(facts: Facts) -> list[str]:
    lines = heading("4.2.1.4.1", "Verification")
    return lines + _contexts(facts, C_ECHO_RQ) + table(_STATUS, VERIFY)


def _store(facts: Facts) -> list[str]:
    refused = facts.config.dicom.refuse_sop_classes
    lines = heading("4.2.1.4.2", "Storage")
    lines += paragraph(
        "Level 2 (full) conformance (PS3.4 B.4.1): all attributes are kept, private ones too, in"
        " the bytes and the transfer syntax in which they came; nothing is coerced. Besides the"
        " classes of Annex 8.1 every private one is accepted, and every transfer syntax, also"
        " those that this program cannot decode. The transfer syntax taken is the first of the"
        " requestor's list."
    )
    if refused:
        lines += paragraph("Refused by a setting: " + ", ".join(refused) + ".")
    lines += bullets(
        (
            "An object that is here already with the same bytes: 0x0000, and nothing is written.",
            "An object with the SOP Instance UID of another one: 0x0000; both are kept, and the"
            " study is marked. Queries and retrieval give the first.",
            "Digital signatures are kept, not verified and not made.",
        )
    )
    return lines + table(_STATUS, STORE)


def _find(facts: Facts) -> list[str]:
    lines = heading("4.2.1.4.3", "Query")
    lines += _contexts(facts, C_FIND_RQ)
    lines += paragraph(
        "Hierarchical queries; relational ones where they were negotiated. Matching is by the rules"
        " of PS3.4 C.2.2.2, each of which docs/queries.md explains. Person names match without"
        " regard to case and accents, all other texts with it. Matches that come while C-CANCEL"
        " is on its way may still be sent."
    )
    lines += table(
        ("Key", "Tag", "VR", "Level"),
        (
            (key.keyword, f"({key.tag >> 16:04X},{key.tag & 0xFFFF:04X})", key.vr,
             LEVEL_WORDS[key.level])
            for key in sorted(KEYS, key=lambda key: (list(LEVEL_WORDS).index(key.level), key.tag))
        ),
    )  # fmt: skip
    limit = facts.config.dicom.max_find_results
    lines += bullets(
        (
            "At the level IMAGE any other standard attribute is read from the stored object:"
            " returned and matched, but for private ones and those of VR OB, OD, OF, OL, OV, OW and"
            " UN. At SERIES, Request Attributes Sequence (0040,0275) as well.",
            "Answers to one query: "
            + (f"{limit:,} at most" if limit else "as many as match")
            + ", or the limit of the node.",
            "Extended negotiation (PS3.4 C.5.1.1): relational queries yes; combined date-time"
            " matching, fuzzy matching of names, time zone adjustment, enhanced multi-frame"
            " conversion no.",
        )
    )
    lines += paragraph(
        "In the Study Root model the keys of the patient belong to the level STUDY. Besides: "
        "QueryRetrieveLevel, RetrieveAETitle, InstanceAvailability (ONLINE), SpecificCharacterSet."
    )
    return lines + table(_STATUS, FIND)


def _retrieve(facts: Facts) -> list[str]:
    lines = heading("4.2.1.4.4", "Retrieve")
    lines += _contexts(facts, C_MOVE_RQ)
    lines += _contexts(facts, C_GET_RQ)
    lines += bullets(
        (
            "A C-MOVE goes to nodes that are known, and that this archive may send to.",
            "Proposed are the SOP classes of the objects in the transfer syntaxes in which they are"
            " stored, and uncompressed ones to fall back to, over several associations if there"
            " are more than 128 presentation contexts.",
            "An object is converted (Annex 8.4) if the peer does not take it as it is stored.",
            "In C-GET one transfer syntax is chosen of those in a context: what is stored of the"
            " class if that is one of them; of several the one that serves most.",
            "Each C-STORE of a C-MOVE names the move originator and its message. The priority of"
            " the request is that of its C-STOREs; this archive itself heeds no priority.",
            "C-GET: a class without the SCP role for the requestor is a failed sub-operation.",
        )
    )
    lines += paragraph("**C-MOVE**") + table(_STATUS, MOVE)
    return lines + paragraph("**C-GET**") + table(_STATUS, GET)


def _commit(facts: Facts) -> list[str]:
    lines = heading("4.2.1.4.5", "Storage commitment")
    lines += _contexts(facts, N_ACTION_RQ)
    lines += paragraph(
        "N-ACTION is answered when the request is durable. Then the bytes of each object are read"
        " and hashed again, and the N-EVENT-REPORT is sent on an association that this archive"
        " opens to the node's address, as SCP of the class (role selection), or on the"
        " requestor's own one if the node is configured so and it is open still. A report that"
        " cannot be delivered is tried again, also after a restart. Commitment stands as long as"
        " the object is in the archive."
    )
    lines += paragraph("**N-ACTION**") + table(_STATUS, N_ACTION)
    lines += paragraph("**Failure reasons in the report**")
    lines += table(("Reason", "Meaning", "When"), COMMIT_FAILURES)
    lines += paragraph("**N-EVENT-REPORT, to requests of this archive**")
    return lines + table(_STATUS, N_EVENT_REPORT)
