"""A job asks for commitment while its node is changed: who is asked is who is written down."""

from __future__ import annotations

from typing import cast

import pytest
from msgspec import structs

from tests.unit.services.parts import PEER, Parts
from tuipacs.dimse.contract import Exchange, Request
from tuipacs.domain.actor import Actor
from tuipacs.domain.job import JobKind, JobRecord
from tuipacs.domain.node import CallService, NodeCall, NodeRecord
from tuipacs.index import job_items, jobs, nodes
from tuipacs.jobs.commit import Committing, Wanted
from tuipacs.jobs.running import Progress
from tuipacs.jobs.signals import Held
from tuipacs.scu.requestor import Peer
from tuipacs.services.commitments import Commitments

CT = "1.2.840.10008.5.1.4.1.1.2"
NODE = NodeRecord(
    key=0,
    ae_title="PACS2",
    address="",
    services=(),
    description="",
    created_at=0.0,
    call=NodeCall(host="192.0.2.7", services=(CallService.COMMIT,)),
)


class Began:
    """The service as it was when the job began: what it said of the node is old by now."""

    def __init__(self, node: NodeRecord) -> None:
        self.node = node

    def begin(self, _actor: Actor, _record: JobRecord) -> tuple[NodeRecord, Peer]:
        call = self.node.call
        return self.node, Peer(call.host, call.port, self.node.ae_title, "TUIPACS")


def _never(_node: NodeRecord, _request: Request) -> Exchange:
    raise AssertionError("nobody was to be called")


@pytest.mark.parametrize("change", ["moved", "removed"])
def test_a_node_that_has_changed_since_the_job_began_is_not_asked(
    parts: Parts, change: str
) -> None:
    with parts.index.write() as tx:
        node = structs.replace(NODE, key=nodes.add_node(tx, NODE))
        key = jobs.add(tx, JobKind.COMMIT, "commit", "{}", "ada", 1.0, node=node)
        job_items.add_instances(tx, key, [7])
        record = jobs.written(tx, key, 1.0)
        if change == "moved":
            call = structs.replace(node.call, host="192.0.2.8")
            nodes.change_node(tx, structs.replace(node, call=call))
        else:
            nodes.remove_node(tx, node.key)
    began = cast(Commitments, Began(node))
    committing = Committing(parts.index, parts.clock, began, _never)
    with pytest.raises(Held):
        committing.run(PEER, record, [Wanted(7, CT, "1.1")], Progress(lambda: None, lambda: None))
    assert parts.rows("SELECT count(*) FROM commitment") == [(0,)]
