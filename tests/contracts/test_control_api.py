"""The control API over a real Unix socket: codecs, errors, streams, the caller."""

from __future__ import annotations

import getpass
import socket
import stat
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import msgspec
import pytest

from tests.contracts.api_server import TOKEN, RunningApi, running_api
from tuipacs import errors
from tuipacs.api.errors import status_of
from tuipacs.api.server import bind_control_socket
from tuipacs.client.connection import Connection
from tuipacs.errors import ConflictError, StorageFailedError
from tuipacs.schema import messages as m
from tuipacs.schema import operations
from tuipacs.schema.messages import ErrorBody, Wake

AUTHORIZED = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tp") as path:  # short: the kernel takes 107 bytes
        yield Path(path)


@pytest.fixture(scope="module")
def shared_api() -> Iterator[RunningApi]:
    with tempfile.TemporaryDirectory(prefix="tp") as path, running_api(Path(path)) as running:
        yield running


@pytest.fixture
def api(shared_api: RunningApi) -> RunningApi:
    shared_api.services.forget()
    return shared_api


@pytest.fixture
def fresh_api(folder: Path) -> Iterator[RunningApi]:
    """For tests that count wake-ups."""
    with running_api(folder) as running:
        yield running


@pytest.fixture
def http(api: RunningApi) -> Iterator[httpx.Client]:
    with httpx.Client(
        transport=httpx.HTTPTransport(uds=str(api.path)), base_url="http://tuipacs", timeout=20
    ) as client:
        yield client


def error_of(response: httpx.Response) -> ErrorBody:
    return msgspec.json.decode(response.content, type=ErrorBody)


def test_every_operation_has_a_route_that_reaches_its_service(
    api: RunningApi, http: httpx.Client
) -> None:
    for operation in operations.ALL:
        response = http.post(f"/v1/{operation.name}", headers=AUTHORIZED, json={"no such": 1})
        assert response.status_code == 400, operation.name  # decoded strictly, so it was found
        assert "no such" in error_of(response).message


def test_every_guarded_operation_asks_for_a_session_first(
    api: RunningApi, http: httpx.Client
) -> None:
    for operation in operations.ALL:
        if not operation.public and operation.request is m.Empty:
            assert http.post(f"/v1/{operation.name}").status_code == 401, operation.name


def test_json_and_msgpack_are_chosen_by_the_headers(api: RunningApi, http: httpx.Client) -> None:
    api.services.browse.answers["position"] = m.Position(offset=3)
    request = m.PositionRequest(level="study", key=1)  # type: ignore[arg-type]
    as_json = http.post(
        "/v1/browse.position", headers=AUTHORIZED, content=msgspec.json.encode(request)
    )
    assert as_json.json() == {"offset": 3}
    assert as_json.headers["content-type"] == "application/json"
    packed = http.post(
        "/v1/browse.position",
        headers={
            **AUTHORIZED,
            "accept": "application/msgpack",
            "content-type": "application/msgpack",
        },
        content=msgspec.msgpack.encode(request),
    )
    assert msgspec.msgpack.decode(packed.content) == {"offset": 3}
    assert [call[2].key for call in api.services.browse.seen] == [1, 1]


