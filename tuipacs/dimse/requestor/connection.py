"""The connection to a peer that we call: TCP, then TLS if it is asked for, within one deadline."""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import dataclass

from tuipacs.dimse.requestor.faults import AssociationFailedError, Failure
from tuipacs.dimse.tls import HandshakeError, check_pin, handshake_words
from tuipacs.domain.fingerprint import check_fingerprint
from tuipacs.errors import UsageError

_NO_TLS = "ended the connection in the TLS handshake; does it speak TLS on this port?"


@dataclass(frozen=True)
class PeerTls:
    """How to speak TLS with one peer (PS3.15 B.12).

    The context (`dimse.tls.client_context`) decides what is trusted. ``certificate_sha256``, in 64
    hexadecimal digits, says which of all that is trusted the peer is; empty is any. A context that
    verifies nothing needs it.
    """

    context: ssl.SSLContext
    certificate_sha256: str = ""

    def __post_init__(self) -> None:
        pin = check_fingerprint(self.certificate_sha256)
        if not pin and self.context.verify_mode != ssl.CERT_REQUIRED:
            raise UsageError("TLS to a peer whose certificate nobody checks")


def connect(host: str, port: int, timeout: float, tls: PeerTls | None) -> socket.socket:
    """A connected socket, with TLS done. Raises `AssociationFailedError`.

    The message goes on after the peer's name: "refused the connection". The resolver has its own
    timeouts; ``timeout`` in seconds is for all addresses of the host together, and TLS.
    """
    deadline = time.monotonic() + timeout
    sock = _reach(host, port, deadline, timeout)
    if tls is None:
        return sock
    try:
        return _secure(sock, host, deadline, timeout, tls)
    except BaseException:
        sock.close()
        raise


def _reach(host: str, port: int, deadline: float, timeout: float) -> socket.socket:
    """Connected to the first of the host's addresses that answers."""
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # UnicodeError: no host name can look like this
        raise AssociationFailedError("has a host name without an address", Failure.NAME) from error
    words = "has no address"
    for number, (family, kind, protocol, _, address) in enumerate(addresses):
        sock = socket.socket(family, kind, protocol)
        left = deadline - time.monotonic()
        try:  # each address has its share: the first may be of a network that swallows all
            sock.settimeout(max(left / (len(addresses) - number), 0.001))
            sock.connect(address)
        except TimeoutError:
            sock.close()
            words = f"did not answer the connection within {timeout:g} s"
        except ConnectionRefusedError:
            sock.close()
            words = "refused the connection: nothing listens there"
        except OSError as error:
            sock.close()
            words = f"cannot be reached: {error.strerror or error}"
        else:
            return sock
    raise AssociationFailedError(words, Failure.CONNECTION)


def _secure(
    sock: socket.socket, host: str, deadline: float, timeout: float, tls: PeerTls
) -> ssl.SSLSocket:
    sock.settimeout(max(deadline - time.monotonic(), 0.001))
    try:
        secure = tls.context.wrap_socket(sock, server_hostname=host)
    except TimeoutError as error:
        words = f"did not finish the TLS handshake within {timeout:g} s"
        raise AssociationFailedError(words, Failure.TLS) from error
    except ssl.SSLEOFError as error:
        raise AssociationFailedError(_NO_TLS, Failure.TLS) from error
    except ssl.SSLError as error:
        raise AssociationFailedError(handshake_words(error), Failure.TLS) from error
    except (OSError, ValueError) as error:  # ValueError: a host that cannot be a server name
        raise AssociationFailedError(_NO_TLS, Failure.TLS) from error
    try:
        check_pin(secure, check_fingerprint(tls.certificate_sha256))
    except HandshakeError as error:
        secure.close()
        raise AssociationFailedError(error.words, Failure.TLS) from error
    return secure
