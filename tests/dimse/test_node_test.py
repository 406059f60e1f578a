"""The ladder against real listeners and against peers that play a fault on each rung."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from tests.dimse.archive import ADMIN, Archive
from tests.dimse.hostile_acceptor import Call, accept, playing, response
from tests.dimse.raw_peer import p_data, pdu
from tests.dimse.tls_site import Site, secure_archive, self_signed, sha256
from tests.ports import unused_port
from tuipacs.certificates.checking import TlsFiles
from tuipacs.dimse.tls import ServerTls
from tuipacs.domain.admission import UnknownCallers
from tuipacs.domain.node import CallService, NodeCall, NodeRecord
from tuipacs.domain.node_health import Rung, RungResult, Verdict
from tuipacs.domain.permissions import Permission
from tuipacs.errors import NotFoundError, UnavailableError, UsageError
from tuipacs.index.database import Index
from tuipacs.index.migrations import migrate
from tuipacs.schema.messages import Empty
from tuipacs.schema.node_messages import (
    NodeAddRequest,
    NodeTestProgressRequest,
    NodeTestRequest,
)
from tuipacs.services.calling import Calling
from tuipacs.services.node_checks import Checks
from tuipacs.services.node_test import climb, echo
from tuipacs.services.nodes import Nodes

ALL = tuple(CallService)
PASSED, FAILED = Verdict.PASSED, Verdict.FAILED
SKIPPED, NOT_TRIED = Verdict.SKIPPED, Verdict.NOT_TRIED


@pytest.fixture(scope="module")
def called(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """An archive that lets strangers echo, and the node ARCH1 do everything."""
    folder = tmp_path_factory.mktemp("called")
    archive = Archive(folder, unknown=UnknownCallers.ECHO)
    archive.know("ARCH1")
    yield archive
    archive.close()


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    opened = Index(tmp_path_factory.mktemp("calling") / "index.db")
    migrate(opened)
    yield opened
    opened.close()


@pytest.fixture
def calling(index: Index) -> Calling:
    return Calling(index, "ARCH1", None)


def node(port: int, *services: CallService, title: str = "TUIPACS", **call: object) -> NodeRecord:
    return NodeRecord(
        key=1,
        ae_title=title,
        address="",
        services=(),
        description="",
        created_at=0.0,
        call=msgspec.structs.replace(
            NodeCall(host="127.0.0.1", port=port, services=services or ALL), **call
        ),
    )


def climbed(wanted: NodeRecord, calling: Calling) -> tuple[RungResult, ...]:
    """All rungs; each was told once, in order, before the end."""
    told: list[RungResult] = []
    rungs = climb(wanted, calling, told.append)
    assert tuple(told) == rungs
    assert [rung.rung for rung in rungs] == list(Rung)
    return rungs


def verdicts(rungs: tuple[RungResult, ...]) -> list[Verdict]:
    return [rung.verdict for rung in rungs]


def broken(rungs: tuple[RungResult, ...]) -> RungResult:
    """The one that broke: all before it hold, none after it was tried."""
    (result,) = [rung for rung in rungs if rung.is_broken]
    at = rungs.index(result)
    assert all(rung.verdict in (PASSED, SKIPPED) for rung in rungs[:at])
    assert all(rung.verdict in (NOT_TRIED, SKIPPED) for rung in rungs[at + 1 :])
    assert result.remedy
    assert result.code
    return result


def test_a_node_that_answers_holds_on_every_rung(called: Archive, calling: Calling) -> None:
    rungs = climbed(node(called.port), calling)
    assert verdicts(rungs) == [PASSED, SKIPPED, PASSED, PASSED, PASSED]
    association = rungs[2]
    assert association.notes[0].startswith("takes echo, send, query")


def test_a_find_of_the_ladder_asks_for_nobody(called: Archive, calling: Calling) -> None:
    """For a study that is nowhere: no patient's name crosses the line."""
    climbed(node(called.port, CallService.QUERY), calling)
    assert "STUDY: StudyInstanceUID=2.25." in called.audited("query.find")[0]
    assert "; 0 answers" in called.audited("query.find")[0]