def test_the_client_of_the_house_gets_typed_answers_and_errors(api: RunningApi) -> None:
    api.services.browse.answers["position"] = m.Position(offset=None)
    connection = Connection(api.path, token=TOKEN)
    try:
        request = m.PositionRequest(level="study", key=1)  # type: ignore[arg-type]
        assert connection.call(operations.POSITION, request) == m.Position(offset=None)

        def full(*_: object) -> None:
            raise errors.StorageFullError("no room", remedy="make some")

        api.services.browse.answers["position"] = full
        with pytest.raises(errors.StorageFullError, match="no room") as caught:
            connection.call(operations.POSITION, request)
        assert caught.value.remedy == "make some"
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("content", "content_type", "status", "words"),
    [
        (b"{", "application/json", 400, "makes no sense"),
        (b"[]", "application/json", 400, "Expected `object`"),
        (b'{"level":"moon","key":1}', "application/json", 400, "Invalid enum value"),
        (b'{"level":"study","key":"1"}', "application/json", 400, "$.key"),
        (b'{"level":"study","key":1,"extra":1}', "application/json", 400, "extra"),
        (b'{"level":"study","key":9223372036854775808}', "application/json", 400, "`key`"),
        (b'{"filter":"\xff"}', "application/json", 400, "makes no sense"),
        (b"[" * 100000, "application/json", 400, "makes no sense"),
        (b"\x91" * 100000, "application/msgpack", 400, "makes no sense"),
        (b"\xc1", "application/msgpack", 400, "makes no sense"),
        (b"a=1", "application/x-www-form-urlencoded", 415, "application/json"),
        (b" " * (1024 * 1024 + 1), "application/json", 413, "larger than 1048576"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_malformed_request_is_refused_in_words(
    http: httpx.Client, content: bytes, content_type: str, status: int, words: str
) -> None:
    response = http.post(
        "/v1/browse.position",
        headers={**AUTHORIZED, "content-type": content_type},
        content=content,
    )
    assert response.status_code == status
    assert words in error_of(response).message


def test_a_body_without_a_declared_length_is_bounded_too(http: httpx.Client) -> None:
    response = http.post(
        "/v1/browse.position", headers=AUTHORIZED, content=(b" " * 65536 for _ in range(64))
    )
    assert response.status_code == 413


@pytest.mark.parametrize("path", ["/v1/no.such", "/", "/v1/", "/v2/system.health", "/v1/objects/x"])
def test_an_unknown_path_is_not_found(http: httpx.Client, path: str) -> None:
    response = http.request("GET" if "objects" in path else "POST", path, headers=AUTHORIZED)
    assert response.status_code == 404
    assert error_of(response).code == "not-found"


def test_the_wrong_method_is_refused(http: httpx.Client) -> None:
    response = http.get("/v1/system.health")
    assert response.status_code == 405
    assert error_of(response).code == "usage"


def test_a_browser_is_refused(http: httpx.Client) -> None:
    response = http.post("/v1/system.health", headers={"origin": "http://evil.example"})
    assert response.status_code == 403


def test_the_unix_user_of_the_socket_reaches_the_services(
    api: RunningApi, http: httpx.Client
) -> None:
    http.post("/v1/sessions.whoami", headers=AUTHORIZED)
    login = {"user": "u", "password": "p", "client": "command", "terminal": "/dev/pts/3"}
    assert http.post("/v1/sessions.login", json=login).status_code == 401
    assert {origin.unix_user for origin in api.services.sessions.origins} == {getpass.getuser()}


def test_a_public_operation_gets_the_token_if_it_wants_one(http: httpx.Client) -> None:
    response = http.post("/v1/sessions.unlock", headers=AUTHORIZED, json={"password": "x"})
    assert error_of(response).message == f"unlock {TOKEN}"


def test_a_bug_is_told_as_an_incident_and_nothing_of_its_message_leaves(
    api: RunningApi, http: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    def bug(*_: object) -> None:
        raise ValueError("DOE^JANE")

    api.services.system.answers["health"] = bug
    response = http.post("/v1/system.health")
    assert response.status_code == 500
    body = error_of(response)
    assert "incident" in body.message
    assert "DOE" not in response.text
    incident = body.message.partition("incident ")[2].rstrip(")")
    assert incident in caplog.text


def every_error(cls: type[errors.TuipacsError] = errors.TuipacsError) -> Iterator[type[Any]]:
    yield cls
    for child in cls.__subclasses__():
        yield from every_error(child)


def test_every_error_of_the_tree_has_a_status_of_failure() -> None:
    for cls in every_error():
        error = cls.__new__(cls)
        assert 400 <= status_of(error) < 600, cls


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.UsageError("x"), 400),
        (errors.ConfigError("x"), 400),
        (errors.AuthenticationError("x"), 401),
        (errors.ForbiddenError("x"), 403),
        (errors.NotFoundError("x"), 404),
        (errors.ConflictError("x"), 409),
        (errors.DecodeError("x"), 422),
        (errors.SessionLockedError("x"), 423),
        (errors.ThrottledError("x", retry_after=2.5), 429),
        (errors.UnavailableError("x"), 503),
        (errors.StorageFailedError("x"), 503),
        (errors.StorageFullError("x"), 507),
    ],
)
def test_each_error_has_its_status(
    api: RunningApi, http: httpx.Client, error: errors.TuipacsError, status: int
) -> None:
    def fail(*_: object) -> None:
        raise error

    api.services.system.answers["health"] = fail
    response = http.post("/v1/system.health")
    assert response.status_code == status
    assert error_of(response).code == error.code
    if status == 429:
        assert response.headers["retry-after"] == "3"
        assert error_of(response).retry_after == 2.5


