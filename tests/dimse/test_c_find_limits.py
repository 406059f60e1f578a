"""What a node may have and how it is read: limits that are told, and an assumed character set."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.dimse.archive import ADMIN, Archive
from tests.dimse.raw_peer import RawPeer, command, us
from tests.unit.find_rows import EXPLICIT, answer, entry, identifier, put
from tests.waiting import eventually
from tuipacs.dimse.syntaxes import STUDY_ROOT_FIND
from tuipacs.domain.permissions import NodeService
from tuipacs.schema.node_messages import NodeAddRequest
from tuipacs.services.query import Ending

FIND = command(0x0020, STUDY_ROOT_FIND, dataset=True)
LATIN = {"patient_id": "L", "patient_name": "Müller^Änne"}
CYRILLIC = {"patient_id": "C", "patient_name": "Люкceмбypг"}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    archive = Archive(tmp_path_factory.mktemp("limits"), max_results=5)
    for title, more in {
        "USUAL": {},
        "THREE": {"max_results": 3},
        "TEN": {"max_results": 10},
        "LATIN": {"character_set": "ISO_IR 100"},
        "RUSSIAN": {"character_set": "ISO_IR 144"},
    }.items():
        request = NodeAddRequest(
            ae_title=title,
            address="",
            services=(NodeService.ECHO, NodeService.QUERY),
            **more,  # type: ignore[arg-type]
        )
        archive.nodes.add(ADMIN, request)
    put(archive.index, (entry(patient_id=f"P{n}", patient_name="DOE") for n in range(7)))
    put(archive.index, [entry(**LATIN), entry(**CYRILLIC)])
    yield archive
    archive.close()


def ask(archive: Archive, title: str, data: bytes) -> tuple[list[bytes], dict[int, bytes]]:
    """The answers' identifiers, and the final command set."""
    found = []
    with RawPeer(archive.port) as peer:
        peer.associate([(1, STUDY_ROOT_FIND, [EXPLICIT])], calling=title.encode())
        peer.request(1, FIND, data)
        while True:
            elements = peer.answer()
            if elements[0x0800] == us(0x0101):
                return found, elements
            found.append(peer.read()[1][6:])


@pytest.mark.parametrize(
    ("title", "key", "count", "status"),
    [
        ("USUAL", "P*", 5, 0xA700),
        ("THREE", "P*", 3, 0xA700),
        ("TEN", "P*", 7, 0x0000),
        ("THREE", "P1", 1, 0x0000),
    ],
)
def test_more_matches_than_the_limit_end_in_no_success(
    archive: Archive, title: str, key: str, count: int, status: int
) -> None:
    found, final = ask(archive, title, identifier(PatientID=key))
    assert (len(found), final[0x0900]) == (count, us(status))
    comment = final.get(0x0902, b"").decode()
    assert (f"the {count} that were sent" in comment) == (status != 0)


def test_as_many_matches_as_the_limit_are_all_of_them(archive: Archive) -> None:
    with archive.index.read() as reader:
        uids = [row[0] for row in reader.all("SELECT study_instance_uid FROM study LIMIT 3")]
    found, final = ask(archive, "THREE", identifier(StudyInstanceUID=uids))
    assert (len(found), final[0x0900]) == (3, us(0))


def test_the_audit_record_says_that_there_was_more(archive: Archive) -> None:
    ask(archive, "THREE", identifier(PatientID="P*", AccessionNumber=""))
    (detail,) = eventually(lambda: [d for d in archive.audited("AccessionNumber") if "P*" in d])
    assert detail.endswith(f"; 3 answers, {Ending.LIMITED.value}")


def raw(name: bytes) -> bytes:
    """An identifier with a name in bytes of its own, that names no character set."""
    name += b" " * (len(name) % 2)
    return identifier() + b"\x10\0\x10\0PN" + len(name).to_bytes(2, "little") + name


@pytest.mark.parametrize(
    ("title", "codec", "term", "name"),
    [
        ("LATIN", "latin_1", "ISO_IR 100", "müll*"),
        ("RUSSIAN", "iso8859_5", "ISO_IR 144", "люк*"),
        ("USUAL", "latin_1", "ISO_IR 192", "müll*"),
    ],
)
def test_a_node_that_names_no_character_set_is_read_and_answered_in_the_assumed_one(
    archive: Archive, title: str, codec: str, term: str, name: str
) -> None:
    (found,), final = ask(archive, title, raw(name.encode(codec)))
    assert final[0x0900] == us(0)
    dataset = answer(found)
    assert dataset.SpecificCharacterSet == term
    assert str(dataset.PatientName)[:3].lower() == name[:3]


def test_what_the_assumed_character_set_cannot_say_is_answered_in_unicode(
    archive: Archive,
) -> None:
    (found,), _ = ask(archive, "LATIN", identifier(PatientID="C", PatientName=""))
    dataset = answer(found)
    assert (dataset.SpecificCharacterSet, dataset.PatientName) == (
        "ISO_IR 192",
        CYRILLIC["patient_name"],
    )


def test_a_character_set_that_is_named_is_not_replaced_by_the_assumed_one(
    archive: Archive,
) -> None:
    named = identifier(SpecificCharacterSet="ISO_IR 192", PatientName="люк*")
    (found,), _ = ask(archive, "LATIN", named)
    assert answer(found).SpecificCharacterSet == "ISO_IR 192"


def test_bytes_that_the_assumed_character_set_has_not_are_no_question(archive: Archive) -> None:
    archive.nodes.add(
        ADMIN,
        NodeAddRequest(
            ae_title="UNICODE",
            address="",
            services=(NodeService.QUERY,),
            character_set="ISO_IR 192",
        ),
    )
    found, final = ask(archive, "UNICODE", raw("müll*".encode("latin_1")))
    assert (found, final[0x0900]) == ([], us(0xC000))
    assert final[0x0901] == b"\x10\0\x10\0", "the offending element"
