"""User identity against accounts: outcomes, delays, the queue, what is remembered, the log."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.services.parts import PASSWORD, PEER, Clock, actor
from tests.waiting import eventually
from tuipacs.dimse.contract import Caller, IdentityClaim
from tuipacs.domain.actor import Origin
from tuipacs.domain.admission import Admission
from tuipacs.domain.audit import AuditRecord
from tuipacs.domain.permissions import Role
from tuipacs.domain.user import ClientKind
from tuipacs.errors import AuthenticationError, ThrottledError, UnavailableError
from tuipacs.index import audit
from tuipacs.index.database import Index
from tuipacs.index.migrations import migrate
from tuipacs.schema.messages import (
    Empty,
    LoginRequest,
    UserAddRequest,
    UserDisableRequest,
    UserPasswordRequest,
)
from tuipacs.services.authentication import PEERS_AT_ONCE, Authentication
from tuipacs.services.identities import Identities
from tuipacs.services.passcodes import KEPT_SECONDS
from tuipacs.services.password_hash import PasswordHasher
from tuipacs.services.sessions import Sessions
from tuipacs.services.users import Users

CALLER = Caller("CT1", "TUIPACS", "192.0.2.1", is_tls=True)
OTHER = Caller("CT2", "TUIPACS", "192.0.2.2", is_tls=True)
KNOWN = Admission(actor=PEER, known=True, services=frozenset())
BOUND = Admission(actor=PEER, known=True, services=frozenset(), by_certificate=True)


class Counting(PasswordHasher):
    """Counts its checks, and lets those of associations' threads wait."""

    def __init__(self) -> None:
        super().__init__(memory_kib=8, iterations=1)
        self.checks = 0
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self._own = threading.current_thread()

    def matches(self, password: str, phc: str | None) -> bool:
        self.checks += 1
        if threading.current_thread() is not self._own:
            assert self.may_go_on.wait(20)
        return super().matches(password, phc)


class House:
    """Accounts, logins and identities on one authentication, as an archive has them."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.index = Index(folder / "index.db")
        migrate(self.index)
        hasher = self.hasher = Counting()
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

    def log_in(self, password: str = PASSWORD) -> None:
        """As a person does."""
        request = LoginRequest(user="ada", password=password, client=ClientKind.COMMAND)
        self.sessions.login(request, Origin(unix_user="ada"))

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


def test_wrong_passcodes_slow_down_their_address_and_no_login(house: House) -> None:
    """A peer must not be able to lock a person out of the console."""
    for _ in range(6):
        with pytest.raises(AuthenticationError):
            house.prove("ada", "wrong")
    with pytest.raises(ThrottledError):
        house.prove("ada", PASSWORD)
    with pytest.raises(ThrottledError):
        house.prove("ADA", PASSWORD)
    house.log_in()
    assert house.prove("ada", PASSWORD, OTHER) == "Ada"
    (account,) = house.users.list(actor(Role.ADMIN), Empty()).users
    assert (account.failed_logins, account.blocked_until) == (0, None)
    with pytest.raises(ThrottledError):
        house.prove("ada", PASSWORD)  # neither success lifts the delay
    house.clock.now += 1000
    assert house.prove("ada", PASSWORD) == "Ada"


def test_a_peers_success_lifts_no_delay_of_the_login(house: House) -> None:
    for _ in range(6):
        with pytest.raises(AuthenticationError):
            house.log_in("wrong")
    assert house.prove("ada", PASSWORD) == "Ada"
    with pytest.raises(ThrottledError):
        house.log_in()
    (account,) = house.users.list(actor(Role.ADMIN), Empty()).users
    assert account.blocked_until is not None


def test_a_passcode_is_hashed_once_in_some_minutes(house: House) -> None:
    """A modality that opens an association for each image would wait a quarter second each."""
    for _ in range(50):
        assert house.prove("ada", PASSWORD) == "Ada"
    assert house.hasher.checks == 1
    assert len(house.records()) == 50
    with pytest.raises(AuthenticationError):
        house.prove("ada", PASSWORD + "x")
    assert house.hasher.checks == 2
    house.clock.now += KEPT_SECONDS
    assert house.prove("ada", PASSWORD) == "Ada"
    assert house.hasher.checks == 3
    house.clock.now -= 10  # set back: nothing is known of the time between
    assert house.prove("ada", PASSWORD) == "Ada"
    assert house.hasher.checks == 4


def test_a_passcode_found_right_counts_no_longer_once_it_is_changed(house: House) -> None:
    assert house.prove("ada", PASSWORD) == "Ada"
    house.users.set_password(
        actor(Role.ADMIN), UserPasswordRequest(name="Ada", password=PASSWORD[::-1])
    )
    with pytest.raises(AuthenticationError):
        house.prove("ada", PASSWORD)
    assert house.prove("ada", PASSWORD[::-1]) == "Ada"


def test_a_passcode_found_right_counts_no_longer_once_the_account_is_disabled(
    house: House,
) -> None:
    assert house.prove("ada", PASSWORD) == "Ada"
    house.disable()
    with pytest.raises(AuthenticationError):
        house.prove("ada", PASSWORD)


def test_during_a_delay_a_passcode_found_right_does_not_count(house: House) -> None:
    """Else the delay would not slow down who guesses while the right one is remembered."""
    assert house.prove("ada", PASSWORD) == "Ada"
    for _ in range(4):
        with pytest.raises(AuthenticationError):
            house.prove("ada", "wrong")
    with pytest.raises(ThrottledError):
        house.prove("ada", PASSWORD)


def test_peers_that_wait_hold_up_no_login_and_are_bounded(house: House) -> None:
    house.hasher.may_go_on.clear()
    results: list[str] = []

    def call(number: int) -> None:
        try:
            caller = Caller("CT1", "TUIPACS", f"192.0.2.{number + 10}", is_tls=True)
            results.append(house.prove("ada", PASSWORD, caller))
        except UnavailableError as refused:
            results.append(refused.message)
        finally:
            house.index.close()

    callers = [threading.Thread(target=call, args=(n,)) for n in range(PEERS_AT_ONCE + 3)]
    for caller in callers:
        caller.start()
    eventually(lambda: len(results) == 3)
    assert results == ["too many are being checked now"] * 3
    house.log_in()
    house.hasher.may_go_on.set()
    for caller in callers:
        caller.join()
    assert results[3:] == ["Ada"] * PEERS_AT_ONCE
    assert house.hasher.checks == 2  # the login's, and one for all who waited
    assert house.prove("ada", PASSWORD) == "Ada"


def test_an_address_that_guesses_many_names_is_slowed_down_and_no_other(house: House) -> None:
    for number in range(21):
        with pytest.raises(AuthenticationError):
            house.prove(f"guess{number}", "x")
    with pytest.raises(ThrottledError):
        house.prove("ada", PASSWORD)
    assert house.prove("ada", PASSWORD, OTHER) == "Ada"


@pytest.mark.parametrize("data", [b"\xff\xfe", b"\0", b"a" * 65535, "ádà".encode("latin-1")])
def test_bytes_that_are_no_name_match_nobody(house: House, data: bytes) -> None:
    with pytest.raises(AuthenticationError):
        house.identities.verify(IdentityClaim(2, data, data), CALLER, KNOWN)
