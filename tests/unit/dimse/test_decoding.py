"""The readers of hostile bytes raise one kind of error, and agree with pynetdicom on good bytes."""

from __future__ import annotations

from io import BytesIO

from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.dimse_messages import C_STORE_RSP
from pynetdicom.dsutils import decode
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
)
from pynetdicom.presentation import build_context

from tests.dimse.raw_peer import command, context_item, item
from tuipacs.dimse.acceptor.pdus import encode_associate_accept, parse_associate_request
from tuipacs.dimse.contract import Answer, Command, Reply
from tuipacs.dimse.faults import PduError
from tuipacs.dimse.messages import (
    Assembler,
    comment_text,
    encode_answer,
)
from tuipacs.dimse.pdu import ContextAnswer, data_values, encode_data

CT, ELE, BIG = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"


def pynetdicom_request() -> bytes:
    """An association request as pynetdicom writes it."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = "1.2.840.10008.3.1.1.1"
    primitive.calling_ae_title, primitive.called_ae_title = "MODALITY", "TUIPACS"
    contexts = [build_context(CT, [BIG, ELE]), build_context("1.2.840.10008.1.1", ELE)]
    for number, context in enumerate(contexts):
        context.context_id = 2 * number + 1
    primitive.presentation_context_definition_list = contexts
    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received = 30000
    implementation.implementation_class_uid = "1.2.3.4"
    role = SCP_SCU_RoleSelectionNegotiation()
    role.sop_class_uid, role.scu_role, role.scp_role = CT, True, True
    primitive.user_information = [length, implementation, role]
    return A_ASSOCIATE_RQ(primitive).encode()


REQUEST = pynetdicom_request()


def test_a_request_of_pynetdicom_is_read() -> None:
    request = parse_associate_request(memoryview(REQUEST)[6:])
    assert (request.calling_ae_title, request.called_ae_title) == ("MODALITY", "TUIPACS")
    assert request.contexts[0].abstract_syntax == CT
    assert request.contexts[0].transfer_syntaxes == (BIG, ELE)
    assert [context.context_id for context in request.contexts] == [1, 3]
    assert request.max_length == 30000
    assert request.roles == {CT: (True, True)}


def test_a_peer_that_names_no_maximum_length_gets_short_pdus() -> None:
    """The item is mandatory; 0 in it means any length, its absence means nothing."""
    proposed = context_item(1, CT, [ELE])
    for user, longest in ((item(0x51, bytes(4)), 0), (b"", 16384)):
        body = REQUEST[6:74] + proposed + item(0x50, user)
        assert parse_associate_request(memoryview(body)).max_length == longest


def test_pynetdicom_reads_our_acceptance() -> None:
    request = parse_associate_request(memoryview(REQUEST)[6:])
    data = encode_associate_accept(
        request,
        [ContextAnswer(1, 0, BIG), ContextAnswer(3, 3, ELE)],
        {CT: (True, False)},
        131072,
    )
    pdu = A_ASSOCIATE_AC()
    pdu.decode(data)
    assert pdu.encode() == data
    primitive = pdu.to_primitive()
    results = primitive.presentation_context_definition_results_list
    assert [(c.context_id, c.result) for c in results] == [(1, 0), (3, 3)]
    assert results[0].transfer_syntax == [BIG]
    assert primitive.maximum_length_received == 131072


def test_pydicom_reads_our_answers() -> None:
    command = Command(1, 77, True, CT, "1.2.3", {})
    answer = Answer(0xA700, "out of resources", "the disk is full")
    dataset = decode(BytesIO(encode_answer(command, answer)), True, True)
    assert dataset.CommandField == 0x8001
    assert dataset.MessageIDBeingRespondedTo == 77
    assert dataset.Status == 0xA700
    assert dataset.ErrorComment == "the disk is full"
    assert (dataset.AffectedSOPClassUID, dataset.AffectedSOPInstanceUID) == (CT, "1.2.3")
    assert dataset.CommandDataSetType == 0x0101
    again = C_STORE_RSP()
    again.command_set = dataset
    assert again.message_to_primitive().is_valid_response
    assert dataset.CommandGroupLength == len(encode_answer(command, answer)) - 12


@given(st.binary(min_size=1, max_size=2000), st.integers(16, 300), st.integers(0, 127))
def test_a_command_in_pieces_is_the_command(data: bytes, size: int, number: int) -> None:
    at, pieces, encoded = 0, b"", encode_data(2 * number + 1, data, size, is_command=True)
    headers = []
    while at < len(encoded):
        length = int.from_bytes(encoded[at + 2 : at + 6], "big")
        assert length <= size
        for _, header, fragment in data_values(memoryview(encoded)[at + 6 : at + 6 + length]):
            pieces += bytes(fragment)
            headers.append(header)
        at += 6 + length
    assert pieces == data
    assert headers == [1] * (len(headers) - 1) + [3]


@given(
    st.lists(
        st.tuples(st.sampled_from([1, 3]), st.integers(0, 3), st.binary(max_size=60)), max_size=20
    )
)
def test_fragments_in_any_order_make_messages_or_an_error(
    fragments: list[tuple[int, int, bytes]],
) -> None:
    assembler = Assembler(lambda _, command: Taken())
    try:
        for context_id, header, data in fragments:
            message = assembler.feed(context_id, header, memoryview(data))
            assert message is None or not assembler.unfinished
    except PduError:
        return


class Taken(Reply):
    """An exchange that keeps what it is given."""

    def __init__(self) -> None:
        super().__init__(Answer(0, "Success"))
        self.dataset = b""
        self.discarded = False

    def write(self, fragment: memoryview) -> None:
        self.dataset += fragment

    def discard(self) -> None:
        self.discarded = True


def test_a_dataset_flows_to_its_exchange_as_it_comes() -> None:
    taken = Taken()
    assembler = Assembler(lambda context_id, command: taken)
    assert assembler.feed(1, 3, memoryview(command(1, CT, dataset=True))) is None
    assert assembler.feed(1, 0, memoryview(bytes(99))) is None
    assert taken.dataset == bytes(99)
    message = assembler.feed(1, 2, memoryview(b"x"))
    assert message is not None
    assert (message.exchange, message.size, taken.dataset) == (taken, 100, bytes(99) + b"x")
    assert not assembler.unfinished


def test_an_unfinished_message_is_let_go_of() -> None:
    taken = Taken()
    assembler = Assembler(lambda context_id, command: taken)
    assembler.feed(1, 3, memoryview(command(1, CT, dataset=True)))
    assembler.discard()
    assert taken.discarded
    assert not assembler.unfinished


@given(st.text(max_size=200))
def test_a_comment_is_always_fit_to_be_sent(text: str) -> None:
    comment = comment_text(text)
    assert len(comment) <= 64
    assert comment.isascii()
    assert "\\" not in comment
    assert comment.isprintable()
