"""A C-MOVE that nobody wants any more, in the middle of an object that takes for ever to decode."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.builders import make_dataset
from tests.dimse.faulty_peer import FaultyPeer
from tests.unit.services.parts import Parts
from tests.unit.services.test_transfer import ENDLESS, IMPLICIT, keys
from tests.waiting import eventually
from tuipacs.dicom.transcoding.process import Transcoder, Transcoders
from tuipacs.domain.actor import Actor, ActorKind
from tuipacs.domain.node import CallService, NodeCall, NodeRecord
from tuipacs.index import retrieve
from tuipacs.services.moving import Move, MoveOrigin
from tuipacs.services.retrieval import Records
from tuipacs.services.transfer import Transfer


def test_a_cut_ends_the_process_that_decodes(tmp_path: Path) -> None:
    parts = Parts(tmp_path)
    dataset = make_dataset()
    parts.send(dataset)
    (tmp_path / "endless.py").write_text(ENDLESS)
    one = Transcoder(command=(sys.executable, str(tmp_path / "endless.py")))
    transfer = Transfer(parts.index, parts.store, Transcoders([one]), folder=tmp_path)
    with parts.index.read() as reader:
        named = retrieve.named(
            reader, patients=None, studies=[str(dataset.StudyInstanceUID)], series=(), instances=()
        )
    assert list(named.keys) == keys(parts)
    with FaultyPeer(takes=lambda _, syntax: syntax == IMPLICIT) as peer:
        call = NodeCall(host="127.0.0.1", port=peer.port, services=(CallService.SEND,))
        node = NodeRecord(
            key=1, ae_title="X", address="", services=(), description="", created_at=0.0, call=call
        )
        actor = Actor(kind=ActorKind.PEER, name="X", permissions=frozenset())
        records = Records(parts.index, parts.clock, actor, "retrieve.move", "C-MOVE", named)
        origin = MoveOrigin(ae_title="X", message_id=1)
        move = Move(transfer, records, node, peer.peer(), origin, lambda _: node)
        move.start(lambda: None)
        eventually(lambda: one.process_id)
        move.settle(0.1)
        assert one.process_id is None
        assert move.completed == 0
    transfer.close()
