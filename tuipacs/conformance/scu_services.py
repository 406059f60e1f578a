"""Section 4.2.1.5: the services that this archive uses, and how it takes their answers."""

from __future__ import annotations

from tuipacs.conformance.facts import Facts, named, syntaxes
from tuipacs.conformance.markdown import bullets, heading, paragraph, table
from tuipacs.dimse.syntaxes import (
    STORAGE_COMMITMENT,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    VERIFICATION,
    is_identifier_syntax,
)
from tuipacs.domain.store_status import is_final


def used(facts: Facts) -> list[str]:
    """Section 4.2.1.5."""
    lines = heading("4.2.1.5", "Services used")
    lines += paragraph(
        "An association is requested when a person, a command, a job or a routing rule needs one,"
        " and only with nodes that are set up for the service. It is released after its requests;"
        " a job opens one for all its objects, or one after the other if they need more than 128"
        " presentation contexts, or one broke off. What failed for want of a connection or of the"
        " peer's resources is tried again, after 30 seconds, doubling to 10 minutes, 10 times."
    )
    classes = (VERIFICATION, STUDY_ROOT_FIND, STUDY_ROOT_MOVE, STUDY_ROOT_GET, STORAGE_COMMITMENT)
    lines += table(
        ("Abstract syntax", "UID", "Role"),
        [(name, uid, _role(uid)) for name, uid in named(classes)]
        + [("Storage: classes of the objects to be sent", "Annex 8.1", "SCU; SCP within C-GET")],
    )
    lines += table(("Transfer syntax of identifiers", "UID"), named(_identifier_syntaxes()))
    lines += heading("4.2.1.5.1", "Storage")
    lines += bullets(
        (
            "Each SOP class is proposed in the transfer syntax in which its objects are stored; as"
            " a fallback the preferred syntaxes of the node, Explicit and Implicit VR Little"
            " Endian. An object is converted (Annex 8.4) only if the peer does not take it as it"
            " is stored.",
            "0x0000: done. 0xB000 to 0xBFFF, 0x0001, 0x0107, 0x0116: done, with the warning in the"
            f" job's log. {_final()}: failed for good, with the status and the peer's comment in"
            " the job's log. All others, 0xA7xx among them: tried again later.",
            "The priority of a job is the priority of its requests.",
        )
    )
    lines += heading("4.2.1.5.2", "Query and retrieve")
    lines += bullets(
        (
            "Matches that are not of the level or the study that was asked for are dropped, and"
            " told.",
            "What has come is what the index then holds: a peer's counts are shown, not trusted.",
            "C-GET takes the objects that were asked for and refuses others.",
        )
    )
    lines += heading("4.2.1.5.3", "Storage commitment")
    return lines + bullets(
        (
            "The report is awaited on an association that the peer opens as SCP, or on the one of"
            " the request.",
            "An object is shown as committed if a report of the node that was asked, for the"
            " transaction, names it among the successful ones, and none has refused it since it"
            " was asked. A peer whose AE title, host, port or certificate changed is another one.",
            "A report of event type 1 with failed objects, or of event type 2 without any, is"
            " refused with 0x0115.",
        )
    )


def _final() -> str:
    """The statuses after which an object is not tried again: "0x0105, 0xC000-0xCFFF"."""
    final = [status for status in range(0x10000) if is_final(status)]
    parts, start = [], 0
    for at, status in enumerate(final):
        if at + 1 == len(final) or final[at + 1] != status + 1:
            first = final[start]
            parts.append(f"0x{first:04X}" + ("" if first == status else f"-0x{status:04X}"))
            start = at + 1
    return ", ".join(parts)


def _role(uid: str) -> str:
    return "SCU; SCP for its own reports" if uid == STORAGE_COMMITMENT else "SCU"


def _identifier_syntaxes() -> list[str]:
    little = [uid for uid in syntaxes(is_identifier_syntax) if not uid.endswith(".2.2")]
    return sorted(little, reverse=True)
