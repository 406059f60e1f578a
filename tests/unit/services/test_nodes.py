"""The node table, its rights, and who a caller is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tuipacs.domain.actor import Actor, ActorKind
from tuipacs.domain.admission import UnknownCallers
from tuipacs.domain.permissions import MATRIX, NodeService, Permission, Role
from tuipacs.errors import ConflictError, ForbiddenError, NotFoundError, UsageError
from tuipacs.index import audit
from tuipacs.index.database import Index
from tuipacs.index.migrations import migrate
from tuipacs.schema.messages import Empty
from tuipacs.schema.node_messages import NodeAddRequest, NodeRemoveRequest
from tuipacs.services.nodes import Nodes

ECHO, STORE = NodeService.ECHO, NodeService.STORE


def user(role: Role) -> Actor:
    return Actor(kind=ActorKind.USER, name=role.value, role=role, permissions=MATRIX[role])


ADMIN = user(Role.ADMIN)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    opened = Index(tmp_path / "index.db")
    migrate(opened)
    yield opened
    opened.close()


@pytest.fixture
def nodes(index: Index) -> Nodes:
    return Nodes(index, lambda: 1000.0)


def add(nodes: Nodes, title: str, address: str = "", *services: NodeService) -> int:
    request = NodeAddRequest(ae_title=title, address=address, services=services or (ECHO, STORE))
    return nodes.add(ADMIN, request).key


def details(index: Index) -> list[tuple[str, str]]:
    with index.read() as reader:
        return [(r.outcome.value, r.detail) for r in audit.page(reader, (), 0, 100)]


def test_a_node_is_kept_in_its_canonical_form_and_audited(nodes: Nodes, index: Index) -> None:
    heard: list[int] = []
    nodes.on_change = lambda: heard.append(len(nodes.list(ADMIN, Empty()).nodes))
    request = NodeAddRequest(
        ae_title=" CT1 ", address=" 192.0.2.0/24", services=(STORE, ECHO, STORE), description="x"
    )
    record = nodes.add(ADMIN, request)
    assert (record.ae_title, record.address, record.created_at) == ("CT1", "192.0.2.0/24", 1000.0)
    assert record.services == (ECHO, STORE)
    assert nodes.list(ADMIN, Empty()).nodes == (record,)
    assert details(index) == [("success", "node CT1 192.0.2.0/24: echo, store")]
    nodes.remove(ADMIN, NodeRemoveRequest(key=record.key))
    assert heard == [1, 0]
    assert details(index)[0] == ("success", "node CT1 192.0.2.0/24")


def test_the_same_pair_twice_is_a_conflict_and_another_address_is_not(nodes: Nodes) -> None:
    add(nodes, "CT1", "192.0.2.1")
    add(nodes, "CT1", "192.0.2.2")
    with pytest.raises(ConflictError, match=r"CT1 is known from 192\.0\.2\.1"):
        add(nodes, " CT1", "192.0.2.1 ")


@pytest.mark.parametrize(
    "request_",
    [
        NodeAddRequest(ae_title="", address="", services=(ECHO,)),
        NodeAddRequest(ae_title="A\\B", address="", services=(ECHO,)),
        NodeAddRequest(ae_title="CT1", address="host", services=(ECHO,)),
        NodeAddRequest(ae_title="CT1", address="", services=()),
        NodeAddRequest(ae_title="CT1", address="", services=(ECHO,), description="x" * 201),
    ],
)
def test_nonsense_is_refused_and_the_attempt_audited(
    nodes: Nodes, index: Index, request_: NodeAddRequest
) -> None:
    with pytest.raises(UsageError):
        nodes.add(ADMIN, request_)
    assert nodes.list(ADMIN, Empty()).nodes == ()
    assert [outcome for outcome, _ in details(index)] == ["failure"]


def test_removing_what_is_not_there_is_an_error(nodes: Nodes) -> None:
    with pytest.raises(NotFoundError):
        nodes.remove(ADMIN, NodeRemoveRequest(key=5))


@pytest.mark.parametrize("role", [Role.VIEWER, Role.AUDITOR, Role.SERVICE])
def test_who_may_not_see_nodes_is_refused(nodes: Nodes, role: Role) -> None:
    with pytest.raises(ForbiddenError):
        nodes.list(user(role), Empty())


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMIN])
def test_only_administrators_change_nodes(nodes: Nodes, role: Role) -> None:
    key = add(nodes, "CT1")
    with pytest.raises(ForbiddenError):
        nodes.add(user(role), NodeAddRequest(ae_title="X", address="", services=(ECHO,)))
    with pytest.raises(ForbiddenError):
        nodes.remove(user(role), NodeRemoveRequest(key=key))
    assert len(nodes.list(ADMIN, Empty()).nodes) == 1


@pytest.mark.parametrize(
    ("rule", "services"),
    [
        (UnknownCallers.ECHO, {ECHO}),
        (UnknownCallers.STORE, {ECHO, STORE}),
        (UnknownCallers.REFUSE, set()),
    ],
)
def test_an_empty_table_knows_nobody(
    index: Index, rule: UnknownCallers, services: set[NodeService]
) -> None:
    admission = Nodes(index, lambda: 0.0, unknown_callers=rule).peer("CT1", "192.0.2.1")
    assert not admission.known
    assert admission.services == services
    assert admission.reason == "the calling AE title is not a known node"


def test_a_known_peer_is_an_actor_with_the_rights_of_its_services(nodes: Nodes) -> None:
    add(nodes, "CT1", "192.0.2.1", STORE)
    admission = nodes.peer(" CT1 ", "192.0.2.1")
    assert admission.known
    assert admission.reason == ""
    actor = admission.actor
    assert (actor.kind, actor.name, actor.origin.address) == (ActorKind.PEER, "CT1", "192.0.2.1")
    assert actor.permissions == {Permission.DICOM_STORE}


@pytest.mark.parametrize("title", ["ct1", "CT", "CT11", "CT1\x00X"])
def test_titles_match_exactly(nodes: Nodes, title: str) -> None:
    add(nodes, "CT1")
    assert not nodes.peer(title, "192.0.2.1").known


def test_of_several_nodes_the_closest_address_counts(nodes: Nodes) -> None:
    add(nodes, "CT1", "", ECHO)
    add(nodes, "CT1", "192.0.2.0/24", STORE)
    add(nodes, "CT1", "192.0.2.7", ECHO, STORE)
    assert nodes.peer("CT1", "198.51.100.1").services == {ECHO}
    assert nodes.peer("CT1", "192.0.2.1").services == {STORE}
    assert nodes.peer("CT1", "192.0.2.7").services == {ECHO, STORE}


def test_a_wrong_address_is_said_and_gives_a_strangers_rights(nodes: Nodes) -> None:
    add(nodes, "CT1", "192.0.2.1")
    admission = nodes.peer("CT1", "192.0.2.2")
    assert (admission.known, admission.services) == (False, {ECHO})
    assert "not from this address" in admission.reason


@pytest.mark.parametrize("rule", list(UnknownCallers))
def test_a_nodes_title_from_elsewhere_never_stores(index: Index, rule: UnknownCallers) -> None:
    """Whatever strangers may do: what it stored would be taken for the node's."""
    nodes = Nodes(index, lambda: 0.0, unknown_callers=rule)
    add(nodes, "CT1", "192.0.2.1")
    admission = nodes.peer("CT1", "192.0.2.2")
    assert admission.services <= {ECHO}
    assert not admission.known
    assert admission.reason.startswith("the calling AE title is known, but not from this address")
    assert ("it may echo at most" in admission.reason) == (rule is UnknownCallers.STORE)


