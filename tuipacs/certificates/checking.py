"""Does a set of TLS files fit together? Everything that a person would have to look up is said."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from tuipacs.certificates.files import key_file_fault
from tuipacs.certificates.reading import (
    CertificateFacts,
    facts_of,
    read_certificates,
    read_private_key,
)
from tuipacs.domain.system import CERTIFICATE_WARNING_DAYS
from tuipacs.domain.verdict import Verdict
from tuipacs.errors import NotFoundError, TuipacsError

WARN_SECONDS = CERTIFICATE_WARNING_DAYS * 86400.0
_LEAST_RSA = 2048
_WEAK_HASHES = ("md5", "sha1")
PATHS_BEGIN = "a path in [tls] that does not begin with / begins in the archive's folder"
_PAIR = "name in [tls] a NAME.crt and the NAME.key that was made with it"
_ISSUE = "issue another: tuipacs tls certificate NAME --host HOST, or ask your authority for one"


@dataclass(frozen=True)
class CertificateFinding:
    """One line: which part, how it is, in words, and what to do."""

    part: str  # "certificate", "key", "ca"
    verdict: Verdict
    words: str
    remedy: str = ""
    passes: bool = False  # it comes or goes with the clock alone


@dataclass(frozen=True)
class TlsFiles:
    """The files of the settings, as absolute paths. ``ca`` None: no certificate is asked for."""

    certificate: Path
    key: Path
    ca: Path | None


def expiry_finding(
    part: str, facts: CertificateFacts, now: float, *, remedy: str
) -> CertificateFinding:
    """Whether a certificate is valid now, and for how long."""
    who = f"{facts.subject}, SHA-256 {facts.sha256}"
    day = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(facts.not_after))
    left = facts.not_after - now
    if now < facts.not_before:
        begins = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(facts.not_before))
        return CertificateFinding(
            part,
            Verdict.FAIL,
            f"{who}: not valid before {begins}",
            "look at this machine's clock: date",
            passes=True,
        )
    if left <= 0:
        return CertificateFinding(part, Verdict.FAIL, f"{who}: expired on {day}", remedy, True)
    if left < WARN_SECONDS:
        words = f"{who}: expires in {int(left // 86400)} days, on {day}"
        return CertificateFinding(part, Verdict.WARN, words, remedy)
    return CertificateFinding(part, Verdict.OK, f"{who}: valid until {day}")


def check_files(files: TlsFiles, now: float) -> Iterator[CertificateFinding]:
    """All findings, in the order in which a person would look. Never raises for a bad file."""
    try:
        chain = read_certificates(files.certificate)
    except TuipacsError as error:
        chain = ()
        yield _unreadable("certificate", error)
    if chain:
        yield from _own(chain, now)
    yield from _key(files.key, chain[0] if chain else None)
    authorities: tuple[x509.Certificate, ...] = ()
    if files.ca is not None:
        try:
            authorities = read_certificates(files.ca)
        except TuipacsError as error:
            yield _unreadable("ca", error)
        else:
            yield from _trusted(authorities, now)
    if chain:
        yield from _chain(chain, authorities)


def _unreadable(part: str, error: TuipacsError) -> CertificateFinding:
    remedy = error.remedy or (PATHS_BEGIN if isinstance(error, NotFoundError) else "")
    return CertificateFinding(part, Verdict.FAIL, error.message, remedy)


def own_faults(files: TlsFiles, now: float) -> list[CertificateFinding]:
    """Why the archive's own certificate and key cannot be shown to callers; none if they can.

    What `check_files` finds about ``ca`` concerns single nodes, and is left out.
    """
    return [
        finding
        for finding in check_files(files, now)
        if finding.verdict is Verdict.FAIL and not finding.part.startswith("ca")
    ]


def _own(chain: tuple[x509.Certificate, ...], now: float) -> Iterator[CertificateFinding]:
    facts = facts_of(chain[0])
    remedy = "issue it again, then replace certificate and key: tuipacs tls renew FILE"
    yield expiry_finding("certificate", facts, now, remedy=remedy)
    for verdict, words, remedy in _faults(facts):
        yield CertificateFinding("certificate", verdict, words, remedy)
    for link in chain[1:]:
        between = facts_of(link)
        finding = expiry_finding("certificate", between, now, remedy="ask its issuer for a new one")
        if finding.verdict is not Verdict.OK:
            yield finding


def _faults(facts: CertificateFacts) -> Iterator[tuple[Verdict, str, str]]:
    if facts.is_ca:
        yield (
            Verdict.WARN,
            "this is an authority's certificate: its key should not lie on a server",
            _ISSUE,
        )
    purposes = facts.purposes
    if purposes and not {"server", "any"} & set(purposes):
        yield (
            Verdict.FAIL,
            "its extended key usage forbids it to be a TLS server's",
            _ISSUE,
        )
    if purposes and not {"client", "any"} & set(purposes):
        yield (
            Verdict.WARN,
            "its extended key usage forbids it to call nodes that ask for a certificate",
            "issue one with clientAuth too",
        )
    if not facts.names:
        yield (
            Verdict.WARN,
            "it names no host and no address: callers that check the name refuse it",
            _ISSUE,
        )
    if not facts.may_sign:
        yield (
            Verdict.FAIL,
            "its key usage lacks digitalSignature, which ECDHE needs",
            _ISSUE,
        )
    if facts.signature in _WEAK_HASHES and not facts.self_issued:
        yield (
            Verdict.FAIL,
            f"it is signed with {facts.signature}, which peers refuse",
            _ISSUE,
        )
    kind, _, bits = facts.key.partition(" ")
    if kind == "RSA" and int(bits) < _LEAST_RSA:
        yield Verdict.FAIL, f"its key of {bits} bits is too short (2048 at least)", _ISSUE


def _key(path: Path, certificate: x509.Certificate | None) -> Iterator[CertificateFinding]:
    try:
        fault = key_file_fault(path)
        if fault:
            yield CertificateFinding("key", Verdict.FAIL, fault, f"chmod 600 {path}")
        key = read_private_key(path)
    except TuipacsError as error:
        yield _unreadable("key", error)
        return
    if certificate is None:
        return
    if key.public_key() != certificate.public_key():
        yield CertificateFinding(
            "key", Verdict.FAIL, f"{path}: is not the key of the certificate", _PAIR
        )
    elif not fault:
        yield CertificateFinding("key", Verdict.OK, f"{path}: belongs to the certificate, private")


def _trusted(authorities: tuple[x509.Certificate, ...], now: float) -> Iterator[CertificateFinding]:
    for certificate in authorities:
        facts = facts_of(certificate)
        part = "ca" if facts.is_ca else "ca (one node's own certificate)"
        yield expiry_finding(part, facts, now, remedy="nodes with its certificates are refused")


def _chain(
    chain: tuple[x509.Certificate, ...], authorities: tuple[x509.Certificate, ...]
) -> Iterator[CertificateFinding]:
    for link, issuer in pairwise(chain):
        if not _issued_by(link, issuer):
            yield CertificateFinding(
                "chain",
                Verdict.FAIL,
                f"{facts_of(link).subject} is not signed by the next certificate of the file",
                "first the archive's own, then each one's issuer",
            )
            return
    last = chain[-1]
    facts = facts_of(last)
    if any(_issued_by(last, authority) for authority in authorities):
        yield CertificateFinding("chain", Verdict.OK, f"ends at {facts.issuer}, which is in tls.ca")
    elif facts.self_issued:
        yield CertificateFinding(
            "chain", Verdict.OK, "self-signed: each peer has to trust it by name"
        )
    else:
        yield CertificateFinding(
            "chain", Verdict.OK, f"ends at {facts.issuer}: peers have to trust that authority"
        )


def _issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True
