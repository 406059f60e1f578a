"""A node's record in words: all of it, and what changed from one to another."""

from __future__ import annotations

from tuipacs.domain.node import NodeCall, NodeRecord, proof_words
from tuipacs.domain.transfer_syntaxes import NAMES


def id_words(node: NodeRecord) -> str:
    """Who it is, and how it proves it: for the audit log, so nothing is cut."""
    parts = [f"{node.ae_title} {node.address or 'any address'}"]
    if node.certificate_sha256:
        parts.append(f"certificate {node.certificate_sha256}")
    if node.require_tls:
        parts.append("TLS required")
    if node.require_identity:
        parts.append("user identity required")
    return ", ".join(parts)


def added_words(node: NodeRecord) -> str:
    """A new node with its rights: for the audit log."""
    called = call_words(node)
    words = f"node {id_words(node)}: {may_words(node)}"
    return f"{words}; called at {called}" if called else words


def may_words(node: NodeRecord) -> str:
    """What it may do here: "echo, store"."""
    return ", ".join(node.services) or "nothing"


def call_words(node: NodeRecord) -> str:
    """Where it is called, and for what: "10.0.4.9:104 over TLS: echo, send"; empty if never."""
    call = node.call
    if not call.host:
        return ""
    return f"{endpoint(call)}{' over TLS' if call.use_tls else ''}: {', '.join(call.services)}"


def endpoint(call: NodeCall) -> str:
    """``10.0.4.9:104``; an IPv6 address in brackets, as RFC 3986 has it."""
    host = f"[{call.host}]" if ":" in call.host else call.host
    return f"{host}:{call.port}"


def short_proof(node: NodeRecord) -> str:
    """What `proof_words` says, in at most 10 cells: "cert+user"; empty for none."""
    channel = "cert" if node.certificate_sha256 else "TLS" if node.needs_tls else ""
    return f"{channel}+user" if node.require_identity else channel


def line(node: NodeRecord) -> str:
    """A sentence: "CT1 from 10.0.0.1 may echo and store; called at ..."."""
    services = " and ".join(node.services) or "do nothing here"
    words = f"{node.ae_title} from {node.address or 'any address'} may {services}"
    if proof := proof_words(node):
        words += f", by {proof}"
    called = call_words(node)
    return f"{words}; called at {called}" if called else words


def facts(node: NodeRecord) -> tuple[tuple[str, str], ...]:
    """Every field that says something, by a name that people know, in a fixed order."""
    call = node.call
    out = [
        ("AE title", node.ae_title),
        ("description", node.description),
        ("address", node.address or "any"),
        ("may do here", may_words(node)),
        ("proof", proof_words(node) or "title and address"),
        ("certificate", node.certificate_sha256),
        ("character set", node.character_set.replace("\\", " \\ ")),
        ("answers at most", f"{node.max_results}" if node.max_results else ""),
        ("called at", endpoint(call) if call.host else "never"),
        ("lane", "paused" if node.paused else ""),
    ]
    if not call.host:
        return tuple(out)
    return (
        *out,
        ("asked for", ", ".join(call.services)),
        ("called as", call.calling_ae_title),
        ("over TLS", "yes" if call.use_tls else "no"),
        ("prefers", ", ".join(NAMES.get(uid, uid) for uid in call.preferred_syntaxes)),
        ("jobs at once", str(call.max_associations)),
        ("PDU", f"{call.max_pdu} bytes"),
        (
            "timeouts",
            f"connection {call.connect_timeout:g}, association {call.acse_timeout:g},"
            f" answer {call.dimse_timeout:g} s",
        ),
        ("rate", f"{call.kib_per_second} KiB/s" if call.kib_per_second else ""),
        ("window", call.window),
        ("reports", "on the same association" if call.report_on_same_association else ""),
    )


def change_words(before: NodeRecord, after: NodeRecord) -> str:
    """What is different: "address any → 10.0.0.0/24; may do here echo → echo, store"."""
    old, new = dict(facts(before)), dict(facts(after))
    names = dict.fromkeys([*old, *new])
    return "; ".join(
        f"{name} {old.get(name) or '-'} \u2192 {new.get(name) or '-'}"
        for name in names
        if old.get(name, "") != new.get(name, "")
    )
