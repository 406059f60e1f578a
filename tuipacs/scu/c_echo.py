"""C-ECHO: does that application entity answer? (PS3.4 A)"""

from __future__ import annotations

from pydicom.uid import ImplicitVRLittleEndian

from tuipacs.dimse.syntaxes import VERIFICATION
from tuipacs.scu.requestor import Context, Peer, Response, open_association


def echo(peer: Peer) -> Response:
    """One C-ECHO on an association of its own. Raises `UnavailableError` if none comes about."""
    with open_association(peer, [Context(VERIFICATION, ImplicitVRLittleEndian)]) as association:
        return association.echo()
