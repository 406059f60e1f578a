"""Logging in and staying so: what opens, what locks, what ends, and what it costs to guess."""

from __future__ import annotations

import threading
import time
import unicodedata
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.unit.services.parts import PASSWORD, Clock, Parts, actor, fast_hasher, opened
from tuipacs.domain.actor import Origin
from tuipacs.domain.audit import AuditOutcome
from tuipacs.domain.permissions import MATRIX, Role
from tuipacs.domain.user import ClientKind, Session
from tuipacs.errors import (
    AuthenticationError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    SessionLockedError,
    ThrottledError,
    UsageError,
    WrongPasswordError,
)
from tuipacs.index.database import Index, Reader
from tuipacs.schema import messages as m
from tuipacs.services.password_hash import PasswordHasher
from tuipacs.services.sessions import Sessions

HERE = Origin(unix_user="anna")
THERE = Origin(unix_user="mallory")
ADMIN = actor(Role.ADMIN, name="root")


@pytest.fixture
def people(parts: Parts) -> Parts:
    """root (administrator) and anna (radiologist)."""
    parts.users.create_first_admin("root", PASSWORD)
    parts.users.add(ADMIN, m.UserAddRequest(name="Anna", role=Role.RADIOLOGIST, password=PASSWORD))
    return parts


def login(
    parts: Parts,
    name: str = "anna",
    password: str = PASSWORD,
    client: ClientKind = ClientKind.SCREEN,
    origin: Origin = HERE,
    sessions: Sessions | None = None,
) -> Session:
    request = m.LoginRequest(user=name, password=password, client=client, terminal="pts/1")
    return (sessions or parts.sessions).login(request, origin)


def fail(parts: Parts, name: str = "anna", origin: Origin = HERE) -> AuthenticationError:
    with pytest.raises(AuthenticationError) as refused:
        login(parts, name, "wrong", origin=origin)
    return refused.value


def test_a_login_gives_the_role_of_the_account(people: Parts) -> None:
    session = login(people, "ANNA")
    assert (session.user, session.role) == ("Anna", Role.RADIOLOGIST)
    assert set(session.permissions) == MATRIX[Role.RADIOLOGIST]
    found = people.sessions.resolve(session.token, HERE)
    assert (found.name, found.permissions) == ("Anna", MATRIX[Role.RADIOLOGIST])
    assert (found.origin.unix_user, found.origin.terminal) == ("anna", "pts/1")
    record = people.last_record()
    assert (record.operation, record.actor, record.outcome) == (
        "sessions.login",
        "Anna",
        AuditOutcome.SUCCESS,
    )


def test_the_token_lies_nowhere_in_clear(people: Parts) -> None:
    token = login(people).token
    people.index.close()
    for path in people.folder.rglob("*"):
        if path.is_file():
            assert token.encode() not in path.read_bytes()
    assert len(token) >= 43  # 256 bits


@pytest.mark.parametrize("token", ["", " ", "x", "A" * 43, "\0", "ä" * 50, "x" * 100_000])
def test_a_forged_token_opens_nothing(people: Parts, token: str) -> None:
    login(people)
    with pytest.raises(AuthenticationError):
        people.sessions.resolve(token, HERE)
    assert people.sessions.state(token) == "ended"
    with pytest.raises(AuthenticationError):
        people.sessions.unlock(m.PasswordRequest(password=PASSWORD), token, HERE)


def test_another_unix_users_token_opens_nothing_and_is_recorded_once_a_minute(
    people: Parts,
) -> None:
    token = login(people).token
    for _ in range(5):
        with pytest.raises(AuthenticationError):
            people.sessions.resolve(token, THERE)
    record = people.last_record()
    assert (record.outcome, record.unix_user) == (AuditOutcome.REFUSED, "mallory")
    assert [r.outcome for r in people.records()].count(AuditOutcome.REFUSED) == 1
    with pytest.raises(AuthenticationError):
        people.sessions.unlock(m.PasswordRequest(password=PASSWORD), token, THERE)
    with pytest.raises(AuthenticationError):
        people.sessions.logout(m.Empty(), token, THERE)
    assert people.sessions.resolve(token, HERE).name == "Anna"
    people.clock.now += 61
    with pytest.raises(AuthenticationError):
        people.sessions.resolve(token, THERE)
    assert "4 more" in people.last_record().detail


