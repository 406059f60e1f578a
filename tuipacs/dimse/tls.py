"""TLS as PS3.15 B.12 and BCP 195 (RFC 9325) have it: contexts, their renewal, the handshake.

TLS 1.2 and 1.3; ephemeral elliptic curve keys and AEAD ciphers only; no compression, no
renegotiation. No session is resumed: an association lasts long, and a certificate that was taken
out of the list of trusted ones must not come back by a ticket.
"""

from __future__ import annotations

import logging
import math
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tuipacs.certificates.checking import PATHS_BEGIN, WARN_SECONDS, TlsFiles, own_faults
from tuipacs.certificates.files import key_file_fault
from tuipacs.certificates.reading import (
    CertificateFacts,
    facts_of,
    read_certificates,
    read_private_key,
)
from tuipacs.config import TlsSettings
from tuipacs.domain.fingerprint import fingerprint
from tuipacs.domain.safe_text import clean
from tuipacs.errors import ConfigError, NotFoundError, TuipacsError

log = logging.getLogger(__name__)

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:@SECLEVEL=2"  # of TLS 1.2; those of 1.3 are all AEAD
CLIENT_HELLO = 0x16  # the first byte of what a TLS client says (RFC 8446 5.1)
_IGNORE_EOF = getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)  # of OpenSSL 3
_DAY = 86400
_LOOK_AGAIN = 60.0  # seconds, at files whose time has not come or has gone
MAX_SESSIONS = 256  # OpenSSL keeps those of TLS 1.2 unasked, 12 kB each; then a new context begins

_HANDSHAKE_WORDS = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "sent no certificate, and one is required",
    "NO_SHARED_CIPHER": "offers no cipher suite that is allowed here (ECDHE with AES-GCM or"
    " ChaCha20)",
    "UNSUPPORTED_PROTOCOL": "speaks no TLS 1.2 or 1.3",
    "NO_PROTOCOLS_AVAILABLE": "speaks no TLS 1.2 or 1.3",
    "VERSION_TOO_LOW": "speaks no TLS 1.2 or 1.3",
    "WRONG_VERSION_NUMBER": "sent no TLS on the TLS port",
    "HTTP_REQUEST": "sent HTTP on the TLS port",
    "TLSV1_ALERT_UNKNOWN_CA": "does not trust the issuer of this archive's certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "does not accept this archive's certificate",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "does not accept this archive's certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "says that this archive's certificate has expired",
    "UNEXPECTED_EOF_WHILE_READING": "went away inside the TLS handshake",
}


class HandshakeError(Exception):
    """The peer is not let in by TLS; ``words`` say why, fit for screen and log."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


@dataclass(frozen=True)
class TlsState:
    """What is in use. Times in seconds since the epoch; ``problem`` of files that are not taken."""

    facts: CertificateFacts
    problem: str = ""


def files_of(settings: TlsSettings, root: Path) -> TlsFiles | None:
    """The files that the settings name, seen from the archive's folder; None: TLS is off."""
    if not settings.certificate:
        return None
    ca = root / Path(settings.ca).expanduser() if settings.ca else None
    return TlsFiles(
        certificate=root / Path(settings.certificate).expanduser(),
        key=root / Path(settings.key).expanduser(),
        ca=ca,
    )


def server_context(files: TlsFiles, *, require_certificate: bool = True) -> ssl.SSLContext:
    """For the listener; with ``files.ca`` callers are asked for a certificate.

    Raises `ConfigError` with a remedy, or what reading the files raises.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_SINGLE_ECDH_USE
    context.num_tickets = 0
    try:
        _load_own(context, files.certificate, files.key)
        if files.ca is not None:
            _load_trusted(context, files.ca)
    except NotFoundError as error:
        raise NotFoundError(error.message, remedy=PATHS_BEGIN) from None
    if files.ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED if require_certificate else ssl.CERT_OPTIONAL
    elif require_certificate:
        raise ConfigError(
            "callers have to show a certificate, and tls.ca names none that could be trusted",
            remedy="set tls.ca, or tls.require_client_certificate = false",
        )
    return context


def client_context(
    ca: Path, *, certificate: Path | None = None, key: Path | None = None, check_host: bool = False
) -> ssl.SSLContext:
    """For calling a node: its certificate must come from ``ca``; ours is shown if it asks.

    Nodes are addressed by IP, and their certificates often name neither that nor a host: who is
    there is proven by the authority of the site, and by the node's own hash (`check_pin`). With
    ``check_host`` the certificate has to name the host as well: needed where an authority of the
    public is trusted. Raises as `server_context`.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = check_host
    _load_trusted(context, ca)
    if certificate is not None and key is not None:
        _load_own(context, certificate, key)
    return context


