"""Lists of nodes as Orthanc, dcmqrscp and Conquest keep them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuipacs.client.node_files import MAX_BYTES, read_files, read_text
from tuipacs.domain.node import CallService
from tuipacs.domain.node_files import conquest, dcmqrscp, orthanc
from tuipacs.domain.node_files.formats import Format, parse
from tuipacs.domain.node_files.found import MAX_ENTRIES, FileNode, FileNodes, plan
from tuipacs.domain.permissions import GIVEN_SERVICES, NodeService
from tuipacs.errors import NotFoundError, TuipacsError, UsageError

ASKED = (CallService.ECHO, CallService.SEND, CallService.QUERY, CallService.MOVE)
BY_TITLE = (NodeService.ECHO, NodeService.STORE)
E, S, Q, M, G = (NodeService(name) for name in ("echo", "store", "query", "move", "get"))


def nodes(found: FileNodes) -> dict[str, FileNode]:
    return {node.ae_title: node for node in found.nodes}


def reasons(found: FileNodes) -> dict[str, str]:
    return {left.entry: left.reason for left in found.left_out}


ORTHANC = r"""
{ // the configuration of a "test" /* not a comment inside
  "Name" : "a // b /* c */ \" d",  /* "DicomModalities" : { "no" : 1 },
  */
  "DicomModalities" : {
    "sample" : [ "STORESCP", "127.0.0.1", 2000 ],
    "vitrea" : [ "VITREA", "192.168.1.1", "104", "Vitrea" ], // a port as a text
    "untrusted" : {
      "AET" : "ORTHANC2", "Port" : 104, "Host" : "10.0.0.9", "Manufacturer" : "Generic",
      "AllowEcho" : false, "AllowFind" : false, "AllowMove" : false, "AllowStore" : true,
      "AllowStorageCommitment" : false, "UseDicomTls" : true, "LocalAet" : "HELLO",
      "Timeout" : 90, "AllowTranscoding" : true, "Colour" : "blue"
    },
    "named" : { "AET" : "NAMED", "Port" : 104, "Host" : "pacs.example.org",
                "RetrieveMethod" : "C-GET" },
    "long" : [ "A_TITLE_TOO_LONG_FOR_DICOM", "h", 1 ],
    "short" : [ "A", "b" ],
    "port" : [ "A", "b", "x" ],
    "variable" : [ "A", "${HOST}", 104 ],
    "odd" : { "AET" : "A", "Host" : "b", "Port" : 1, "AllowEcho" : "yes" },
    "bool" : { "AET" : "A", "Host" : "b", "Port" : true },
    "number" : 5
  }
}
"""


def test_orthanc_has_lists_objects_and_comments() -> None:
    found = orthanc.read(ORTHANC)
    by_title = nodes(found)
    assert list(by_title) == ["STORESCP", "VITREA", "ORTHANC2", "NAMED"]
    sample = by_title["STORESCP"]
    assert (sample.entry, sample.address, sample.call.host, sample.call.port) == (
        "sample",
        "127.0.0.1",
        "127.0.0.1",
        2000,
    )
    assert sample.services == GIVEN_SERVICES  # Orthanc allows what it is not told to refuse
    assert sample.call.services == ASKED
    assert (by_title["VITREA"].call.port, by_title["VITREA"].description) == (104, "Vitrea")


def test_what_orthanc_refuses_a_modality_is_refused_here() -> None:
    node = nodes(orthanc.read(ORTHANC))["ORTHANC2"]
    assert node.services == (S, G)
    assert (node.call.use_tls, node.call.calling_ae_title) == (True, "HELLO")
    assert node.call.dimse_timeout == 90.0
    assert node.notes == ("not understood: Colour",)


def test_a_host_name_gives_no_right_to_read() -> None:
    """Whoever says that title would have it, from anywhere."""
    node = nodes(orthanc.read(ORTHANC))["NAMED"]
    assert (node.address, node.services) == ("", BY_TITLE)
    assert CallService.GET in node.call.services
    assert CallService.MOVE not in node.call.services
    assert "query, move, get, commit not given" in node.notes[0]


def test_each_entry_of_orthanc_that_cannot_be_taken_says_why() -> None:
    assert reasons(orthanc.read(ORTHANC)) == {
        "long": "the AE title is longer than 16 characters",
        "short": "a list of AE title, host, port (and manufacturer) was expected",
        "port": "x is no port",
        "variable": "its Host is a variable of the environment: write it out",
        "odd": "its AllowEcho is neither true nor false",
        "bool": "True is no port",
        "number": "neither a list nor an object",
    }


def test_the_answer_of_orthancs_rest_api_is_read_too() -> None:
    """It writes what is not set as empty or 0."""
    answer = {"pacs": {"AET": "PACS2", "Host": "10.0.0.5", "Port": 104, "AllowFind": True}}
    answer["pacs"] |= {"LocalAet": "", "Timeout": 0, "Manufacturer": "Generic"}
    node = nodes(orthanc.read(json.dumps(answer)))["PACS2"]
    assert (node.call.port, node.call.calling_ae_title, node.notes) == (104, "", ())
    assert node.call.dimse_timeout == 60.0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "no JSON"),
        ("[]", "no object"),
        ('{"a": "b', "no end"),
        ("{ /* ", "no end"),
        ('{"a": ' * 100_000, "no JSON|too deeply"),
        ("[" * 200_000, "no JSON|too deeply"),
    ],
    ids=range(6),
)
def test_what_is_no_configuration_of_orthanc_is_told(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        orthanc.read(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}", "no DicomModalities"),
        ('{"DicomModalities": []}', "no DicomModalities"),
        ('{"DicomModalitiesInDatabase": true}', "GET /modalities"),
    ],
)
def test_one_of_several_files_may_have_no_modalities(text: str, words: str) -> None:
    found = orthanc.read(text)
    assert not found.nodes
    assert words in reasons(found)["DicomModalities"]


DCMQRSCP = """
NetworkTCPPort = 104   # HostTable BEGIN
HostTable BEGIN
# comment = (C, c, 1)
acme1           = (ACME1, 10.1.1.1, 5678)
acme2           = (ACME2, acmehost2, 5678)
acmeCT          = acme1, acme2
loop            = loop, acme1
pair            = (UNITED1, 10.1.1.3, 104), (UNITED3, 10.1.1.4, 104)
lonely          = (LONELY, 10.1.1.5, 104)
broken          = (A, b)
mixed           = (A, b, 1), acme1
acme1           = (AGAIN, 10.1.1.8, 1)
HostTable END
VendorTable BEGIN
"Acme CT Company" = acmeCT
"Nobody"          = nobody
VendorTable END
AETable BEGIN
ACME_STORE  /db/acme               RW (9, 1024mb)  acmeCT
INLINE      "/db/with (a, b) RW"   R  (9, 1024mb)  (10.1.1.9, PEER9, 11112), loop
PUT         /db/put                W  (9, 1024mb)  pair
WRONG       /db/wrong              R  (9, 1024mb)  stranger
NOPEERS     /db/nopeers            R  (9, 1024mb)
AETable END
"""


def test_dcmqrscp_gives_peers_of_a_storage_area_what_its_access_says() -> None:
    by_title = nodes(dcmqrscp.read(DCMQRSCP))
    assert {title: node.services for title, node in by_title.items()} == {
        "ACME1": (E, S, Q, M, G),
        "ACME2": BY_TITLE,  # a host name
        "UNITED1": (E, S),
        "UNITED3": (E, S),
        "LONELY": (),  # a move destination only
        "PEER9": (E, Q, M, G),
    }
    assert by_title["ACME1"].description == "Acme CT Company"
    assert by_title["PEER9"].call.host == "10.1.1.9"  # its order is another one
    assert all(node.call.services == ASKED for node in by_title.values())


def test_each_entry_of_dcmqrscp_that_cannot_be_taken_says_why() -> None:
    assert reasons(dcmqrscp.read(DCMQRSCP)) == {
        "line 11": "not three values in brackets",
        "line 12": "peers and names in one entry",
        "line 13": "acme1 is there twice",
        "line 23": "stranger is not in the HostTable",
        "line 24": "no peers",
    }


def test_any_peer_is_every_host_of_the_table() -> None:
    text = DCMQRSCP.replace("  acmeCT\n", "  ANY\n")
    assert nodes(dcmqrscp.read(text))["LONELY"].services == (E, S, Q, M, G)


def test_a_file_without_a_host_table_is_not_dcmqrscps() -> None:
    with pytest.raises(UsageError, match="no HostTable"):
        dcmqrscp.read("AETable BEGIN\nAETable END\n")


CONQUEST = """/* **************
 * DICOM AE -> IP address / Port map
 * A 1.2.3.4 104 un
 ************** */