def test_what_a_node_is_not_asked_for_is_skipped(called: Archive, calling: Calling) -> None:
    rungs = climbed(node(called.port, CallService.SEND), calling)
    assert verdicts(rungs) == [PASSED, SKIPPED, PASSED, SKIPPED, SKIPPED]


def test_a_service_that_is_refused_is_named_and_the_others_go_on(
    called: Archive, calling: Calling
) -> None:
    stranger = node(called.port, CallService.ECHO, CallService.SEND, calling_ae_title="STRANGER")
    rungs = climbed(stranger, calling)
    assert verdicts(rungs) == [PASSED, SKIPPED, PASSED, PASSED, SKIPPED]
    assert rungs[2].words.endswith("but not all of it")
    assert rungs[2].notes[0] == "takes echo"
    assert rungs[2].notes[1].startswith("refuses send, CT Image Storage: ")


def test_a_port_where_nothing_listens_breaks_the_first_rung(calling: Calling) -> None:
    result = broken(climbed(node(unused_port()), calling))
    assert (result.rung, result.code) == (Rung.TCP, "connection")
    assert "refused the connection" in result.words
    bare = climbed(node(unused_port(), CallService.ECHO), calling)
    assert verdicts(bare) == [FAILED, SKIPPED, NOT_TRIED, NOT_TRIED, SKIPPED]


def test_a_host_without_an_address_breaks_the_first_rung(calling: Calling) -> None:
    result = broken(climbed(node(104, host="nowhere.invalid"), calling))
    assert (result.rung, result.code) == (Rung.TCP, "name")
    assert "getent hosts nowhere.invalid" in result.remedy


@pytest.mark.parametrize(
    ("rejection", "code", "remedy"),
    [
        (b"\1\1\3", "rejected", "AE title ARCH1"),
        (b"\1\1\7", "rejected", "is not called TUIPACS"),
        (b"\1\1\1", "rejected", "does not say why"),
        (b"\2\3\2", "busy", "try again later"),
    ],
)
def test_each_rejection_has_its_own_remedy(
    calling: Calling, rejection: bytes, code: str, remedy: str
) -> None:
    def reject(call: Call) -> None:
        call.request()
        call.send(pdu(3, b"\0" + rejection))

    with playing(_after_a_look(reject)) as acceptor:
        result = broken(climbed(node(acceptor.port), calling))
    assert (result.rung, result.code) == (Rung.ASSOCIATION, code)
    assert "source" in result.words
    assert remedy in result.remedy


def _after_a_look(part: Callable[[Call], None]) -> Callable[[Call], None]:
    """The first connection is that of the first rung, which says nothing."""
    calls: list[Call] = []

    def play(call: Call) -> None:
        calls.append(call)
        if len(calls) > 1:
            part(call)

    return play


def test_a_peer_that_takes_no_context_breaks_the_association(calling: Calling) -> None:
    def refuse(call: Call) -> None:
        call.request()
        call.send(accept(dict.fromkeys(call.proposed, (3, "1.2.840.10008.1.2"))))
        call.abort_seen()

    with playing(_after_a_look(refuse)) as acceptor:
        result = broken(climbed(node(acceptor.port, CallService.ECHO), calling))
    assert (result.rung, result.code) == (Rung.ASSOCIATION, "no-context")
    assert "SOP class not supported" in result.words


@pytest.mark.parametrize(
    ("said", "code", "remedy"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "protocol", "another service listens"),
        (b"\x15\x03\x01\x00\x02\x02\x28", "protocol", "--tls"),
        (b"", "lost", "own log"),
    ],
)
def test_what_is_no_dicom_is_told_as_what_it_is(
    calling: Calling, said: bytes, code: str, remedy: str
) -> None:
    def speak(call: Call) -> None:
        call.request()
        if said:
            call.send(said)

    with playing(_after_a_look(speak)) as acceptor:
        result = broken(climbed(node(acceptor.port), calling))
    assert (result.rung, result.code) == (Rung.ASSOCIATION, code)
    assert remedy in result.remedy


def test_a_peer_that_says_nothing_is_not_waited_for_long(calling: Calling) -> None:
    def silent(call: Call) -> None:
        call.request()
        call.read()  # until we give up

    with playing(_after_a_look(silent)) as acceptor:
        result = broken(climbed(node(acceptor.port, acse_timeout=0.3), calling))
    assert (result.rung, result.code) == (Rung.ASSOCIATION, "timeout")
    assert "within 0.3 s" in result.words