def check_pin(connection: ssl.SSLSocket, certificate_sha256: str) -> None:
    """Raise `HandshakeError` unless the peer's certificate is the one that the node has.

    Empty: any that was trusted. To be asked after the handshake and before the first byte.
    """
    shown = peer_fingerprint(connection)
    if certificate_sha256 and shown != certificate_sha256:
        raise HandshakeError(f"showed another certificate than the node's own (SHA-256 {shown})")


def peer_fingerprint(connection: ssl.SSLSocket) -> str:
    """SHA-256 of the certificate that the peer has proven to hold; empty if it showed none."""
    der = connection.getpeercert(binary_form=True)
    return fingerprint(der) if der else ""


def _context(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
    # A half-closed connection still takes our last PDU. That a message or an association was cut
    # short is seen by its own end: the last fragment, the release.
    context.options |= _IGNORE_EOF
    return context


def _load_own(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    fault = key_file_fault(key)
    if fault:
        raise ConfigError(fault, remedy=f"chmod 600 {key}")
    read_certificates(certificate)  # says in words what OpenSSL says in numbers
    read_private_key(key)
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            words = f"{key} is not the key of {certificate}"
        else:
            words = f"{certificate} cannot be used (PEM is needed): {_reason(error)}"
        raise ConfigError(words, remedy="what is wrong, part by part: tuipacs tls check") from None
    except OSError as error:
        raise ConfigError(f"{certificate}: cannot be read: {error.strerror}") from None


def _no_password() -> str:
    raise ConfigError("the key is protected by a passphrase, which a daemon cannot give")


def _load_trusted(context: ssl.SSLContext, ca: Path) -> None:
    read_certificates(ca)
    try:
        context.load_verify_locations(cafile=ca)
    except OSError as error:
        raise ConfigError(f"{ca} cannot be used: {error}") from None
    # One node's own certificate in that file is trusted for itself, whoever issued it.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN


class ServerTls:
    """The listener's context, made anew when one of its files is another. Thread-safe.

    Files that cannot be used, or are worse than those in use (expired, not valid yet, not for
    servers), leave the context as it is, and are told in the log (once) and in `state`.
    At the start `server_context` may raise, and a certificate that no server may show is a
    `ConfigError`; one whose time has gone or not come is used, and told.
    """

    def __init__(
        self,
        files: TlsFiles,
        *,
        require_certificate: bool = True,
        max_sessions: int = MAX_SESSIONS,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._max_sessions = max_sessions
        self.on_distrust: Callable[[], None] = lambda: None  # called when others are trusted
        self._reminded_on = 0  # day since the epoch
        self._files = files
        self._require = require_certificate
        self._now = now
        self._look_again = math.inf  # when, though no file changed
        self._lock = threading.Lock()
        self._seen = self._look()
        self._context, self._state = self._read(in_use=None)
        self._trust = self._look_at_trust()  # once it is known to be a plain file of a fair size
        if self._state.problem:
            log.error("%s", clean(self._state.problem))
        self._remind()

    @property
    def state(self) -> TlsState:
        """What is in use now."""
        return self._state

    def context(self) -> ssl.SSLContext:
        """For the next handshake."""
        self.refresh()
        with self._lock:
            return self._context

    def refresh(self) -> None:
        """Look at the files; take them if they are others than before."""
        if self._refresh():
            self.on_distrust()

    def _refresh(self) -> bool:
        """True if others are trusted than before."""
        with self._lock:
            self._remind()
            seen = self._look()
            crowded = self._context.session_stats()["number"] > self._max_sessions
            if seen == self._seen and not crowded and self._now() < self._look_again:
                return False
            changed, self._seen = seen != self._seen, seen
            before = self._state
            try:
                self._context, self._state = self._read(in_use=before.facts)
            except TuipacsError as error:
                words = f"the new TLS files are not used: {error.message}"
                self._state = TlsState(before.facts, words)
                if self._state != before:
                    log.error("%s (the ones before stay in use)", clean(words))
                return False
            if changed or self._state != before:
                facts = self._state.facts
                day = time.strftime("%Y-%m-%d", time.gmtime(facts.not_after))
                log.info("TLS files read again: certificate %s until %s", facts.sha256[:12], day)
            trusted_before, self._trust = self._trust, self._look_at_trust()
            return self._trust != trusted_before

    def _read(self, in_use: CertificateFacts | None) -> tuple[ssl.SSLContext, TlsState]:
        """The files as they are now; raises if callers are better off with what is in use."""
        self._look_again = math.inf
        context = server_context(self._files, require_certificate=self._require)
        facts = facts_of(read_certificates(self._files.certificate)[0])
        now = self._now()
        faults = own_faults(self._files, now)
        if any(fault.passes for fault in faults):
            self._look_again = now + _LOOK_AGAIN
        is_better = in_use is not None and in_use.not_before <= now < in_use.not_after
        for fault in faults:
            if is_better or not fault.passes:
                raise ConfigError(fault.words, remedy=fault.remedy)
        return context, TlsState(facts, faults[0].words if faults else "")

    def _remind(self) -> None:
        """Once a day in the log, from 30 days before the certificate expires."""
        now = self._now()
        left, today = self._state.facts.not_after - now, int(now // _DAY)
        if left < WARN_SECONDS and today != self._reminded_on:
            self._reminded_on = today
            words = f"expires in {int(left // _DAY)} days" if left > 0 else "HAS EXPIRED"
            log.warning("this archive's TLS certificate %s", words)

    def _look(self) -> tuple[tuple[int, ...], ...]:
        return tuple(
            _signature(path)
            for path in (self._files.certificate, self._files.key, self._files.ca)
            if path is not None
        )

    def _look_at_trust(self) -> bytes:
        """The list itself: a file that was touched, or written again as it was, ends nothing."""
        try:
            return self._files.ca.read_bytes() if self._files.ca is not None else b""
        except OSError:
            return b""


def _signature(path: Path) -> tuple[int, ...]:
    try:
        found = os.stat(path)  # noqa: PTH116 - once a connection, and without an object
    except OSError:
        return ()
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode)


def wrap(plain: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
    """Put TLS over an accepted connection, without a handshake yet: this never waits.

    Raises `OSError` for a connection that is gone.
    """
    plain.getpeername()  # raises for it; `wrap_socket` would leave a socket open then
    return context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)


def shake_hands(connection: ssl.SSLSocket, timeout: float) -> str:
    """The handshake, in at most ``timeout`` seconds in all; the peer's `peer_fingerprint`.

    Raises `HandshakeError`, `TimeoutError`, and `OSError` for a connection that is gone.
    """
    try:
        connection.settimeout(timeout)
        connection.do_handshake()
        return peer_fingerprint(connection)
    except ssl.SSLError as error:
        raise HandshakeError(handshake_words(error)) from None


def handshake_words(error: ssl.SSLError) -> str:
    """What went wrong, as "the peer ..." goes on."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"showed a certificate that is not accepted: {clean(error.verify_message, limit=80)}"
    if isinstance(error, ssl.SSLEOFError):
        return "went away inside the TLS handshake"
    known = _HANDSHAKE_WORDS.get(error.reason or "")
    return known or f"failed in the TLS handshake: {_reason(error)}"


def _reason(error: ssl.SSLError) -> str:
    return clean((error.reason or "unknown error").replace("_", " ").lower(), limit=80)