CONQUESTSRV1\t127.0.0.1\t      5678\t\t        un
V*           *               1234            un
CT7          10.2.*.*        104             ul
CTX          *               104             ul
KPServer     192.168.47.1    104             J3
WS2          ws2.example.org 4006            ue   # workstation
BIG          10.9.0.1        104
ODD          10.*.1.2        104             un
"""


def test_conquest_has_titles_hosts_ports_and_compressions() -> None:
    by_title = nodes(conquest.read(CONQUEST))
    assert by_title["KPServer"].services == (E, S, Q, M)
    assert by_title["WS2"].call.preferred_syntaxes == ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
    assert by_title["WS2"].services == BY_TITLE
    assert by_title["BIG"].call.preferred_syntaxes == ("1.2.840.10008.1.2",)
    assert "compression J3 is not taken over" in by_title["KPServer"].notes[0]


def test_patterns_of_addresses_become_networks_and_such_a_node_is_never_called() -> None:
    by_title = nodes(conquest.read(CONQUEST))
    assert (by_title["CT7"].address, by_title["CT7"].services) == ("10.2.0.0/16", (E, S, Q, M))
    assert (by_title["CTX"].address, by_title["CTX"].services) == ("", BY_TITLE)
    assert by_title["CT7"].call.host == by_title["CTX"].call.host == ""


def test_each_entry_of_conquest_that_cannot_be_taken_says_why() -> None:
    assert reasons(conquest.read(CONQUEST)) == {
        "CONQUESTSRV1 (line 5)": "the first entry is that Conquest itself, at its own loopback"
        " address",
        "V* (line 6)": "a pattern is no AE title: add those that call, by name",
        "ODD (line 12)": "this pattern of addresses cannot be written as a network",
    }


@pytest.mark.parametrize("title", ["*", "CT*", "C?"])
def test_a_pattern_is_no_ae_title_whoever_wrote_it(title: str) -> None:
    """Other programs' wildcards would be nodes that nobody ever is."""
    files = (
        json.dumps({"DicomModalities": {"any": [title, "10.0.0.1", 104]}}),
        json.dumps({"any": {"AET": title, "Host": "10.0.0.1", "Port": 104}}),
        f'HostTable BEGIN\nany = ("{title}", 10.0.0.1, 104)\nHostTable END\n',
        f"PACS 10.0.0.2 104\n{title} 10.0.0.1 104 un\n",
        f"PACS 10.0.0.2 104\n{title} 10.0.* 104 un\n",
    )
    for text in files:
        found = parse(text, None)
        assert title not in nodes(found)
        assert [left.reason for left in found.left_out] == [
            "a pattern is no AE title: add those that call, by name"
        ]