def test_the_addresses_that_nodes_name_are_expected(nodes: Nodes) -> None:
    assert not nodes.expects("192.0.2.1")
    key = add(nodes, "CT1", "192.0.2.0/24")
    add(nodes, "CT2", "")
    assert [nodes.expects(address) for address in ("192.0.2.1", "192.0.3.1", "2001:db8::1")] == [
        True,
        False,
        False,
    ]
    nodes.remove(ADMIN, NodeRemoveRequest(key=key))
    assert not nodes.expects("192.0.2.1")


def test_what_is_remembered_of_callers_is_bounded_and_right(nodes: Nodes) -> None:
    """Asked for each object; a flood of titles and addresses must not grow it."""
    add(nodes, "CT1", "10.0.0.0/8", ECHO)
    for number in range(2500):
        assert not nodes.peer(f"T{number}", "192.0.2.1").known
        assert nodes.expects(f"10.0.{number // 250}.{number % 250}")
    table = nodes._table
    assert table is not None
    assert max(len(table.admissions), len(table.expected)) <= 1000
    assert nodes.peer("CT1", "10.9.9.9").known
    assert nodes.peer("CT1", "10.9.9.9") is nodes.peer("CT1 ", "10.9.9.9")
    assert nodes.peer("CT1", "10.9.9.9", user="ada").actor.name == "CT1\\ada"


