"""DICOM user identity (PS3.7 D.3.3.7) against the accounts of this archive."""

from __future__ import annotations

from tuipacs.dimse.contract import PASSCODE, Caller, IdentityClaim
from tuipacs.domain.actor import Origin
from tuipacs.domain.admission import Admission
from tuipacs.domain.clock import Clock
from tuipacs.domain.safe_text import clean
from tuipacs.errors import AuthenticationError
from tuipacs.index import audit, users
from tuipacs.index.database import Index
from tuipacs.index.users import Account
from tuipacs.services.authentication import Authentication
from tuipacs.services.guard import Service, before_login

_OPERATION = "identities.verify"
_REFUSED = "user or password is wrong, or the account is disabled"


class Identities(Service):
    """Says which account stands behind a peer; every outcome is in the audit log (110114).

    The account lends no right to the node: it is named beside it. A wrong passcode slows down
    further ones from this address, and no login of a person.
    """

    def __init__(self, index: Index, clock: Clock, authentication: Authentication) -> None:
        super().__init__(index, clock)
        self._authentication = authentication

    @before_login("a peer proves a user's name; no right comes from it")
    def verify(self, claim: IdentityClaim, caller: Caller, admission: Admission) -> str:
        """The account's name. ``claim`` of type 1 or 2, from a known node over TLS.

        A name alone (type 1) is taken from a node whose own certificate has proven it. Raises
        `AuthenticationError` (never saying which part was wrong), `ThrottledError` and, when too
        many are checked at once, `UnavailableError`.
        """
        origin = Origin(address=caller.address)
        name = _text(claim.primary).strip("\0 ")
        if claim.kind == PASSCODE:
            account = self._authentication.check_peer(
                name, _text(claim.secondary), origin, _OPERATION
            )
        elif admission.by_certificate:
            account = self._vouched(name, origin)
        else:
            raise AuthenticationError(_REFUSED)
        node = clean(caller.calling_ae_title, limit=40)
        how = "name and passcode" if claim.kind == PASSCODE else "name, vouched for by the node"
        record = self._authentication.record(
            account.name,
            origin,
            _OPERATION,
            role=account.role.value,
            detail=f"user identity from node {node}: {how}",
        )
        with self._index.write() as tx:
            if not users.same_login(users.account(tx, account.name), account):
                raise AuthenticationError("the account was changed meanwhile")
            if claim.kind == PASSCODE:
                users.update_user(tx, account.key, last_login_at=self._clock())
            audit.append(tx, record)
        return account.name

    def _vouched(self, name: str, origin: Origin) -> Account:
        with self._index.read() as reader:
            account = users.account(reader, name)
        if account is None or account.disabled:
            known = account.name if account else "(unknown account)"
            self._authentication.refused(known, origin, _OPERATION, "no such account, or disabled")
            raise AuthenticationError(_REFUSED)
        return account


def _text(data: bytes) -> str:
    """UTF-8 (PS3.7 Table D.3-14). What is none matches no account, in the same time."""
    return data.decode("utf-8", "replace")