def test_object_bytes_come_in_order_with_their_length(api: RunningApi, http: httpx.Client) -> None:
    chunks = [bytes([number]) * 262144 for number in range(8)]
    api.services.objects.answers["open_object"] = SimpleNamespace(
        size=8 * 262144, chunks=iter(chunks)
    )
    response = http.get("/v1/objects/7", headers=AUTHORIZED)
    assert response.headers["content-length"] == str(8 * 262144)
    assert response.content == b"".join(chunks)
    assert api.services.objects.seen[0][2] == 7


def test_an_object_that_breaks_in_the_middle_never_looks_complete(api: RunningApi) -> None:
    """Bit rot found while reading: the client must see that the end is missing."""

    def chunks() -> Iterator[bytes]:
        yield b"a" * 1000
        raise errors.StorageFailedError("the bytes are not what was stored")

    api.services.objects.answers["open_object"] = lambda *_: SimpleNamespace(
        size=2000, chunks=chunks()
    )
    connection = Connection(api.path, token=TOKEN)
    try:
        with pytest.raises(errors.UnavailableError):
            list(connection.download(7))
    finally:
        connection.close()


class EndlessChunks:
    """More bytes than anyone reads, and a way to see that they are let go of."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    def __iter__(self) -> EndlessChunks:
        return self

    def __next__(self) -> bytes:
        return b"x" * 262144

    def close(self) -> None:
        self.closed.set()


@pytest.mark.parametrize("read", [0, 1, 1000000])
def test_a_download_that_is_given_up_closes_its_source(api: RunningApi, read: int) -> None:
    """However early: before the first byte, after the first, in the middle."""
    chunks = EndlessChunks()
    api.services.objects.answers["open_document"] = SimpleNamespace(size=1 << 40, chunks=chunks)
    head = f"GET /v1/documents/1 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\r\n"
    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(str(api.path))
        raw.sendall(head.encode())
        while read > 0:
            read -= len(raw.recv(65536))
    assert chunks.closed.wait(10)


@pytest.mark.parametrize(
    "key",
    ["-1", "1.5", "9223372036854775808", "9" * 5000, "%00", "..", "١"],
    ids=lambda key: key[:20],
)
def test_a_key_that_is_none_finds_nothing(http: httpx.Client, key: str) -> None:
    assert http.get(f"/v1/objects/{key}", headers=AUTHORIZED).status_code == 404


def test_events_tell_the_versions_at_once_and_after_each_change(fresh_api: RunningApi) -> None:
    fresh_api.wakeups.content(4)
    connection = Connection(fresh_api.path, token=TOKEN)
    try:
        events = connection.events()
        assert next(events) == Wake(seq=4, incoming=0, jobs=0, session="active")
        fresh_api.wakeups.content(5)
        assert next(events) == Wake(seq=5, incoming=0, jobs=0, session="active")
        fresh_api.wakeups.incoming()
        fresh_api.wakeups.jobs()
        woken = next(events)
        while woken.jobs == 0:
            woken = next(events)
        assert woken == Wake(seq=5, incoming=1, jobs=1, session="active")
    finally:
        connection.close()


def test_a_storm_of_changes_is_told_in_few_lines(fresh_api: RunningApi) -> None:
    connection = Connection(fresh_api.path, token=TOKEN)
    try:
        events = connection.events()
        next(events)
        for seq in range(1, 5001):
            fresh_api.wakeups.content(seq)
        lines = 0
        for event in events:
            lines += 1
            if event.seq == 5000:
                break
        assert lines < 10
    finally:
        connection.close()


def test_pictures_that_hang_keep_nobody_from_the_rest(api: RunningApi, http: httpx.Client) -> None:
    """Both threads for objects wait for a decoder; sessions and health answer all the same."""
    release, waiting = threading.Event(), threading.Semaphore(0)

    def hang(*_: object) -> m.Empty:
        waiting.release()
        release.wait(20)
        return m.Empty()

    api.services.objects.answers["frame"] = hang
    viewers = [
        threading.Thread(
            target=http.post,
            args=("/v1/objects.frame",),
            kwargs={"headers": AUTHORIZED, "json": {"key": 1}},
        )
        for _ in range(4)
    ]
    try:
        for viewer in viewers:
            viewer.start()
        assert waiting.acquire(timeout=10)
        assert waiting.acquire(timeout=10)
        assert http.post("/v1/sessions.whoami", headers=AUTHORIZED).status_code == 200
    finally:
        release.set()
        for viewer in viewers:
            viewer.join()


def test_events_need_a_session(http: httpx.Client) -> None:
    assert http.get("/v1/events").status_code == 401


def test_events_tell_a_lock_and_stop_when_the_session_ends(fresh_api: RunningApi) -> None:
    connection = Connection(fresh_api.path, token=TOKEN)
    try:
        told = []
        for event in connection.events():
            told.append(event.session)
            fresh_api.services.sessions.session_state = {"active": "locked", "locked": "ended"}.get(
                event.session, "ended"
            )
        assert told == ["active", "locked", "ended"]
    finally:
        connection.close()


def test_garbage_instead_of_http_harms_nobody(api: RunningApi, http: httpx.Client) -> None:
    for garbage in (b"\x16\x03\x01\x02\x00" + b"\0" * 64, b"GET /\r\n" * 5, b"A" * 200000):
        with socket.socket(socket.AF_UNIX) as raw:
            raw.settimeout(10)
            raw.connect(str(api.path))
            raw.sendall(garbage)
            raw.shutdown(socket.SHUT_WR)
            while raw.recv(65536):
                pass
    assert http.post("/v1/system.health").status_code == 200


def test_the_socket_is_private_from_its_first_instant(api: RunningApi) -> None:
    assert stat.S_IMODE(api.path.stat().st_mode) == 0o600


def test_a_dead_socket_is_replaced(folder: Path) -> None:
    path = folder / "c.sock"
    bind_control_socket(path).close()
    assert path.exists()
    bind_control_socket(path).close()


def test_a_socket_that_answers_is_left_alone(api: RunningApi, http: httpx.Client) -> None:
    with pytest.raises(ConflictError, match="another program answers"):
        bind_control_socket(api.path)
    assert http.post("/v1/system.health").status_code == 200


def test_a_file_in_the_place_of_the_socket_is_left_alone(folder: Path) -> None:
    path = folder / "c.sock"
    path.write_text("precious")
    with pytest.raises(StorageFailedError, match="in the way"):
        bind_control_socket(path)
    assert path.read_text() == "precious"


def test_an_unknown_socket_group_is_named(folder: Path) -> None:
    with pytest.raises(errors.ConfigError, match="no Unix group no-such-group"):
        bind_control_socket(folder / "c.sock", "no-such-group")
    assert not (folder / "c.sock").exists()


def test_a_socket_for_a_group_is_open_to_the_group_alone(folder: Path) -> None:
    import grp
    import os

    group = grp.getgrgid(os.getgid()).gr_name
    path = folder / "c.sock"
    bind_control_socket(path, group).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert path.stat().st_gid == os.getgid()
