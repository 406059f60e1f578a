"""Changing nodes, adding many, and what follows from what a node is asked for."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.unit.services.parts import actor
from tuipacs.domain.job import JobKind
from tuipacs.domain.node import CallService, NodeCall, NodeRecord
from tuipacs.domain.permissions import NodeService, Permission, Role
from tuipacs.errors import ConflictError, ForbiddenError, NotFoundError, UsageError
from tuipacs.index import audit
from tuipacs.index.database import Index
from tuipacs.index.migrations import migrate
from tuipacs.schema.messages import Empty
from tuipacs.schema.node_messages import (
    MAX_NODES,
    NodeAddAllRequest,
    NodeAddRequest,
    NodeEditRequest,
    NodeRemoveRequest,
)
from tuipacs.services.calling import Calling
from tuipacs.services.nodes import Nodes
from tuipacs.services.own_address import Listening, refuse_ourselves

ADMIN = actor(Role.ADMIN)
ECHO, STORE, QUERY = NodeService.ECHO, NodeService.STORE, NodeService.QUERY
CALL = NodeCall(host="10.0.0.5", services=(CallService.ECHO, CallService.SEND))
PACS2 = NodeAddRequest(ae_title="PACS2", address="10.0.0.5", services=(ECHO,), call=CALL)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    opened = Index(tmp_path / "index.db")
    migrate(opened)
    yield opened
    opened.close()


@pytest.fixture
def nodes(index: Index) -> Nodes:
    return Nodes(index, lambda: 1000.0)


def records(index: Index) -> list[tuple[str, str]]:
    with index.read() as reader:
        return [(r.outcome.value, r.detail) for r in audit.page(reader, (), 0, 100)]


def edited(nodes: Nodes, seen: NodeRecord, **changes: object) -> NodeRecord:
    names = NodeAddRequest.__struct_fields__
    same = NodeAddRequest(**{name: getattr(seen, name) for name in names})
    wanted = msgspec.structs.replace(same, **changes)
    return nodes.edit(ADMIN, NodeEditRequest(seen=seen, node=wanted))


def test_a_change_is_told_from_before_to_after_and_counts_at_once(
    nodes: Nodes, index: Index
) -> None:
    heard: list[tuple[NodeService, ...]] = []
    nodes.on_change = lambda: heard.append(nodes.list(ADMIN, Empty()).nodes[0].services)
    node = nodes.add(ADMIN, PACS2)
    after = edited(
        nodes,
        node,
        services=(STORE, ECHO),
        call=msgspec.structs.replace(CALL, port=11112),
        character_set="iso_ir 100",
    )
    assert nodes.list(ADMIN, Empty()).nodes == (after,)
    assert (after.key, after.created_at) == (node.key, node.created_at)
    assert (after.services, after.character_set) == ((ECHO, STORE), "ISO_IR 100")
    assert heard == [(ECHO,), (ECHO, STORE)]
    assert nodes.peer("PACS2", "10.0.0.5").services == {ECHO, STORE}
    assert records(index)[0] == (
        "success",
        "node PACS2 10.0.0.5: may do here echo → echo, store; character set - → ISO_IR 100;"
        " called at 10.0.0.5:104 → 10.0.0.5:11112",
    )


def test_a_change_of_what_somebody_else_has_changed_is_refused(nodes: Nodes) -> None:
    seen = nodes.add(ADMIN, PACS2)
    theirs = edited(nodes, seen, description="theirs")
    with pytest.raises(ConflictError, match="changed by somebody else"):
        edited(nodes, seen, description="ours")
    assert nodes.list(ADMIN, Empty()).nodes == (theirs,)


def test_a_description_is_compared_as_screens_show_it(nodes: Nodes) -> None:
    """They never get a control character to send back."""
    odd = nodes.add(ADMIN, msgspec.structs.replace(PACS2, description="a\x1bb"))
    shown = msgspec.structs.replace(odd, description="a\u241bb")
    assert edited(nodes, shown, description="c").description == "c"


def test_a_lane_that_was_paused_meanwhile_stays_so(nodes: Nodes, index: Index) -> None:
    seen = nodes.add(ADMIN, PACS2)
    with index.write() as tx:
        tx.change("UPDATE node SET paused = 1")
    assert edited(nodes, seen, description="x").paused


def test_another_nodes_title_and_address_cannot_be_taken(nodes: Nodes) -> None:
    first = nodes.add(ADMIN, PACS2)
    nodes.add(ADMIN, msgspec.structs.replace(PACS2, ae_title="PACS3"))
    with pytest.raises(ConflictError, match=r"PACS3 is known from 10\.0\.0\.5") as caught:
        edited(nodes, first, ae_title="PACS3")
    assert caught.value.remedy == "change that one: tuipacs node edit PACS3"
    assert edited(nodes, first, ae_title="PACS4").ae_title == "PACS4"


def test_what_is_gone_cannot_be_changed(nodes: Nodes) -> None:
    seen = nodes.add(ADMIN, PACS2)
    nodes.remove(ADMIN, NodeRemoveRequest(key=seen.key))
    with pytest.raises(NotFoundError):
        edited(nodes, seen)


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMIN])
def test_only_administrators_change_or_import(nodes: Nodes, role: Role) -> None:
    seen = nodes.add(ADMIN, PACS2)
    with pytest.raises(ForbiddenError):
        nodes.edit(actor(role), NodeEditRequest(seen=seen, node=PACS2))
    with pytest.raises(ForbiddenError):
        nodes.add_all(actor(role), NodeAddAllRequest(nodes=(PACS2,)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"services": (NodeService.REPORT,)}, "nobody's to give"),
        ({"services": (), "call": NodeCall()}, "of no use"),
        ({"character_set": "latin1"}, "character set"),
        ({"max_results": -1}, "number of answers"),
        ({"call": msgspec.structs.replace(CALL, port=0)}, "port"),
        ({"call": msgspec.structs.replace(CALL, preferred_syntaxes=("1.2",))}, "not converted"),
    ],
)
def test_nonsense_is_refused_in_words(nodes: Nodes, changes: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        nodes.add(ADMIN, msgspec.structs.replace(PACS2, **changes))
    assert nodes.list(ADMIN, Empty()).nodes == ()


def test_a_node_may_be_one_that_is_only_called(nodes: Nodes) -> None:
    node = nodes.add(ADMIN, msgspec.structs.replace(PACS2, services=()))
    assert nodes.peer("PACS2", "10.0.0.5").services == set()
    assert node.services == ()


def test_a_node_that_is_asked_to_commit_may_report(nodes: Nodes) -> None:
    call = msgspec.structs.replace(CALL, services=(CallService.COMMIT,))
    nodes.add(ADMIN, msgspec.structs.replace(PACS2, services=(), call=call))
    nodes.add(ADMIN, msgspec.structs.replace(PACS2, ae_title="OTHER"))
    assert nodes.peer("PACS2", "10.0.0.5").actor.permissions == {Permission.DICOM_REPORT}
    assert NodeService.REPORT not in nodes.peer("OTHER", "10.0.0.5").services
    assert nodes.peer("PACS2", "10.0.0.6").services == {ECHO}  # a stranger under its title


def test_many_are_added_with_a_record_each(nodes: Nodes, index: Index) -> None:
    heard: list[int] = []
    nodes.on_change = lambda: heard.append(1)
    other = msgspec.structs.replace(PACS2, ae_title="PACS3", call=NodeCall())
    added = nodes.add_all(ADMIN, NodeAddAllRequest(nodes=(PACS2, other), source="a\x1b.map"))
    assert nodes.list(ADMIN, Empty()).nodes == added.nodes
    assert len({node.key for node in added.nodes}) == 2
    assert [detail for _, detail in reversed(records(index))] == [
        "node PACS2 10.0.0.5: echo; called at 10.0.0.5:104: echo, send (from a\u241b.map)",
        "node PACS3 10.0.0.5: echo (from a\u241b.map)",
        "2 nodes from a\u241b.map",
    ]
    assert heard == [1]


@pytest.mark.parametrize(
    "last",
    [
        PACS2,
        msgspec.structs.replace(PACS2, ae_title="\x1b[31m"),
        msgspec.structs.replace(PACS2, ae_title="X", address="host"),
    ],
)
def test_one_bad_node_and_none_is_added(nodes: Nodes, index: Index, last: NodeAddRequest) -> None:
    with pytest.raises((UsageError, ConflictError), match="nothing was added") as caught:
        nodes.add_all(ADMIN, NodeAddAllRequest(nodes=(PACS2, last)))
    assert caught.value.message.isprintable()
    assert nodes.list(ADMIN, Empty()).nodes == ()
    assert [outcome for outcome, _ in records(index)] == ["failure"]


@pytest.mark.parametrize("count", [0, MAX_NODES + 1])
def test_a_list_of_none_or_too_many_is_refused(nodes: Nodes, count: int) -> None:
    with pytest.raises(UsageError, match="1 to 1000"):
        nodes.add_all(ADMIN, NodeAddAllRequest(nodes=(PACS2,) * count))


def test_open_jobs_are_counted_for_each_node(nodes: Nodes, index: Index) -> None:
    key = nodes.add(ADMIN, PACS2).key
    with index.write() as tx:
        for state in ("queued", "waiting", "done"):
            tx.insert(
                "INSERT INTO job (kind, state, title, payload, submitted_by, created_at, node)"
                " VALUES (?, ?, 't', '{}', 'ada', 0, ?)",
                (JobKind.SEND.value, state, key),
            )
    (health,) = nodes.list(ADMIN, Empty()).health
    assert (health.key, health.open_jobs, health.checked_at) == (key, 2, 0.0)


def listening(host: str, *ports: int) -> Listening:
    return Listening(host, ports)


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "0.0.0.0"),  # noqa: S104
        ("127.0.0.1", "::"),
        ("127.9.9.9", "0.0.0.0"),  # noqa: S104
        ("localhost", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),  # noqa: S104  connecting there ends here
        ("127.0.0.1", ""),
        ("::ffff:127.0.0.1", "127.0.0.1"),
    ],
)
def test_a_destination_that_is_ourselves_is_refused(host: str, own: str) -> None:
    call = msgspec.structs.replace(CALL, host=host, port=11112)
    with pytest.raises(UsageError, match="is this archive itself"):
        refuse_ourselves(call, listening(own, 11112, 2762), resolve=False)
    refuse_ourselves(call, listening(own, 2762), resolve=False)  # another program


@pytest.mark.parametrize(
    ("host", "own"),
    [("192.0.2.1", "0.0.0.0"), ("127.0.0.2", "127.0.0.1")],  # noqa: S104
)
def test_another_machine_and_another_address_of_this_one_are_not_ourselves(
    host: str, own: str
) -> None:
    call = msgspec.structs.replace(CALL, host=host, port=11112)
    refuse_ourselves(call, listening(own, 11112), resolve=True)


def test_this_machines_own_address_is_ourselves_too() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            pytest.skip("this machine has no network")
        own = probe.getsockname()[0]
    call = msgspec.structs.replace(CALL, host=own, port=11112)
    with pytest.raises(UsageError):
        refuse_ourselves(call, listening("0.0.0.0", 11112), resolve=False)  # noqa: S104


def test_nodes_that_lead_to_ourselves_are_neither_added_nor_called(index: Index) -> None:
    calling = Calling(index, "ARCH1", None)
    nodes = Nodes(index, lambda: 0.0, calling=calling)
    own = msgspec.structs.replace(CALL, host="127.0.0.1", port=11112)
    node = nodes.add(ADMIN, msgspec.structs.replace(PACS2, call=own))
    calling.listening = lambda: listening("127.0.0.1", 11112)  # the port was moved since
    with pytest.raises(UsageError, match="this archive itself"):
        calling.peer(node, CallService.SEND)
    with pytest.raises(UsageError, match="this archive itself"):
        nodes.add(ADMIN, msgspec.structs.replace(PACS2, ae_title="X", call=own))
    with pytest.raises(UsageError, match="this archive itself"):
        edited(nodes, node)


def test_the_remedy_for_what_is_not_asked_keeps_what_is(index: Index) -> None:
    nodes, calling = Nodes(index, lambda: 0.0), Calling(index, "ARCH1", None)
    node = nodes.add(ADMIN, msgspec.structs.replace(PACS2, ae_title="MY PACS"))
    with pytest.raises(UsageError) as caught:
        calling.peer(node, CallService.COMMIT)
    assert caught.value.remedy == "tuipacs node edit 'MY PACS' --call echo,send,commit"


def test_a_title_that_names_two_places_is_refused_and_a_key_is_not(index: Index) -> None:
    """Objects that went to the wrong one cannot be taken back."""
    nodes, calling = Nodes(index, lambda: 0.0), Calling(index, "ARCH1", None)
    first = nodes.add(ADMIN, PACS2)
    again = nodes.add(ADMIN, msgspec.structs.replace(PACS2, address="192.0.2.77"))
    assert calling.titled(PACS2.ae_title) == first, "it calls from two addresses"
    elsewhere = msgspec.structs.replace(CALL, host="192.0.2.78")
    other = nodes.add(ADMIN, msgspec.structs.replace(PACS2, address="192.0.2.78", call=elsewhere))
    for named in (calling.titled, lambda title: calling.named(0, title)):
        with pytest.raises(UsageError, match="names several nodes") as caught:
            named(PACS2.ae_title)
        assert f"{first.key}, {again.key}, {other.key}" in caught.value.remedy
    assert calling.named(other.key, "") == other
    assert calling.named(0, str(other.key)) == other