def test_a_title_that_is_none_gets_nothing_at_all(index: Index) -> None:
    open_archive = Nodes(index, lambda: 0.0, unknown_callers=UnknownCallers.STORE)
    for title in ("", "A\\B", "\x1b[2J", "ÿ"):
        admission = open_archive.peer(title, "192.0.2.1")
        assert admission.services == set()
        assert admission.reason.startswith("the calling AE title ")
        assert admission.actor.name.isprintable()


def test_a_change_is_seen_by_the_next_question(nodes: Nodes) -> None:
    assert not nodes.peer("CT1", "192.0.2.1").known
    key = add(nodes, "CT1")
    assert nodes.peer("CT1", "192.0.2.1").known
    nodes.remove(ADMIN, NodeRemoveRequest(key=key))
    assert not nodes.peer("CT1", "192.0.2.1").known


def test_nodes_survive_a_restart(nodes: Nodes, index: Index) -> None:
    add(nodes, "CT1", "192.0.2.1", STORE)
    assert Nodes(index, lambda: 0.0).peer("CT1", "192.0.2.1").services == {STORE}


CERTIFICATE, OTHER = "ab" * 32, "cd" * 32


def bind(nodes: Nodes, **proof: object) -> None:
    request = NodeAddRequest(ae_title="CT1", address="", services=(ECHO, STORE))
    nodes.add(ADMIN, msgspec.structs.replace(request, **proof))


@pytest.mark.parametrize(
    ("proof", "connection", "words"),
    [
        ({"certificate_sha256": CERTIFICATE}, {}, "is bound to a certificate, and the connection"),
        ({"certificate_sha256": CERTIFICATE}, {"is_tls": True}, "and the caller showed none"),
        (
            {"certificate_sha256": CERTIFICATE},
            {"is_tls": True, "certificate_sha256": OTHER},
            "another certificate than the one shown (SHA-256 cdcdcdcdcdcd…)",
        ),
        ({"require_tls": True}, {}, "has to use TLS"),
        ({"require_identity": True}, {}, "has to use TLS"),
    ],
)
def test_without_its_proof_nobody_is_the_node_and_may_do_anything(
    index: Index, proof: dict[str, object], connection: dict[str, object], words: str
) -> None:
    nodes = Nodes(index, lambda: 0.0, unknown_callers=UnknownCallers.STORE)
    bind(nodes, **proof)
    admission = nodes.peer("CT1", "192.0.2.1", **connection)  # type: ignore[arg-type]
    assert (admission.known, admission.services) == (False, frozenset())
    assert words in admission.reason


def test_with_its_certificate_it_is_the_node(nodes: Nodes, index: Index) -> None:
    bind(nodes, certificate_sha256=":".join(["AB"] * 32), require_identity=True)
    found = nodes.peer("CT1", "192.0.2.1", is_tls=True, certificate_sha256=CERTIFICATE)
    assert found.known
    assert found.by_certificate
    assert found.require_identity
    (record,) = nodes.list(ADMIN, Empty()).nodes
    assert record.certificate_sha256 == CERTIFICATE
    assert f"certificate {CERTIFICATE}, user identity required" in details(index)[0][1]
    assert Nodes(index, lambda: 0.0).list(ADMIN, Empty()).nodes == (record,)


def test_a_node_without_a_hash_takes_any_certificate_that_tls_has_taken(nodes: Nodes) -> None:
    bind(nodes, require_tls=True)
    found = nodes.peer("CT1", "192.0.2.1", is_tls=True, certificate_sha256=OTHER)
    assert found.known
    assert not found.by_certificate


def test_a_proven_user_stands_beside_the_title_for_the_audit_log(nodes: Nodes) -> None:
    add(nodes, "CT1")
    assert nodes.peer("CT1", "192.0.2.1", is_tls=True, user="ada").actor.name == "CT1\\ada"
    assert nodes.peer("CT9", "192.0.2.1", is_tls=True, user="ada").actor.name == "CT9"


@pytest.mark.parametrize("text", ["ab", "z" * 64, "ab" * 33])
def test_a_hash_that_is_none_is_refused(nodes: Nodes, text: str) -> None:
    with pytest.raises(UsageError, match="64 hexadecimal digits"):
        bind(nodes, certificate_sha256=text)