def test_wrong_user_wrong_password_and_disabled_look_the_same(people: Parts) -> None:
    people.users.set_disabled(ADMIN, m.UserDisableRequest(name="anna", disabled=True))
    messages = {str(fail(people, name)) for name in ("root", "nobody")}
    with pytest.raises(AuthenticationError) as refused:
        login(people)  # the right password
    assert {*messages, str(refused.value)} == {
        "user or password is wrong, or the account is disabled"
    }


class CountingHasher(PasswordHasher):
    """Counts how often a password is really derived."""

    def __init__(self) -> None:
        self.derived = 0
        super().__init__(memory_kib=8, iterations=1)

    def matches(self, password: str, phc: str | None) -> bool:
        self.derived += 1
        return super().matches(password, phc)


def test_an_unknown_user_costs_the_same_work_and_the_same_delays(people: Parts) -> None:
    hasher = CountingHasher()
    people.hasher = hasher
    sessions = people.new_sessions()
    waits: dict[str, list[float]] = {}
    work: dict[str, int] = {}
    for name, origin in (("anna", HERE), ("nobody", THERE)):
        before = hasher.derived
        waits[name] = []
        for _ in range(8):
            try:
                login(people, name, "wrong", origin=origin, sessions=sessions)
            except ThrottledError as error:
                waits[name].append(error.retry_after)
                people.clock.now += error.retry_after
            except AuthenticationError:
                waits[name].append(0.0)
        work[name] = hasher.derived - before
    assert waits["anna"] == waits["nobody"]
    assert work["anna"] == work["nobody"] > 0


def test_without_a_hash_the_hasher_works_and_says_no() -> None:
    hasher = fast_hasher()
    assert not hasher.matches("x", None)
    assert hasher.matches("x", hasher.hash("x"))
    assert not hasher.matches("y", hasher.hash("x"))
    assert hasher.hash("x") != hasher.hash("x")


def test_the_default_hash_is_argon2id_with_64_mib_and_three_passes() -> None:
    from tuipacs.services import password_hash

    phc = PasswordHasher().hash("x")
    assert phc.startswith("$argon2id$v=19$m=65536,t=3,p=1$")
    assert (password_hash.MEMORY_KIB, password_hash.ITERATIONS) == (65536, 3)


def test_a_password_may_be_typed_composed_or_decomposed() -> None:
    hasher = fast_hasher()
    word = "pässwörd für änne"
    phc = hasher.hash(unicodedata.normalize("NFC", word))
    assert hasher.matches(unicodedata.normalize("NFD", word), phc)


def test_the_delay_grows_and_ends_with_the_right_password(people: Parts) -> None:
    waits = []
    for _ in range(30):
        error = fail(people)
        if isinstance(error, ThrottledError):
            waits.append(error.retry_after)
            people.clock.now += error.retry_after
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (1.0, 900.0)
    fail(people)
    with pytest.raises(ThrottledError):
        login(people)  # the right one has to wait, too
    people.clock.now += 900
    login(people)
    assert not isinstance(fail(people), ThrottledError)
    assert not isinstance(fail(people), ThrottledError)


def test_tries_during_the_delay_are_recorded_but_cannot_fill_the_log(people: Parts) -> None:
    for _ in range(50):
        fail(people)
    outcomes = [r.outcome for r in people.records() if r.operation == "sessions.login"]
    assert outcomes == [AuditOutcome.FAILURE] * 3 + [AuditOutcome.REFUSED]


def test_the_delay_survives_a_restart(people: Parts) -> None:
    for _ in range(3):
        fail(people)
    with pytest.raises(ThrottledError):
        login(people, sessions=people.new_sessions())


