"""The connection to a peer that we call: TCP, then TLS if it is asked for, within one deadline."""

from __future__ import annotations

import hashlib
import hmac
import socket
import ssl
import time
from dataclasses import dataclass

from tuipacs.dimse.requestor_faults import AssociationFailedError, Failure
from tuipacs.errors import UsageError


@dataclass(frozen=True)
class TlsSettings:
    """How to speak TLS (PS3.15 B.12).

    The context decides what is trusted; ``certificate_sha256``, of the peer's certificate (DER),
    says which of all that is trusted the peer is. Without it the context has to verify.
    """

    context: ssl.SSLContext
    certificate_sha256: bytes | None = None

    def __post_init__(self) -> None:
        pin = self.certificate_sha256
        if pin is None and self.context.verify_mode != ssl.CERT_REQUIRED:
            raise UsageError("TLS to a peer whose certificate nobody checks")
        if pin is not None and len(pin) != hashlib.sha256().digest_size:
            raise UsageError("a SHA-256 of a certificate has 32 bytes")


def connect(host: str, port: int, timeout: float, tls: TlsSettings | None) -> socket.socket:
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
    sock: socket.socket, host: str, deadline: float, timeout: float, tls: TlsSettings
) -> ssl.SSLSocket:
    sock.settimeout(max(deadline - time.monotonic(), 0.001))
    try:
        secure = tls.context.wrap_socket(sock, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        words = f"has a TLS certificate that is not trusted: {error.verify_message}"
        raise AssociationFailedError(words, Failure.TLS) from error
    except TimeoutError as error:
        words = f"did not finish the TLS handshake within {timeout:g} s"
        raise AssociationFailedError(words, Failure.TLS) from error
    except ssl.SSLError as error:
        words = f"failed the TLS handshake: {tls_words(error)}"
        raise AssociationFailedError(words, Failure.TLS) from error
    except (OSError, ValueError) as error:  # ValueError: a host that cannot be a server name
        words = "ended the connection in the TLS handshake; does it speak TLS on this port?"
        raise AssociationFailedError(words, Failure.TLS) from error
    try:
        _check_pin(secure, tls.certificate_sha256)
    except AssociationFailedError:
        secure.close()
        raise
    return secure


def _check_pin(secure: ssl.SSLSocket, expected: bytes | None) -> None:
    found = hashlib.sha256(secure.getpeercert(binary_form=True) or b"").digest()
    if expected is not None and not hmac.compare_digest(found, expected):
        words = f"has another TLS certificate than expected: its SHA-256 is {found.hex()}"
        raise AssociationFailedError(words, Failure.TLS)


def tls_words(error: ssl.SSLError) -> str:
    """OpenSSL's reason in lower case words: "sslv3 alert bad certificate"."""
    return (error.reason or "no reason given").replace("_", " ").lower()