@pytest.mark.parametrize(
    ("text", "first"), [(ORTHANC, "STORESCP"), (DCMQRSCP, "ACME1"), (CONQUEST, "CT7")]
)
def test_the_kind_of_a_file_is_guessed(text: str, first: str) -> None:
    assert parse(text, None).nodes[0].ae_title == first


def test_what_is_none_of_them_is_said_to_be_none() -> None:
    with pytest.raises(UsageError, match="neither") as caught:
        parse("The quick brown fox\n", None)
    assert "--format" in caught.value.remedy
    assert parse("The quick brown fox\n", Format.CONQUEST).left_out[0].entry == "The (line 1)"


def test_what_is_known_twice_or_ourselves_is_left_out() -> None:
    found = conquest.read("A 10.0.0.1 104\nB 10.0.0.2 104\nA 10.0.0.3 104\nC localhost 11112\n")
    wanted = plan(found, {"B"}, [11112])
    assert [node.ae_title for node in wanted.nodes] == ["A"]
    assert reasons(wanted) == {
        "B (line 2)": "B is known already",
        "A (line 3)": "A is there twice; the first one counts",
        "C (line 4)": "it is this archive itself",
    }


def test_too_many_entries_are_refused() -> None:
    text = "".join(f"A{n} 10.0.0.1 104\n" for n in range(MAX_ENTRIES + 1))
    with pytest.raises(UsageError, match="more than 1000"):
        conquest.read(text)


def test_files_that_are_no_plain_texts_of_a_fair_size_are_not_read(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        read_text(tmp_path / "none")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "huge").write_bytes(b" " * (MAX_BYTES + 1))
    (tmp_path / "binary").write_bytes(b"DICM\0")
    for name in ("fifo", "huge", "binary", "."):
        with pytest.raises(UsageError):
            read_text(tmp_path / name)
    (tmp_path / "latin").write_bytes(b"# M\xfcller\nPACS2 10.0.0.5 104\n")
    (tmp_path / "bom").write_bytes(b"\xef\xbb\xbfPACS3 10.0.0.6 104\n")
    both = read_files([tmp_path / "latin", tmp_path / "bom"], None)
    assert [node.ae_title for node in both.nodes] == ["PACS2", "PACS3"]


_PIECES = st.sampled_from(
    [
        *("HostTable BEGIN\n", "HostTable END\n", "AETable BEGIN\n", "a = (A, b, 1)\n", "RW "),
        *("/*", "*/", "//", '"', "\\", "{", "}", "[", "]", ":", ",", '"DicomModalities"', '"AET"'),
        *("* ", "10.*", " 104", "\n", "(", ")", "=", "#", "a", "ANY", "\x1b[31m", "\u202e", "é"),
    ]
)


@given(st.lists(_PIECES, max_size=40).map("".join), st.sampled_from([None, *Format]))
def test_no_text_does_more_than_be_refused(text: str, format_: Format | None) -> None:
    try:
        found = parse(text, format_)
    except TuipacsError:
        return
    for left in found.left_out:
        assert (left.entry + left.reason).isprintable()
    for node in found.nodes:
        assert node.ae_title.isascii()
        assert all(note.isprintable() for note in node.notes)


@pytest.mark.parametrize("piece", ["/*", '"', '"\\', "(", "a,", "HostTable BEGIN\n", "* "])
def test_a_text_of_the_largest_size_is_read_in_linear_time(piece: str) -> None:
    """It would take hours otherwise."""
    text = piece * (MAX_BYTES // len(piece))
    for reader in (orthanc, dcmqrscp, conquest):
        reader.looks_like(text)
        try:
            reader.read(text)
        except UsageError:
            continue
