"""What one caller of the control socket can take from the others: not much."""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.contracts.api_server import OTHER_TOKEN, TOKEN, RunningApi, running_api
from tests.waiting import eventually
from tuipacs.api.app import SHARE
from tuipacs.api.events import MAX_STREAMS_PER_SESSION
from tuipacs.api.peer import MAX_CONNECTIONS_PER_USER
from tuipacs.domain.content import Document, DocumentKind
from tuipacs.schema import messages as m
from tuipacs.schema.node_messages import NodeTestReport


@pytest.fixture
def api() -> Iterator[RunningApi]:
    with tempfile.TemporaryDirectory(prefix="tp") as path, running_api(Path(path)) as running:
        yield running


@pytest.fixture
def http(api: RunningApi) -> Iterator[httpx.Client]:
    with httpx.Client(
        transport=httpx.HTTPTransport(uds=str(api.path)), base_url="http://tuipacs", timeout=20
    ) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def connected(api: RunningApi) -> socket.socket:
    raw = socket.socket(socket.AF_UNIX)
    raw.settimeout(10)
    raw.connect(str(api.path))
    return raw


def head(method: str, path: str, token: str = "", size: int = 0) -> bytes:
    lines = [f"{method} /v1/{path} HTTP/1.1", "host: x", f"content-length: {size}"]
    lines += [f"authorization: Bearer {token}"] if token else []
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def is_closed(raw: socket.socket) -> bool:
    """Read to the end; a timeout is an error."""
    try:
        while raw.recv(65536):
            pass
    except ConnectionResetError:
        return True
    return True


def test_a_session_that_asks_for_many_pictures_leaves_threads_to_others(
    api: RunningApi, http: httpx.Client
) -> None:
    release = threading.Event()

    def hang(*_: object) -> m.Empty:
        release.wait(20)
        return m.Empty()

    api.services.objects.answers["frame"] = hang
    with ThreadPoolExecutor(10) as greedy:
        try:
            for _ in range(10):
                greedy.submit(
                    http.post, "/v1/objects.frame", headers=bearer(TOKEN), json={"key": 1}
                )
            eventually(lambda: len(api.services.objects.seen) >= SHARE)
            answer = http.post(
                "/v1/objects.elements", headers=bearer(OTHER_TOKEN), json={"key": 1}, timeout=10
            )
            assert answer.status_code == 200
            frames = [call for call in api.services.objects.seen if call[0] == "frame"]
            assert len(frames) == SHARE
        finally:
            release.set()


def test_logins_that_take_their_time_keep_nobody_from_the_rest(
    api: RunningApi, http: httpx.Client
) -> None:
    """Hashing a password is slow on purpose, and anybody may ask for it."""
    release, started = threading.Event(), threading.Event()

    def hash_slowly() -> None:
        started.set()
        release.wait(20)

    api.services.sessions.hashing = hash_slowly
    with ThreadPoolExecutor(10) as guessers:
        try:
            body = {"user": "x", "password": "y", "client": "command"}
            for _ in range(10):
                guessers.submit(http.post, "/v1/sessions.login", json=body)
            assert started.wait(10)
            answer = http.post("/v1/sessions.whoami", headers=bearer(TOKEN), timeout=10)
            assert answer.status_code == 200
        finally:
            release.set()


def test_nodes_that_do_not_answer_keep_nobody_from_the_rest(
    api: RunningApi, http: httpx.Client
) -> None:
    """A test of a node may take until its timeouts; not even its own session waits for it."""
    release, started = threading.Event(), threading.Event()

    def test_slowly(actor: object, request: object) -> NodeTestReport:
        started.set()
        release.wait(20)
        return NodeTestReport(rungs=())

    api.services.nodes.answers["test"] = test_slowly
    with ThreadPoolExecutor(4) as impatient:
        try:
            for _ in range(4):
                impatient.submit(
                    http.post, "/v1/nodes.test", json={"key": 1}, headers=bearer(TOKEN)
                )
            assert started.wait(10)
            answer = http.post("/v1/sessions.whoami", headers=bearer(TOKEN), timeout=10)
            assert answer.status_code == 200
        finally:
            release.set()


def test_answers_that_nobody_reads_do_not_pile_up(api: RunningApi, http: httpx.Client) -> None:
    """Else each connection of a viewer could keep the pixels of a large picture in memory."""
    document = Document(kind=DocumentKind.OTHER, title="x" * (8 << 20), lines=())
    api.services.objects.answers["document"] = document
    unread = [connected(api) for _ in range(SHARE + 4)]
    try:
        for raw in unread:
            raw.sendall(head("POST", "objects.document", TOKEN, 9) + b'{"key":1}')
        eventually(lambda: len(api.services.objects.seen) == SHARE)
        for _ in range(20):
            assert http.post("/v1/system.health").status_code == 200
        assert len(api.services.objects.seen) == SHARE
        for raw in unread[:SHARE]:
            raw.close()
        eventually(lambda: len(api.services.objects.seen) > SHARE)
    finally:
        for raw in unread:
            raw.close()


def test_the_oldest_event_stream_of_a_session_gives_way(api: RunningApi) -> None:
    streams = [connected(api) for _ in range(MAX_STREAMS_PER_SESSION + 1)]
    try:
        for raw in streams:
            raw.sendall(head("GET", "events", TOKEN))
            assert raw.recv(65536).startswith(b"HTTP/1.1 200")
        eventually(lambda: b"\r\n0\r\n" in b"\r\n" + streams[0].recv(65536))
        for raw in streams[1:]:
            raw.setblocking(False)
            with pytest.raises(BlockingIOError):
                while raw.recv(65536):
                    pass
    finally:
        for raw in streams:
            raw.close()


def test_silent_connections_give_way_to_those_that_ask(api: RunningApi, http: httpx.Client) -> None:
    silent = [connected(api) for _ in range(MAX_CONNECTIONS_PER_USER + 50)]
    try:
        assert http.post("/v1/system.health").status_code == 200
        assert is_closed(silent[0])
        silent[-1].sendall(head("POST", "system.health"))
        assert silent[-1].recv(65536).startswith(b"HTTP/1.1 200")
    finally:
        for raw in silent:
            raw.close()


def test_more_connections_in_use_than_one_user_may_have_are_refused_in_words(
    api: RunningApi,
) -> None:
    used = []
    try:
        for _ in range(MAX_CONNECTIONS_PER_USER):
            raw = connected(api)
            raw.sendall(head("POST", "system.health"))
            assert raw.recv(65536).startswith(b"HTTP/1.1 200")
            used.append(raw)
        with connected(api) as late:
            answer = late.recv(65536)
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"too many connections" in answer
    finally:
        for raw in used:
            raw.close()


@pytest.mark.parametrize("start", [b"", b"POST /v1/system.health HT", head("POST", "x")[:-2]])
def test_a_connection_without_a_whole_request_is_closed_in_time(start: bytes) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="tp") as path,
        running_api(Path(path), head_seconds=0.1) as running,
    ):
        with connected(running) as raw:
            raw.sendall(start)
            assert is_closed(raw)
        with connected(running) as raw:
            raw.sendall(head("POST", "system.health"))
            assert raw.recv(65536).startswith(b"HTTP/1.1 200")
            raw.sendall(start or b"P")
            assert is_closed(raw)
