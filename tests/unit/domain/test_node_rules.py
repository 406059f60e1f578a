"""What may stand in a node's record, and what is said of the rest."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID

from tuipacs.dicom.charset import charset_of
from tuipacs.dicom.transcoding.rules import TARGETS
from tuipacs.domain.character_sets import EXTENSIONS, SINGLE, check_character_set
from tuipacs.domain.node import CallService, NodeCall, NodeRecord
from tuipacs.domain.node_rules import (
    LIMITS,
    check_call,
    check_host,
    check_max_results,
    check_window,
)
from tuipacs.domain.node_words import call_words, change_words, facts, line
from tuipacs.domain.permissions import NodeService
from tuipacs.domain.transfer_syntaxes import NAMES, check_preferred
from tuipacs.errors import UsageError

CALL = NodeCall(host="10.0.0.5", services=(CallService.ECHO,))


@pytest.mark.parametrize(
    ("given_host", "host"),
    [
        ("", ""),
        (" 192.0.2.7 ", "192.0.2.7"),
        ("[2001:DB8::5]", "2001:db8::5"),
        ("PACS2.Example.org", "pacs2.example.org"),
        ("pacs_2", "pacs_2"),
        ("pacs.example.org.", "pacs.example.org."),
    ],
)
def test_a_host_is_kept_in_its_canonical_form(given_host: str, host: str) -> None:
    assert check_host(given_host) == host
    assert check_host(host) == host


@pytest.mark.parametrize(
    "host",
    [
        "10.0.0.256",
        "10.0.0",
        "host:104",
        "http://host",
        "10.0.0.0/24",
        "a b",
        "-a.org",
        "a..b",
        "x" * 64,
        "a." * 127 + "org",
        "\x1b[31m",
        "ho\u202est",
    ],
)
def test_what_is_no_host_is_refused_with_a_remedy(host: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_host(host)
    assert caught.value.remedy


@given(st.text(max_size=300))
def test_a_host_that_is_taken_is_harmless_on_a_terminal_and_in_a_url(text: str) -> None:
    try:
        host = check_host(text)
    except UsageError:
        return
    assert host.isascii()
    assert host.isprintable()
    assert not set(host) & set(" /\\@?#'\"")


@pytest.mark.parametrize(
    ("text", "window"),
    [("", ""), ("22:00-06:00", "22:00-06:00"), (" 7:30 - 8:05 ", "07:30-08:05")],
)
def test_a_window_is_two_times(text: str, window: str) -> None:
    assert check_window(text) == window


@pytest.mark.parametrize("text", ["22-6", "24:00-06:00", "22:60-06:00", "06:00-06:00", "6:00"])
def test_what_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        check_window(text)


@pytest.mark.parametrize("name", LIMITS)
def test_each_number_has_a_least_and_a_most(name: str) -> None:
    least, most, _ = LIMITS[name]
    for good in (least, most):
        check_call(msgspec.structs.replace(CALL, **{name: good}))
    for bad in (least - 1, most + 1, float("nan"), float("inf")):
        with pytest.raises(UsageError, match=" is from "):
            check_call(msgspec.structs.replace(CALL, **{name: bad}))


def test_the_defaults_are_allowed() -> None:
    assert check_call(NodeCall()) == NodeCall()
    assert check_max_results(0) == 0
    with pytest.raises(UsageError):
        check_max_results(-1)


def test_a_host_and_what_is_asked_of_it_go_together() -> None:
    with pytest.raises(UsageError, match="without a host"):
        check_call(NodeCall(services=(CallService.ECHO,)))
    with pytest.raises(UsageError, match="asked for nothing"):
        check_call(NodeCall(host="10.0.0.5"))


def test_services_are_kept_once_and_in_order_and_titles_without_outer_spaces() -> None:
    services = (CallService.SEND, CallService.ECHO, CallService.SEND)
    call = check_call(msgspec.structs.replace(CALL, services=services, calling_ae_title=" ARCH2 "))
    assert call.services == (CallService.ECHO, CallService.SEND)
    assert call.calling_ae_title == "ARCH2"
    with pytest.raises(UsageError, match="backslash"):
        check_call(msgspec.structs.replace(CALL, calling_ae_title="A\\B"))


def test_preferred_syntaxes_are_those_that_objects_can_be_converted_to() -> None:
    assert set(NAMES) == set(TARGETS)
    assert {uid: UID(uid).keyword for uid in NAMES} == NAMES


def test_syntaxes_are_named_by_uid_or_keyword_and_kept_once() -> None:
    given_names = ("explicitvrlittleendian", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1")
    assert check_preferred(given_names) == ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")
    for wrong in ("JPEG2000", "1.2.840.10008.1.2.4.90", "", "1.2.3"):
        with pytest.raises(UsageError, match="not converted"):
            check_preferred([wrong])


@pytest.mark.parametrize("term", [*SINGLE, *(f"\\{term}" for term in EXTENSIONS)])
def test_each_character_set_that_can_be_assumed_is_one_that_we_read(term: str) -> None:
    assert check_character_set(term) == term
    assert charset_of(term.encode()).remark == ""


def test_character_sets_are_written_as_the_standard_has_them() -> None:
    assert check_character_set("") == ""
    assert check_character_set("iso_ir 100") == "ISO_IR 100"
    both = "ISO 2022 IR 6\\ISO 2022 IR 87"
    assert check_character_set("iso 2022 ir 6\\ISO 2022  IR 87") == both
    for wrong in ("latin1", "ISO_IR 999", "ISO_IR 100\\ISO_IR 101", "ISO 2022 IR 87\\", "\x1b"):
        with pytest.raises(UsageError):
            check_character_set(wrong)


def node(**changes: object) -> NodeRecord:
    record = NodeRecord(
        key=1,
        ae_title="PACS2",
        address="10.0.0.5",
        services=(NodeService.ECHO, NodeService.STORE),
        description="",
        created_at=0.0,
        call=CALL,
    )
    return msgspec.structs.replace(record, **changes)


def test_what_changed_is_told_from_before_to_after() -> None:
    after = node(address="", call=msgspec.structs.replace(CALL, port=11112, use_tls=True))
    assert change_words(node(), after) == (
        "address 10.0.0.5 → any; called at 10.0.0.5:104 → 10.0.0.5:11112; over TLS no → yes"
    )
    assert change_words(node(), node()) == ""


FIELDS = {
    "ae_title": "X",
    "address": "",
    "services": (),
    "description": "x",
    "certificate_sha256": "ab" * 32,
    "require_tls": True,
    "require_identity": True,
    "character_set": "ISO_IR 100",
    "max_results": 5,
    "paused": True,
}
CALL_FIELDS = {
    "host": "10.0.0.6",
    "port": 1,
    "services": (CallService.SEND,),
    "calling_ae_title": "X",
    "use_tls": True,
    "preferred_syntaxes": ("1.2.840.10008.1.2",),
    "max_associations": 2,
    "max_pdu": 5000,
    "connect_timeout": 1.0,
    "acse_timeout": 1.0,
    "dimse_timeout": 1.0,
    "kib_per_second": 7,
    "window": "01:00-02:00",
    "report_on_same_association": True,
}


def test_no_field_can_change_unseen() -> None:
    """Neither on the card nor in the audit log: also not one that is added later."""
    assert FIELDS.keys() | {"key", "created_at", "call"} == set(NodeRecord.__struct_fields__)
    assert CALL_FIELDS.keys() == set(NodeCall.__struct_fields__)
    changed = [node(**{name: value}) for name, value in FIELDS.items()]
    calls = (msgspec.structs.replace(CALL, **{name: v}) for name, v in CALL_FIELDS.items())
    for after in [*changed, *(node(call=call) for call in calls)]:
        assert change_words(node(), after), after
        assert facts(node()) != facts(after)


def test_a_node_in_one_line() -> None:
    assert line(node()) == ("PACS2 from 10.0.0.5 may echo and store; called at 10.0.0.5:104: echo")
    six = node(services=(), call=msgspec.structs.replace(CALL, host="2001:db8::5"))
    assert call_words(six) == "[2001:db8::5]:104: echo"
    assert "may do nothing here" in line(six)


@pytest.mark.parametrize(("rate", "jobs"), [(0, 32), (16, 1), (64, 4)])
def test_a_rate_leaves_no_pause_that_peers_take_for_the_end(rate: int, jobs: int) -> None:
    assert check_call(NodeCall(kib_per_second=rate, max_associations=jobs)).kib_per_second == rate


@pytest.mark.parametrize(("rate", "jobs"), [(1, 1), (15, 1), (63, 4), (511, 32)])
def test_a_rate_with_longer_pauses_is_refused(rate: int, jobs: int) -> None:
    with pytest.raises(UsageError, match="at least 16 KiB/s"):
        check_call(NodeCall(kib_per_second=rate, max_associations=jobs))
