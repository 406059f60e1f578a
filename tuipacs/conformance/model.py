"""Sections 4.1 and 4.2.1: the application entity, its flows, and how associations are made."""

from __future__ import annotations

from tuipacs.conformance.facts import Facts
from tuipacs.conformance.markdown import bullets, heading, paragraph, table
from tuipacs.dicom.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from tuipacs.dimse.syntaxes import APPLICATION_CONTEXT


def implementation_model(facts: Facts) -> list[str]:
    """Section 4.1."""
    title = facts.config.dicom.ae_title
    lines = heading("4", "Networking") + heading("4.1", "Implementation model")
    lines += heading("4.1.1", "Application data flow")
    lines += paragraph(
        f"One application entity, {title}, both accepts and requests associations. Remote AEs"
        " verify the connection, store objects, query, retrieve and ask for commitment; people and"
        " routing rules make it send objects, query and retrieve from remote AEs, and ask them"
        " for commitment."
    )
    lines += heading("4.1.2", "Sequencing of real-world activities")
    return lines + bullets(
        (
            "An object is answered with 0x0000 when its bytes and its entry in the index are"
            " durable, and not before. From then on it is found, retrieved and committed.",
            "A study is routed when no object of it has come for a time that can be set.",
            "A job that sends and then commits asks for commitment when the last object was"
            " answered.",
        )
    )


def associations(facts: Facts) -> list[str]:
    """Section 4.2.1.2 to 4.2.1.3: policies."""
    dicom = facts.config.dicom
    lines = heading("4.2.1.2", "Association policies")
    lines += table(
        ("Item", "Value"),
        (
            ("Application context name", APPLICATION_CONTEXT),
            ("Implementation class UID", IMPLEMENTATION_CLASS_UID),
            ("Implementation version name", IMPLEMENTATION_VERSION_NAME),
            ("Maximum PDU size offered", f"{dicom.max_pdu} bytes; a peer's own is honoured"),
            ("Associations accepted at once", dicom.max_associations),
            ("... of one calling AE title", dicom.max_associations_per_ae),
            ("... of one IP address", dicom.max_associations_per_address),
            (
                "Associations requested at once",
                "of jobs: one for each node unless the node has another number; besides those of"
                " queries and tests",
            ),
            ("Asynchronous operations window", "not negotiated: one operation at a time"),
            ("SCP/SCU role selection", "for C-GET and storage commitment (PS3.7 D.3.3.4)"),
            ("SOP class extended negotiation", "relational queries and retrieval (PS3.4 C.5)"),
            ("User identity negotiation", "types 1 and 2, over TLS only (PS3.7 D.3.3.7)"),
        ),
    )
    lines += heading("4.2.1.3", "Association acceptance policy")
    lines += paragraph(
        "An association of a known caller is accepted for the services that the node may use."
        f" Unknown callers: {_strangers(dicom.unknown_callers)}."
    )
    return lines + table(
        ("Result", "Source", "Reason", "When"),
        (
            (1, 1, 1, "the user identity is refused; with result 2 while wrong ones are delayed"),
            (1, 1, 2, "another application context name"),
            (1, 1, 3, "the calling AE title, its address or its certificate is not known"),
            (1, 1, 7, _called(dicom.check_called_ae)),
            (1, 2, 2, "another protocol version"),
            (2, 3, 1, "the table of nodes cannot be read"),
            (2, 3, 2, "a limit of associations is reached"),
        ),
    )


def _strangers(setting: str) -> str:
    return {
        "echo": "Verification only",
        "store": "Verification and Storage",
        "refuse": "refused",
    }[setting]


def _called(checked: bool) -> str:
    if checked:
        return "the called AE title is not this archive's"
    return "never: the called AE title is not checked here"


def network_and_configuration(facts: Facts) -> list[str]:
    """Sections 4.3 and 4.4."""
    dicom, tls = facts.config.dicom, facts.config.tls
    lines = heading("4.3", "Network interfaces")
    lines += paragraph("TCP/IP, versions 4 and 6, over any interface of the operating system.")
    lines += heading("4.4", "Configuration")
    lines += heading("4.4.1", "AE title and presentation address")
    plain = "closed" if tls.only and tls.certificate else str(dicom.port)
    lines += table(
        ("Item", "Value"),
        (
            ("AE title", dicom.ae_title),
            ("Address listened on", dicom.host),
            ("TCP port", plain),
            ("TCP port for TLS", tls.port if tls.certificate else "closed: TLS is off"),
        ),
    )
    lines += paragraph(
        "Remote AEs are the archive's data: AE title, address, port, TLS and certificate, services"
        " in each direction, character set, preferred transfer syntaxes and limits"
        " (`tuipacs node`, docs/nodes.md)."
    )
    lines += heading("4.4.2", "Parameters")
    return lines + table(
        ("Parameter", "Configurable", "Value"),
        (
            ("Time for the association request", "yes", f"{dicom.acse_timeout} s"),
            ("Time for a PDU, and for an answer to be taken", "yes", f"{dicom.dimse_timeout} s"),
            ("Time between messages", "yes", f"{dicom.idle_timeout} s"),
            ("Time to connect, as a requestor", "for each node", "10 s"),
            ("Time for the answer to an association request", "for each node", "30 s"),
            ("Time for the answer to a DIMSE request", "for each node", "60 s"),
        ),
    )
