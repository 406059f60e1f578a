"""Sections 5 to 7: media, character sets, security."""

from __future__ import annotations

from tuipacs.conformance.facts import Facts
from tuipacs.conformance.markdown import bullets, heading, paragraph, table
from tuipacs.dicom.charset import supported_terms


def media(facts: Facts) -> list[str]:
    """Section 5."""
    return heading("5", "Media interchange") + paragraph(
        "Not claimed. Files of PS3.10, folders, ZIP files and media with a DICOMDIR can be"
        " imported (`tuipacs import`), and objects be exported as files (`tuipacs export`)."
    )


def character_sets(facts: Facts) -> list[str]:
    """Section 6."""
    lines = heading("6", "Support of character sets")
    lines += table(("Defined term", "Code extensions"), supported_terms())
    return lines + bullets(
        (
            "Stored objects keep their character set and their bytes.",
            "A query is read in the character set that it names. If it names none, in that of the"
            " node's settings, else ISO_IR 6.",
            "Answers are in the character set of the query if that can say all of it and can be"
            " written here (ISO_IR 13 alone cannot), else in ISO_IR 192.",
            "On a terminal a character that it cannot show stands as a replacement.",
        )
    )


def security(facts: Facts) -> list[str]:
    """Section 7."""
    tls = facts.config.tls
    lines = heading("7", "Security")
    lines += heading("7.1", "Secure transport connection")
    state = "on" if tls.certificate else "off in these settings"
    lines += paragraph(
        f"BCP 195 RFC 8996/9325 TLS Secure Transport Connection Profile (PS3.15 B.12), {state}:"
        " TLS 1.2 and 1.3, ECDHE with AEAD ciphers. Certificates of callers are"
        f" {'required' if tls.require_client_certificate else 'verified if shown'}; a node can be"
        " bound to its own certificate."
    )
    lines += heading("7.2", "Identification of users and nodes")
    lines += bullets(
        (
            "Calling AE title, address and certificate decide what a caller may do.",
            "User identity negotiation, types 1 and 2, over TLS; other types are not supported.",
        )
    )
    lines += heading("7.3", "Audit trail")
    return lines + paragraph(
        "Every use of the archive is recorded with the event names and codes of PS3.15 A.5 in an"
        " append-only log whose records are chained by hash. Records are not sent to a repository"
        " by syslog."
    )
