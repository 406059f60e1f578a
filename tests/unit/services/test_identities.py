"""User identity against accounts: outcomes, the throttle shared with logins, and the log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.services.parts import PASSWORD, PEER, Clock, actor, fast_hasher
from tuipacs.dimse.contract import Caller, IdentityClaim
from tuipacs.domain.actor import Origin
from tuipacs.domain.admission import Admission
from tuipacs.domain.audit import AuditRecord
from tuipacs.domain.permissions import Role
from tuipacs.domain.user import ClientKind
from tuipacs.errors import AuthenticationError, ThrottledError
from tuipacs.index import audit
from tuipacs.index.database import Index
from tuipacs.index.migrations import migrate
from tuipacs.schema.messages import Empty, LoginRequest, UserAddRequest, UserDisableRequest
from tuipacs.services.authentication import Authentication
from tuipacs.services.identities import Identities
from tuipacs.services.sessions import Sessions
from tuipacs.services.users import Users

CALLER = Caller("CT1", "TUIPACS", "192.0.2.1", is_tls=True)
KNOWN = Admission(actor=PEER, known=True, services=frozenset())
BOUND = Admission(actor=PEER, known=True, services=frozenset(), by_certificate=True)


class House:
    """Accounts, logins and identities on one authentication, as an archive has them."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.index = Index(folder / "index.db")
        migrate(self.index)
        hasher = fast_hasher()
        checks = Authentication(self.index, self.clock, hasher)
        self.sessions = Sessions(
            self.index,
            self.clock,
            hasher,
            lock_after=600.0,
            command_seconds=3600.0,
            authentication=checks,
        )
        self.users = Users(self.index, self.clock, hasher, self.sessions)
        self.identities = Identities(self.index, self.clock, checks)
        self.users.add(
            actor(Role.ADMIN), UserAddRequest(name="Ada", role=Role.VIEWER, password=PASSWORD)
        )

    def prove(self, user: str, passcode: str, caller: Caller = CALLER) -> str:
        claim = IdentityClaim(2, user.encode(), passcode.encode())
        return self.identities.verify(claim, caller, KNOWN)

    def disable(self) -> None:
        self.users.set_disabled(actor(Role.ADMIN), UserDisableRequest(name="Ada", disabled=True))

    def records(self) -> list[AuditRecord]:
        """Newest first, those of identities."""
        with self.index.read() as reader:
            return audit.page(reader, ("identities.verify",), 0, 100)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.index.close()


def test_a_name_and_its_passcode_name_the_account_and_both_are_in_the_log(house: House) -> None:
    assert house.prove("ada", PASSWORD) == "Ada"
    (record,) = house.records()
    assert (record.event_code, record.outcome.value) == ("110114", "success")
    assert (record.actor, record.role, record.address) == ("Ada", "viewer", "192.0.2.1")
    assert record.detail == "user identity from node CT1: name and passcode"


@pytest.mark.parametrize(("user", "passcode"), [("ada", "wrong"), ("nobody", PASSWORD), ("", "")])
def test_a_wrong_one_never_says_which_part_was_wrong(
    house: House, user: str, passcode: str
) -> None:
    with pytest.raises(AuthenticationError, match="user or password is wrong") as refused:
        house.prove(user, passcode)
    assert refused.value.message == "user or password is wrong, or the account is disabled"
    (record,) = house.records()
    assert record.outcome.value == "failure"
    assert record.actor in ("Ada", "(unknown account)")
    assert PASSWORD not in repr(record)


def test_a_disabled_account_names_nobody(house: House) -> None:
    house.disable()
    with pytest.raises(AuthenticationError):
        house.prove("ada", PASSWORD)
    with pytest.raises(AuthenticationError):
        house.identities.verify(IdentityClaim(1, b"ada"), CALLER, BOUND)


def test_a_name_alone_is_taken_from_a_node_with_its_own_certificate_only(house: House) -> None:
    claim = IdentityClaim(1, b"ada ")
    assert house.identities.verify(claim, CALLER, BOUND) == "Ada"
    assert "vouched for by the node" in house.records()[0].detail
    with pytest.raises(AuthenticationError):
        house.identities.verify(claim, CALLER, KNOWN)
    with pytest.raises(AuthenticationError):
        house.identities.verify(IdentityClaim(1, b"nobody"), CALLER, BOUND)


def test_wrong_passcodes_slow_down_logins_of_the_account_too(house: House) -> None:
    for _ in range(4):
        with pytest.raises(AuthenticationError):
            house.prove("ada", "wrong")
    with pytest.raises(ThrottledError):
        house.prove("ada", PASSWORD)
    with pytest.raises(ThrottledError):
        house.sessions.login(
            LoginRequest(user="ada", password=PASSWORD, client=ClientKind.COMMAND), Origin()
        )
    house.clock.now += 1000
    assert house.prove("ada", PASSWORD) == "Ada"
    (account,) = house.users.list(actor(Role.ADMIN), Empty()).users
    assert (account.failed_logins, account.blocked_until) == (0, None)


def test_an_address_that_guesses_many_names_is_slowed_down_and_no_other(house: House) -> None:
    other = Caller("CT2", "TUIPACS", "192.0.2.2", is_tls=True)
    for number in range(21):
        with pytest.raises(AuthenticationError):
            house.prove(f"guess{number}", "x")
    with pytest.raises(ThrottledError):
        house.prove("ada", PASSWORD)
    assert house.prove("ada", PASSWORD, other) == "Ada"


@pytest.mark.parametrize("data", [b"\xff\xfe", b"\0", b"a" * 65535, "ádà".encode("latin-1")])
def test_bytes_that_are_no_name_match_nobody(house: House, data: bytes) -> None:
    with pytest.raises(AuthenticationError):
        house.identities.verify(IdentityClaim(2, data, data), CALLER, KNOWN)