def test_an_unknown_name_is_never_written_down(people: Parts) -> None:
    """People type their password where the name belongs."""
    fail(people, PASSWORD)
    assert people.last_record().actor == "(unknown account)"
    assert all(PASSWORD not in str(record) for record in people.records())


def test_a_source_that_tries_many_names_has_to_wait_for_all(people: Parts) -> None:
    for number in range(20):
        fail(people, f"user{number}", THERE)
    with pytest.raises(ThrottledError):
        login(people, origin=THERE)
    login(people, origin=HERE)


def test_a_right_password_does_not_forgive_the_source_its_other_tries(people: Parts) -> None:
    for number in range(19):
        fail(people, f"user{number}", THERE)
    login(people, origin=THERE)
    fail(people, "user20", THERE)
    with pytest.raises(ThrottledError):
        login(people, origin=THERE)


def test_own_slips_are_forgiven_the_source(people: Parts) -> None:
    for _ in range(30):
        fail(people)
        fail(people)
        login(people)


def test_a_quiet_source_begins_anew(people: Parts) -> None:
    for number in range(19):
        fail(people, f"user{number}", THERE)
    people.clock.now += 3601
    for number in range(19):
        assert not isinstance(fail(people, f"other{number}", THERE), ThrottledError)
    login(people, origin=THERE)


def test_guesses_side_by_side_are_counted_one_by_one(people: Parts) -> None:
    """Eight at once do not get eight free tries."""

    class Slow(PasswordHasher):
        def matches(self, password: str, phc: str | None) -> bool:
            time.sleep(0.02)  # long enough for the others to come
            return super().matches(password, phc)

    people.hasher = Slow(memory_kib=8, iterations=1)
    sessions = people.new_sessions()

    def guess(_: int) -> bool:
        try:
            login(people, password="wrong", sessions=sessions)
        except AuthenticationError as error:
            return isinstance(error, ThrottledError)
        finally:
            people.index.close()
        return False

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(guess, range(8))) == [False] * 3 + [True] * 5


def test_a_name_of_a_megabyte_takes_no_megabyte(people: Parts) -> None:
    for _ in range(3):
        fail(people, "x" * 1_000_000)
    kept = people.sessions._authentication._throttle._failures
    assert all(len(key) < 200 for key in kept)


def test_an_idle_screen_locks_itself_and_says_so_once(people: Parts) -> None:
    token = login(people).token
    people.clock.now += 599
    assert people.sessions.state(token) == "active"  # asking is no sign of life
    people.clock.now += 1
    assert people.sessions.state(token) == "locked"
    with pytest.raises(SessionLockedError):
        people.sessions.resolve(token, HERE)
    locks = [r for r in people.records() if r.operation == "sessions.lock"]
    assert len(locks) == 1


def test_a_touch_puts_the_lock_off(people: Parts) -> None:
    token = login(people).token
    for _ in range(5):
        people.clock.now += 500
        people.sessions.touch(people.sessions.resolve(token, HERE), m.Empty())
    assert people.sessions.state(token) == "active"
    people.clock.now += 600
    assert people.sessions.state(token) == "locked"


def test_other_calls_do_not_put_the_lock_off(people: Parts) -> None:
    """A screen that refreshes itself is no person at the keys."""
    token = login(people).token
    for _ in range(5):
        people.clock.now += 100
        people.sessions.whoami(people.sessions.resolve(token, HERE), m.Empty())
    people.clock.now += 100
    with pytest.raises(SessionLockedError):
        people.sessions.resolve(token, HERE)


def test_a_command_session_does_not_lock_itself(people: Parts) -> None:
    token = login(people, client=ClientKind.COMMAND).token
    people.clock.now += 3599
    assert people.sessions.state(token) == "active"