def test_an_echo_that_is_refused_breaks_its_rung_with_the_status(calling: Calling) -> None:
    def refuse(call: Call) -> None:
        call.accept()
        context, command = call.command()
        call.send(p_data(context, 3, response(command, 0x0124, comment="not \x1b[31myou")))
        call.read()

    with playing(_after_a_look(refuse)) as acceptor:
        result = broken(climbed(node(acceptor.port), calling))
    assert (result.rung, result.code) == (Rung.ECHO, "status")
    assert "0x0124" in result.words
    assert result.words.isprintable()


def test_a_peer_that_goes_inside_the_echo_is_told(calling: Calling) -> None:
    def go(call: Call) -> None:
        call.accept()
        call.command()

    with playing(_after_a_look(go)) as acceptor:
        result = broken(climbed(node(acceptor.port), calling))
    assert (result.rung, result.code) == (Rung.ECHO, "no-answer")
    assert result.words == "closed the connection without a release"


def test_a_find_that_matches_what_nobody_has_is_not_trusted(calling: Calling) -> None:
    """Its answers would be those of other patients."""

    def flood(call: Call) -> None:
        call.accept()
        context, command = call.command()
        call.dataset()
        for _ in range(20):
            body = response(command, 0xFF00, has_dataset=True)
            call.send(p_data(context, 3, body))
            call.send(p_data(context, 2, b"\x08\x00\x52\x00CS\x06\x00STUDY "))
        call.abort_seen()

    with playing(_after_a_look(flood)) as acceptor:
        wanted = node(acceptor.port, CallService.QUERY)
        result = broken(climbed(wanted, calling))
    assert (result.rung, result.code) == (Rung.FIND, "stray-matches")


def test_a_find_that_fails_breaks_the_last_rung(calling: Calling) -> None:
    def fail(call: Call) -> None:
        call.accept()
        call.answer(0xC001)
        call.read()

    with playing(_after_a_look(fail)) as acceptor:
        result = broken(climbed(node(acceptor.port, CallService.QUERY), calling))
    assert (result.rung, result.code) == (Rung.FIND, "status")
    assert "0xC001" in result.words


def test_a_node_that_cannot_be_called_is_no_ladder_at_all(calling: Calling, index: Index) -> None:
    with pytest.raises(UsageError, match="no host"):
        climb(node(104, host=""), calling, lambda _: None)
    nodes = Nodes(index, lambda: 0.0, calling=calling)
    with pytest.raises(NotFoundError):
        nodes.test(ADMIN, NodeTestRequest(key=99))


# --- TLS


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory, site: Site) -> Iterator[Archive]:
    with secure_archive(tmp_path_factory.mktemp("s") / "a", ServerTls(site.files())) as archive:
        archive.know("ARCH1")
        yield archive


def over_tls(archive: Archive, **changes: object) -> NodeRecord:
    wanted = node(archive.listener.tls_port, use_tls=True)
    return msgspec.structs.replace(wanted, **changes)


def test_over_tls_the_certificate_is_shown_with_its_end(
    index: Index, secure: Archive, site: Site
) -> None:
    calling = Calling(index, "ARCH1", TlsFiles(site.ct1.certificate, site.ct1.key, site.ca))
    rungs = climbed(over_tls(secure, certificate_sha256=sha256(site.archive)), calling)
    assert verdicts(rungs) == [PASSED] * 5
    assert rungs[1].words.startswith("TLSv1.3")
    assert f"certificate {sha256(site.archive)[:12]}…, bound to it" in rungs[1].notes
    assert "valid until 20" in rungs[1].notes[1]
    unbound = climbed(over_tls(secure), calling)
    assert "not bound" in unbound[1].notes[0]


