"""C-FIND as an asker: pynetdicom answers, or an acceptor that misbehaves."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from tests.builders import part10_bytes
from tests.dimse.archive import Archive as OurArchive
from tests.dimse.hostile_acceptor import QUICK, Call, accept, playing, response
from tests.dimse.raw_peer import EXPLICIT, IMPLICIT, p_data, pdu
from tests.ports import unused_port
from tests.unit.find_rows import entry, put
from tests.waiting import eventually
from tuipacs.domain.permissions import NodeService
from tuipacs.errors import InvalidObjectError, UnavailableError
from tuipacs.scu.c_echo import echo
from tuipacs.scu.c_find import MODALITY_WORKLIST, STUDY_ROOT, find
from tuipacs.scu.requestor import Peer

ANSWER_UID = b"\x08\0\x18\0UI\4\x001.2\0"  # (0008,0018), explicit little endian


class Archive:
    """Answers with ``matches``, until it is cancelled; then with ``final``."""

    def __init__(self) -> None:
        self.reset()
        entity = AE(ae_title="FINDER")
        entity.add_supported_context(STUDY_ROOT, [EXPLICIT, IMPLICIT])
        self._server = entity.start_server(
            ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, self._find)]
        )
        port = self._server.socket.getsockname()[1]
        self.peer = Peer("127.0.0.1", port, "FINDER", "TUIPACS", settings=QUICK)

    def reset(self) -> None:
        self.matches = 3
        self.pending = 0xFF00
        self.final: int | None = None
        self.asked: list[Dataset] = []
        self.was_cancelled = False

    def _find(self, event: evt.Event) -> Iterator[tuple[int | Dataset, Dataset | None]]:
        self.asked.append(event.identifier)
        for number in range(self.matches):
            if event.is_cancelled:
                self.was_cancelled = True
                yield 0xFE00, None
                return
            match = Dataset()
            match.SpecificCharacterSet = "ISO_IR 192"
            match.QueryRetrieveLevel = "STUDY"
            match.PatientName = f"Müller^{number}"
            yield self.pending, match
        if self.final is not None:
            status = Dataset()
            status.Status, status.ErrorComment = self.final, "no memory"
            yield status, None

    def close(self) -> None:
        self._server.shutdown()


@pytest.fixture(scope="module")
def running() -> Iterator[Archive]:
    archive = Archive()
    yield archive
    archive.close()


@pytest.fixture
def archive(running: Archive) -> Archive:
    running.reset()
    return running


def _question() -> Dataset:
    question = Dataset()
    question.QueryRetrieveLevel = "STUDY"
    question.PatientName = "M*"
    question.StudyInstanceUID = ""
    return question


def test_all_matches_come_in_order_and_then_the_final_answer(archive: Archive) -> None:
    with find(archive.peer, STUDY_ROOT, _question()) as matches:
        names = [str(match.PatientName) for match in matches]
    assert names == ["Müller^0", "Müller^1", "Müller^2"]
    assert matches.final is not None
    assert matches.final.status == 0
    assert not matches.optional_keys_ignored
    assert archive.asked == [_question()]


def test_a_peer_that_ignores_a_key_is_noticed(archive: Archive) -> None:
    archive.pending = 0xFF01
    with find(archive.peer, STUDY_ROOT, _question()) as matches:
        assert len(list(matches)) == 3
    assert matches.optional_keys_ignored


def test_a_failure_after_some_matches_is_told_with_the_peers_words(archive: Archive) -> None:
    archive.final = 0xA700
    with find(archive.peer, STUDY_ROOT, _question()) as matches:
        assert len(list(matches)) == 3
    assert matches.final is not None
    assert (matches.final.status, matches.final.comment) == (0xA700, "no memory")


def test_a_cancelled_question_ends_before_its_last_match(archive: Archive) -> None:
    archive.matches = 100_000
    with find(archive.peer, STUDY_ROOT, _question()) as matches:
        seen = 0
        for _ in matches:
            seen += 1
            if seen == 2:
                matches.cancel()
    assert matches.final is not None
    assert matches.final.status == 0xFE00
    assert archive.was_cancelled
    assert 2 <= seen < 100_000


def test_leaving_early_aborts(archive: Archive) -> None:
    """The association is in the middle of an answer: a release there would be against PS3.8 7.2."""
    seen = []

    def play(call: Call) -> None:
        call.accept()
        context, asked = call.command()
        call.dataset()
        for _ in range(3):
            call.send(p_data(context, 3, response(asked, 0xFF00, has_dataset=True)))
            call.send(p_data(context, 2, ANSWER_UID))
        seen.append(call.abort_seen())

    with playing(play) as acceptor, find(acceptor.peer(), STUDY_ROOT, _question()) as matches:
        next(iter(matches))
    assert seen == [(0, 0)]


@pytest.mark.parametrize(
    ("match", "words"),
    [
        (b"\x10\0\x10\0PN\xff\x7fab", "cannot be read"),
        (b"\x08\0\x05\0\xff\xff\xff", "cannot be read"),
        (b"\x20\0\x13\0IS\2\0x!", "cannot be read"),
    ],
)
def test_a_match_that_cannot_be_read_is_no_match(match: bytes, words: str) -> None:
    def play(call: Call) -> None:
        call.accept()
        context, asked = call.command()
        call.dataset()
        call.send(p_data(context, 3, response(asked, 0xFF00, has_dataset=True)))
        call.send(p_data(context, 2, match))
        call.abort_seen()

    with (
        playing(play) as acceptor,
        pytest.raises(InvalidObjectError, match=words),
        find(acceptor.peer(), STUDY_ROOT, _question()) as matches,
    ):
        list(matches)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda n, c: p_data(n, 3, response(c, 0xFF00)), "a match without an identifier"),
        (lambda n, c: p_data(n, 3, response(c, 0xFF00, has_dataset=True)) + pdu(7, bytes(4)), "ab"),
        (
            lambda n, c: (
                p_data(n, 3, response(c, 0xFF00, has_dataset=True))
                + p_data(n, 0, bytes(100_000)) * 11
            ),
            "more than 1048576 bytes",
        ),
    ],
)
def test_half_an_answer_is_no_answer(answer: object, words: str) -> None:
    def play(call: Call) -> None:
        call.accept()
        context, asked = call.command()
        call.dataset()
        call.send(answer(context, asked))  # type: ignore[operator]
        call.read()

    with playing(play) as acceptor, find(acceptor.peer(), STUDY_ROOT, _question()) as matches:
        assert list(matches) == []
    assert matches.final is not None
    assert matches.final.status is None
    assert words in matches.final.comment


def test_implicit_is_spoken_where_explicit_is_not_taken() -> None:
    asked = []

    def play(call: Call) -> None:
        call.request()
        call.send(accept({1: (4, ""), 3: (0, IMPLICIT)}))
        context, command = call.command()
        assert context == 3
        asked.append(call.dataset())
        call.send(p_data(context, 3, response(command, 0)))
        call.release()

    with playing(play) as acceptor, find(acceptor.peer(), STUDY_ROOT, _question()) as matches:
        assert list(matches) == []
    assert asked[0].startswith(b"\x08\0\x52\0\6\0\0\0STUDY ")


def test_our_own_archive_is_understood(tmp_path: Path) -> None:
    archive = OurArchive(tmp_path)
    try:
        archive.know("ASKING", NodeService.QUERY)
        put(archive.index, (entry(patient_name=f"Müller^{n:03}") for n in range(300)))
        peer = Peer("127.0.0.1", archive.port, "TUIPACS", "ASKING", settings=QUICK)
        with find(peer, STUDY_ROOT, _question()) as matches:
            names = {str(match.PatientName) for match in matches}
    finally:
        archive.close()
    assert names == {f"Müller^{n:03}" for n in range(300)}
    assert matches.final is not None
    assert matches.final.status == 0


@pytest.mark.dcmtk
def test_dcmtks_worklist_answers_with_its_character_set(tmp_path: Path) -> None:
    port = unused_port()
    folder = tmp_path / "WORKLIST"
    folder.mkdir()
    (folder / "lockfile").touch()
    for number, name in enumerate(("Müller^Anna", "Maier^Bob")):
        entry = _worklist_entry(name, str(number))
        (folder / f"{number}.wl").write_bytes(part10_bytes(entry))
    process = subprocess.Popen(
        ["wlmscpfs", "-dfr", "-csk", "-dfp", str(tmp_path), str(port)],
        env=os.environ | {"TCP_NODELAY": "1"},
        stderr=subprocess.DEVNULL,
    )
    peer = Peer("127.0.0.1", port, "WORKLIST", "TUIPACS", settings=QUICK)
    question = _worklist_entry("M*ller^*", "")
    try:
        eventually(lambda: _answers(peer))
        with find(peer, MODALITY_WORKLIST, question) as matches:
            names = [str(match.PatientName) for match in matches]
    finally:
        process.terminate()
        process.wait(10)
    assert names == ["Müller^Anna"]
    assert matches.final is not None
    assert matches.final.status == 0


def _worklist_entry(name: str, patient_id: str) -> Dataset:
    step = Dataset()
    step.ScheduledStationAETitle = step.Modality = ""
    step.ScheduledProcedureStepStartDate = "20240131" if patient_id else ""
    step.ScheduledProcedureStepStartTime = "0930" if patient_id else ""
    if patient_id:
        step.ScheduledStationAETitle, step.Modality = "CT1", "CT"
    entry = Dataset()
    entry.SpecificCharacterSet = "ISO_IR 100"
    entry.PatientName, entry.PatientID = name, patient_id
    entry.ScheduledProcedureStepSequence = [step]
    return entry


def _answers(peer: Peer) -> bool:
    try:
        return echo(peer).status == 0
    except UnavailableError:
        return False
