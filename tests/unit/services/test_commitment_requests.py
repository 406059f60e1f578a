"""How much of what a node asks for is kept: not more than it can be told of."""

from __future__ import annotations

import pytest
from msgspec import structs

from tests.unit.services.parts import NOW, PEER, Parts
from tuipacs.dicom.commitment import encode_commitment
from tuipacs.domain.commitment import Reference, TakenState
from tuipacs.domain.node import NodeCall, NodeRecord
from tuipacs.domain.permissions import NodeService, Permission
from tuipacs.errors import UnavailableError
from tuipacs.index import commitments_taken, nodes
from tuipacs.services.commitment_requests import (
    MAX_ENDED,
    MAX_OPEN,
    CommitmentRequest,
    CommitmentRequests,
)

CT = "1.2.840.10008.5.1.4.1.1.2"
MODALITY = structs.replace(PEER, permissions=frozenset({Permission.DICOM_COMMIT}))


class Modality:
    """A node that asks, and asks."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.requests = CommitmentRequests(parts.index, parts.clock)
        node = NodeRecord(
            key=0,
            ae_title="CT1",
            address="",
            services=(NodeService.COMMIT,),
            description="",
            created_at=NOW,
            call=NodeCall(host="192.0.2.7"),
        )
        with parts.index.write() as tx:
            self.node = nodes.add_node(tx, node)

    def has_asked(self, count: int) -> list[int]:
        """So many requests, written past the service; their keys."""
        with self.parts.index.write() as tx:
            return [
                commitments_taken.take(
                    tx, self.node, "CT1", f"1.2.{number}", [Reference(CT, "1.1")], NOW, NOW
                )
                for number in range(count)
            ]

    def ends(self, keys: list[int]) -> None:
        with self.parts.index.write() as tx:
            for key in keys:
                commitments_taken.ended(tx, key, TakenState.REPORTED, NOW, "")

    def ask(self, number: int) -> None:
        data = encode_commitment(f"1.2.{number}", [(CT, "1.1")], implicit=True)
        request = CommitmentRequest(
            node=self.node, dataset=data, transfer_syntax_uid="1.2.840.10008.1.2"
        )
        self.requests.take(MODALITY, request)

    def kept(self) -> int:
        return int(self.parts.rows("SELECT count(*) FROM commitment")[0][0])


@pytest.fixture
def modality(parts: Parts) -> Modality:
    return Modality(parts)


def test_only_so_many_requests_of_a_node_wait_for_their_end(modality: Modality) -> None:
    """To ask what has ended once more is a request as any other."""
    first, *_ = modality.has_asked(MAX_OPEN)
    with pytest.raises(UnavailableError):
        modality.ask(MAX_OPEN)
    modality.ask(MAX_OPEN - 1)  # waits already
    modality.ends([first])
    modality.ask(MAX_OPEN)
    with pytest.raises(UnavailableError):
        modality.ask(0)


def test_only_so_many_requests_of_a_node_are_kept_when_they_have_ended(modality: Modality) -> None:
    modality.ends(modality.has_asked(MAX_ENDED + 3))
    modality.ask(MAX_ENDED + 3)
    assert modality.kept() == MAX_ENDED + 1
    assert modality.parts.rows("SELECT count(*) FROM commitment_item") == [(1,)]