def test_each_fault_of_tls_breaks_its_rung_with_a_remedy(
    index: Index, secure: Archive, called: Archive, site: Site, tmp_path: Path
) -> None:
    good = TlsFiles(site.ct1.certificate, site.ct1.key, site.ca)
    other = self_signed(tmp_path, "other")
    cases = [
        (over_tls(secure, certificate_sha256="ab" * 32), good, "another certificate", "--certif"),
        (over_tls(secure), TlsFiles(good.certificate, good.key, None), "tls.ca", "tls ca"),
        (
            over_tls(secure),
            TlsFiles(good.certificate, good.key, other.certificate),
            "not accepted",
            "in the file of tls.ca",
        ),
        (node(called.port, use_tls=True), good, "TLS", "--no-tls"),
    ]
    for wanted, files, words, remedy in cases:
        result = broken(climbed(wanted, Calling(index, "ARCH1", files)))
        assert result.rung is Rung.TLS
        assert words in result.words
        assert remedy in result.remedy


def test_without_tls_a_tls_port_says_what_it_wants(index: Index, secure: Archive) -> None:
    wanted = node(secure.listener.tls_port)
    result = broken(climbed(wanted, Calling(index, "ARCH1", None)))
    assert result.rung is Rung.ASSOCIATION


# --- echo, and what is kept


def test_an_echo_tells_how_long_it_took_or_the_rung_that_broke(
    called: Archive, calling: Calling
) -> None:
    good = echo(node(called.port), calling)
    assert (good.rung, good.verdict) == (Rung.ECHO, PASSED)
    assert good.seconds > 0
    bad = echo(node(unused_port()), calling)
    assert (bad.rung, bad.verdict) == (Rung.TCP, FAILED)
    with pytest.raises(UsageError, match="not asked for echo"):
        echo(node(called.port, CallService.SEND), calling)


def test_the_last_outcome_is_kept_with_the_node_until_it_is_forgotten(
    called: Archive, tmp_path: Path
) -> None:
    index = Index(tmp_path / "index.db")
    migrate(index)
    nodes = Nodes(index, lambda: 1234.0, calling=Calling(index, "ARCH1", None))
    call = node(called.port).call
    request = NodeAddRequest(ae_title="TUIPACS", address="", services=(), call=call)
    key = nodes.add(ADMIN, request).key
    assert nodes.list(ADMIN, Empty()).health == ()
    report = nodes.test(ADMIN, NodeTestRequest(key=key, ticket="t"))
    assert verdicts(report.rungs) == [PASSED, SKIPPED, PASSED, PASSED, PASSED]
    (health,) = nodes.list(ADMIN, Empty()).health
    assert (health.reached, health.checked_at, health.words) == (True, 1234.0, "answers")
    bad = node(unused_port()).call
    key = nodes.add(ADMIN, msgspec.structs.replace(request, ae_title="GONE", call=bad)).key
    assert nodes.echo(ADMIN, NodeTestRequest(key=key)).rungs[0].is_broken
    worst = {each.key: each for each in nodes.list(ADMIN, Empty()).health}[key]
    assert not worst.reached
    assert worst.words.startswith("tcp: refused")
    index.close()


def test_a_running_test_can_be_looked_at_by_whoever_started_it_alone(index: Index) -> None:
    checks = Checks()
    rung = RungResult(rung=Rung.TCP, verdict=PASSED, words="x")
    with checks.running("ada", "t") as told:
        told(rung)
        assert checks.done("ada", "t") == (rung,)
        assert checks.done("bob", "t") == ()
        assert checks.done("ada", "u") == ()
    assert checks.done("ada", "t") == ()
    nodes = Nodes(index, lambda: 0.0)
    assert nodes.test_progress(ADMIN, NodeTestProgressRequest(ticket="t")).rungs == ()


def test_a_stopping_archive_does_not_wait_for_further_rungs(
    called: Archive, calling: Calling
) -> None:
    checks = Checks()
    with (
        pytest.raises(UnavailableError, match="stopping"),
        checks.running("ada", "t") as told,
    ):
        checks.stop()
        climb(node(called.port), calling, told)


def test_too_many_tests_at_once_are_refused() -> None:
    checks = Checks()
    with ExitStack() as stack:
        for number in range(16):
            stack.enter_context(checks.running("a", str(number)))
        with pytest.raises(UnavailableError), checks.running("a", "last"):
            pass


def test_the_right_to_ask_nodes_is_enough_for_a_test() -> None:
    assert Nodes.test.permission is Permission.QUERY_NODES  # type: ignore[attr-defined]
    assert Nodes.echo.permission is Permission.QUERY_NODES  # type: ignore[attr-defined]