@pytest.mark.parametrize(
    ("client", "seconds"), [(ClientKind.SCREEN, 12 * 3600), (ClientKind.COMMAND, 3600)]
)
def test_a_session_ends_by_itself(people: Parts, client: ClientKind, seconds: int) -> None:
    session = login(people, client=client)
    assert session.expires_at == people.clock.now + seconds
    people.clock.now += seconds
    assert people.sessions.state(session.token) == "ended"
    with pytest.raises(AuthenticationError):
        people.sessions.resolve(session.token, HERE)


def test_a_locked_session_opens_with_its_own_password_only(people: Parts) -> None:
    token = login(people).token
    me = people.sessions.resolve(token, HERE)
    people.sessions.lock(me, m.Empty())
    assert people.sessions.state(token) == "locked"
    with pytest.raises(AuthenticationError):
        people.sessions.unlock(m.PasswordRequest(password="wrong"), token, HERE)
    assert people.sessions.state(token) == "locked"
    identity = people.sessions.unlock(m.PasswordRequest(password=PASSWORD), token, HERE)
    assert (identity.user, identity.locked) == ("Anna", False)
    assert people.sessions.resolve(token, HERE).name == "Anna"
    operations = [r.operation for r in people.records()][-3:]
    assert operations == ["sessions.lock", "sessions.unlock", "sessions.unlock"]


def test_guessing_at_a_locked_screen_is_slowed_down(people: Parts) -> None:
    token = login(people).token
    people.sessions.lock(people.sessions.resolve(token, HERE), m.Empty())
    for _ in range(3):
        with pytest.raises(AuthenticationError):
            people.sessions.unlock(m.PasswordRequest(password="wrong"), token, HERE)
    with pytest.raises(ThrottledError):
        people.sessions.unlock(m.PasswordRequest(password=PASSWORD), token, HERE)


def test_sessions_and_locks_survive_a_restart(people: Parts) -> None:
    open_one, locked = login(people).token, login(people).token
    people.sessions.lock(people.sessions.resolve(locked, HERE), m.Empty())
    restarted = people.new_sessions()
    assert restarted.state(open_one) == "active"
    assert restarted.state(locked) == "locked"
    people.clock.now += 600
    assert restarted.state(open_one) == "locked"


def test_a_locked_session_can_be_ended(people: Parts) -> None:
    token = login(people).token
    people.sessions.lock(people.sessions.resolve(token, HERE), m.Empty())
    people.sessions.logout(m.Empty(), token, HERE)
    assert people.sessions.state(token) == "ended"
    assert people.rows("SELECT count(*) FROM session") == [(0,)]
    assert people.last_record().operation == "sessions.logout"


