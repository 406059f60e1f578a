"""What helps when a node does not answer as it should."""

from __future__ import annotations

import re
import shlex

from tuipacs.dimse.requestor.faults import Failure
from tuipacs.domain.node import NodeRecord
from tuipacs.domain.node_words import endpoint

_REJECTION = re.compile(r"\(result (\d+), source (\d+), reason (\d+)\)")


def remedy_for(failure: Failure, words: str, node: NodeRecord, ours: str) -> str:
    """What one can do about an association that did not come about.

    ``words``: how it failed; ``ours``: the AE title that we called with.
    """
    if failure in (Failure.REJECTED, Failure.BUSY):
        return _rejected(words, node, ours)
    return _REMEDIES.get(failure, _nothing)(words, node)


def _rejected(words: str, node: NodeRecord, ours: str) -> str:
    found = _REJECTION.search(words)
    result, source, reason = (int(n) for n in found.groups()) if found else (0, 0, 0)
    if (source, reason) == (1, 7):
        return (
            f"over there it is not called {node.ae_title}: look up its AE title, capitals count,"
            f" then {_edit(node, '--title TITLE')}"
        )
    if (source, reason) == (1, 3):
        return (
            f"make this archive known over there: AE title {ours}, and this machine's address;"
            f" or call it as one it knows: {_edit(node, '--calling-title TITLE')}"
        )
    if result == 2:
        return "it is busy: try again later, or have it allow more associations"
    return (
        f"it does not say why; often it does not know AE title {ours} from this address, or is not"
        f" called {node.ae_title}: its own log says"
    )


def _connection(words: str, node: NodeRecord) -> str:
    where = endpoint(node.call)
    if "refused" in words:
        return f"does its DICOM service run, and on port {node.call.port}? Ping answers do not say"
    if "did not answer" in words:
        return f"the address is wrong, the machine is off, or a firewall is in between: {where}"
    return f"look at the network, the route and the firewall to {where}"


def _tls(words: str, node: NodeRecord) -> str:
    if "another certificate" in words:
        return (
            "if its certificate was renewed, bind the node to the new one:"
            f" {_edit(node, '--certificate FILE|HASH')}; if not, somebody else answers there"
        )
    if "expired" in words and "this archive" not in words:
        return "its certificate has to be renewed over there; look at the clocks of both as well"
    if "is not accepted" in words:
        return "the authority that issued its certificate has to be in the file of tls.ca"
    if "this archive" in words:
        return "over there this archive's authority has to be trusted; look: tuipacs tls check"
    if "speak TLS" in words or "no TLS" in words:
        return f"give its TLS port, or call it in clear: {_edit(node, '--no-tls')}"
    return "tuipacs tls check looks at our certificate; the log over there says its side"


def _protocol(words: str, node: NodeRecord) -> str:
    if "wants TLS" in words:
        return f"call it over TLS: {_edit(node, '--tls')}"
    if "HTTP" in words or "SSH" in words:
        return f"another service listens on port {node.call.port}: give its DICOM port"
    return "what listens there breaks the DICOM protocol: is it the right port?"


def _name(words: str, node: NodeRecord) -> str:
    return f"ask the name server: getent hosts {node.call.host}; or give the IP address"


def _no_context(words: str, node: NodeRecord) -> str:
    return "what it is asked for is not set up over there, or not for this archive's AE title"


def _gone(words: str, node: NodeRecord) -> str:
    return "it let the connection in and then went: its own log says why; is it the DICOM port?"


def _slow(words: str, node: NodeRecord) -> str:
    return "something listens there and says nothing: is it the DICOM port, and does it need TLS?"


def _nothing(words: str, node: NodeRecord) -> str:
    return ""


_REMEDIES = {
    Failure.NAME: _name,
    Failure.CONNECTION: _connection,
    Failure.TLS: _tls,
    Failure.NO_CONTEXT: _no_context,
    Failure.PROTOCOL: _protocol,
    Failure.ABORTED: _gone,
    Failure.LOST: _gone,
    Failure.RELEASED: _gone,
    Failure.TIMEOUT: _slow,
}


def _edit(node: NodeRecord, option: str) -> str:
    return f"tuipacs node edit {shlex.quote(node.ae_title)} {option}"