ENDINGS: dict[str, Callable[[Parts, int], object]] = {
    "role": lambda p, _: p.users.set_role(ADMIN, m.UserRoleRequest(name="anna", role=Role.VIEWER)),
    "password": lambda p, _: p.users.set_password(
        ADMIN, m.UserPasswordRequest(name="anna", password="quite another sentence")
    ),
    "disabled": lambda p, _: p.users.set_disabled(
        ADMIN, m.UserDisableRequest(name="anna", disabled=True)
    ),
    "ended": lambda p, key: p.users.end_session(ADMIN, m.SessionEndRequest(key=key)),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_an_administrator_changes_ends_the_sessions_at_once(
    people: Parts, ending: str
) -> None:
    token = login(people).token
    key = people.sessions.resolve(token, HERE).session_key
    ENDINGS[ending](people, key)
    assert people.sessions.state(token) == "ended"
    with pytest.raises(AuthenticationError):
        people.sessions.resolve(token, HERE)
    assert people.last_record().operation.startswith("users.")


def test_ending_a_session_that_is_none_is_told(people: Parts) -> None:
    with pytest.raises(NotFoundError):
        people.users.end_session(ADMIN, m.SessionEndRequest(key=99))


class WatchedIndex(Index):
    """Does something once, right after a snapshot was read."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.after_read: Callable[[], object] | None = None

    @contextmanager
    def read(self) -> Iterator[Reader]:
        with super().read() as reader:
            yield reader
        after, self.after_read = self.after_read, None
        if after:
            after()


@pytest.fixture
def watched(people: Parts) -> Iterator[WatchedIndex]:
    index = WatchedIndex(people.folder / "index.sqlite")
    yield index
    index.close()


def sessions_on(index: Index, people: Parts, **options: int) -> Sessions:
    return Sessions(
        index, people.clock, people.hasher, lock_after=600.0, command_seconds=3600.0, **options
    )


def test_a_session_that_ends_while_it_is_read_stays_ended(
    people: Parts, watched: WatchedIndex
) -> None:
    """Read before its end and cached after it, it would live on for hours."""
    token = login(people).token
    sessions = sessions_on(watched, people)

    def end() -> None:
        with people.index.write() as tx:
            tx.execute("DELETE FROM session")
        sessions.refresh()

    watched.after_read = end
    assert sessions.state(token) == "ended"
    assert sessions.state(token) == "ended"


def test_a_lock_is_not_lost_to_a_refresh_beside_it(people: Parts, watched: WatchedIndex) -> None:
    """What a refresh read before the lock must not be put over it afterwards."""
    token = login(people).token
    sessions = sessions_on(watched, people)
    me = sessions.resolve(token, HERE)

    def lock() -> None:
        sessions.lock(me, m.Empty())
        watched.close()

    thread = threading.Thread(target=lock)

    def meanwhile() -> None:
        thread.start()
        thread.join(0.3)  # it has to wait until the refresh is through

    watched.after_read = meanwhile
    sessions.refresh()
    thread.join()
    assert sessions.state(token) == "locked"


def test_a_password_changed_while_it_is_checked_does_not_let_in(people: Parts) -> None:
    class Slow(PasswordHasher):
        def matches(self, password: str, phc: str | None) -> bool:
            right = super().matches(password, phc)
            request = m.UserPasswordRequest(name="anna", password="quite another sentence")
            people.users.set_password(ADMIN, request)
            return right

    people.hasher = Slow(memory_kib=8, iterations=1)
    with pytest.raises(AuthenticationError, match="changed meanwhile"):
        login(people, sessions=people.new_sessions())
    assert people.rows("SELECT count(*) FROM session") == [(0,)]


def test_an_actor_of_an_ended_session_is_nobody(people: Parts) -> None:
    with pytest.raises(AuthenticationError):
        people.sessions.whoami(actor(Role.VIEWER, session_key=99), m.Empty())


def test_a_changed_password_ends_the_other_sessions_and_not_this_one(people: Parts) -> None:
    mine, other, roots = login(people), login(people), login(people, "root")
    new = "a whole new sentence"
    me = people.sessions.resolve(mine.token, HERE)
    people.sessions.change_password(
        me, m.ChangePasswordRequest(old_password=PASSWORD, new_password=new)
    )
    states = [people.sessions.state(s.token) for s in (mine, other, roots)]
    assert states == ["active", "ended", "active"]
    fail(people)
    login(people, password=new)


def test_a_password_is_changed_only_with_the_old_one(people: Parts) -> None:
    me = people.sessions.resolve(login(people).token, HERE)
    with pytest.raises(WrongPasswordError, match="the old password is wrong"):
        people.sessions.change_password(
            me, m.ChangePasswordRequest(old_password="wrong", new_password="a whole new sentence")
        )
    with pytest.raises(UsageError):
        people.sessions.change_password(
            me, m.ChangePasswordRequest(old_password=PASSWORD, new_password="short")
        )
    login(people)


def test_a_set_password_lifts_the_delay(people: Parts) -> None:
    for _ in range(5):
        fail(people)
    new = "quite another sentence"
    people.users.set_password(ADMIN, m.UserPasswordRequest(name="anna", password=new))
    login(people, password=new)


def test_the_last_administrator_stays(people: Parts) -> None:
    demote = m.UserRoleRequest(name="root", role=Role.VIEWER)
    disable = m.UserDisableRequest(name="root", disabled=True)
    for change, request in ((people.users.set_role, demote), (people.users.set_disabled, disable)):
        with pytest.raises(ConflictError, match="last administrator"):
            change(ADMIN, request)  # type: ignore[arg-type]
    people.users.set_role(ADMIN, m.UserRoleRequest(name="root", role=Role.ADMIN))
    people.users.set_role(ADMIN, m.UserRoleRequest(name="anna", role=Role.ADMIN))
    people.users.set_disabled(ADMIN, disable)
    with pytest.raises(ConflictError):
        people.users.set_role(ADMIN, m.UserRoleRequest(name="anna", role=Role.VIEWER))
    people.users.set_role(ADMIN, demote)  # a disabled one does not count


def test_an_account_is_there_once_in_whatever_case(people: Parts) -> None:
    with pytest.raises(ConflictError):
        people.users.add(ADMIN, m.UserAddRequest(name="ANNA", role=Role.ADMIN, password=PASSWORD))
    with pytest.raises(ConflictError):
        people.users.create_first_admin("second", PASSWORD)


@pytest.mark.parametrize("name", ["", "-a", ".a", "a b", "a/b", "ä", "a" * 65, "a\n", "../x"])
def test_a_name_that_would_be_trouble_is_refused(people: Parts, name: str) -> None:
    with pytest.raises(UsageError):
        people.users.add(ADMIN, m.UserAddRequest(name=name, role=Role.VIEWER, password=PASSWORD))


def test_what_is_asked_of_an_account_that_is_none_is_told(people: Parts) -> None:
    for call in (
        lambda: people.users.set_role(ADMIN, m.UserRoleRequest(name="x", role=Role.VIEWER)),
        lambda: people.users.set_disabled(ADMIN, m.UserDisableRequest(name="x", disabled=True)),
        lambda: people.users.set_password(
            ADMIN, m.UserPasswordRequest(name="x", password=PASSWORD)
        ),
    ):
        with pytest.raises(NotFoundError):
            call()


def test_a_list_of_accounts_carries_no_secret(people: Parts) -> None:
    token = login(people).token
    found = people.users.list(ADMIN, m.Empty())
    assert {user.name for user in found.users} == {"root", "Anna"}
    assert [session.user for session in found.sessions] == ["Anna"]
    hashes = [row[0] for row in people.rows("SELECT password FROM user")]
    assert all(secret not in repr(found) for secret in (token, *hashes))


def test_a_job_acts_with_the_rights_of_today(people: Parts) -> None:
    assert people.sessions.on_behalf_of("anna").role is Role.RADIOLOGIST
    people.users.set_role(ADMIN, m.UserRoleRequest(name="anna", role=Role.VIEWER))
    assert people.sessions.on_behalf_of("anna").permissions == MATRIX[Role.VIEWER]
    people.users.set_disabled(ADMIN, m.UserDisableRequest(name="anna", disabled=True))
    for name in ("anna", "nobody"):
        with pytest.raises(ForbiddenError, match="may not act"):
            people.sessions.on_behalf_of(name)


def test_memory_holds_so_many_sessions_and_forgets_the_least_used(people: Parts) -> None:
    sessions = sessions_on(people.index, people, cached=5)
    screen = login(people).token
    for _ in range(8):
        sessions.state(login(people, client=ClientKind.COMMAND).token)
        people.clock.now += 100
        sessions.touch(sessions.resolve(screen, HERE), m.Empty())
    assert len(sessions._live) == 5
    assert sessions.state(screen) == "active"


def test_two_archives_do_not_share_sessions(people: Parts, tmp_path: Path) -> None:
    token = login(people).token
    (tmp_path / "other").mkdir()
    with opened(tmp_path / "other") as other:
        assert other.sessions.state(token) == "ended"


def test_the_clock_of_the_tests_stands_still() -> None:
    clock = Clock()
    assert clock() == clock()
