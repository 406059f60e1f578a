"""Arriving studies are sent on once, when complete, by the rules; each decision can be asked."""

from __future__ import annotations

import msgspec
import pytest

from tests.builders import make_dataset, make_study
from tests.unit.services.parts import Parts, actor
from tests.unit.services.routing_parts import ADMIN, QUIET, Routing
from tuipacs.domain.audit import AuditOutcome
from tuipacs.domain.ingest import IngestResult
from tuipacs.domain.node import CallService
from tuipacs.domain.permissions import MATRIX, Permission, Role
from tuipacs.domain.route import RouteConditions, RouteLevel, RouteRule, RouteSource
from tuipacs.errors import ConflictError, ForbiddenError, NotFoundError, UsageError
from tuipacs.schema.messages import Empty
from tuipacs.schema.route_messages import (
    RouteEditRequest,
    RouteEnableRequest,
    RouteMoveRequest,
    RoutePreviewRequest,
    RouteRequest,
    RouteStudyRequest,
)

MR = RouteConditions(modalities=("MR",))
CT = RouteConditions(modalities=("CT",))


@pytest.fixture
def routing(parts: Parts) -> Routing:
    return Routing(parts)


def test_a_study_is_sent_once_when_it_has_been_quiet(routing: Routing) -> None:
    routing.rule("all", routing.node("PACS2"))
    objects = make_study(1, 3)
    routing.arrive(objects[2], objects[0])
    assert routing.look(QUIET - 1) == []
    routing.arrive(objects[1])
    assert routing.look(QUIET - 1) == []  # the quiet time began anew
    (job,) = routing.look(1)
    assert routing.items(job) == [each.SOPInstanceUID for each in objects]  # by their numbers
    assert routing.woken == [job]
    assert routing.look(1000) == []
    uid = str(objects[0].StudyInstanceUID)
    assert routing.said(uid) == [("all", "sent", "3 objects to PACS2")]
    (decision,) = routing.explain(uid).decisions
    assert (decision.job, decision.instances, decision.destination) == (job, 3, "PACS2")


def test_the_job_carries_what_the_rule_says_and_who_it_is_for(routing: Routing) -> None:
    routing.rule("all", routing.node("PACS2"), priority=2, commit=True)
    uid = routing.study()
    (job,) = routing.look()
    row = routing.parts.rows(
        "SELECT priority, payload, submitted_by, node_title, state FROM job WHERE id = ?", job
    )[0]
    assert row == (2, '{"commit":true}', "(routing)", "PACS2", "queued")
    record = routing.parts.last_record()
    assert (record.event_code, record.operation) == ("110102", "judging.judge")
    assert (record.study_instance_uid, record.detail) == (uid, f"routing queued job {job}")


def test_nothing_is_written_of_an_arrival_that_no_rule_wants_but_the_reason(
    routing: Routing,
) -> None:
    routing.rule("mr", routing.node("PACS2"), conditions=MR)
    before = len(routing.parts.records())
    uid = routing.study()
    received = len(routing.parts.records())
    assert routing.look() == []
    assert len(routing.parts.records()) == received > before
    assert routing.said(uid) == [("mr", "not-matched", "no modality is like MR (there is CT)")]


def test_objects_that_come_late_go_on_in_a_second_job_without_the_first_ones(
    routing: Routing,
) -> None:
    routing.rule("all", routing.node("PACS2"))
    objects = make_study(2, 2)
    routing.arrive(*objects[:3])
    (first,) = routing.look()
    routing.arrive(objects[3])
    (second,) = routing.look()
    assert len(routing.items(first)) == 3
    assert routing.items(second) == [objects[3].SOPInstanceUID]


def test_two_rules_to_one_node_send_an_object_once(routing: Routing) -> None:
    node = routing.node("PACS2")
    routing.rule("first", node, conditions=CT)
    routing.rule("second", node)
    uid = routing.study(3)
    (job,) = routing.look()
    assert len(routing.items(job)) == 3
    assert routing.said(uid)[1] == (
        "second",
        "nothing-new",
        "all of it was routed to PACS2 before",
    )


def test_a_rule_of_series_level_sends_those_series_and_the_next_rule_the_rest(
    routing: Routing,
) -> None:
    node = routing.node("PACS2")
    routing.rule("ct", node, conditions=CT, level=RouteLevel.SERIES)
    objects = make_study(2, 2)
    for each in objects[2:]:
        each.Modality = "SR"
    routing.arrive(*objects)
    (job,) = routing.look()
    assert routing.items(job) == [each.SOPInstanceUID for each in objects[:2]]
    routing.rule("rest", node)
    routing.routes.force(ADMIN, by_uid(objects[0].StudyInstanceUID))
    (job,) = routing.look(0)
    assert routing.items(job) == [each.SOPInstanceUID for each in objects[2:]]


def by_uid(uid: str) -> RouteStudyRequest:
    return RouteStudyRequest(study_instance_uid=str(uid))


def test_a_rule_goes_to_each_of_its_nodes(routing: Routing) -> None:
    one, two = routing.node("PACS2"), routing.node("WS1", host="192.0.2.10")
    routing.rule("all", one, two)
    uid = routing.study()
    assert len(routing.look()) == 2
    assert [decision.destination for decision in routing.explain(uid).decisions] == ["PACS2", "WS1"]


def test_rules_are_asked_in_order_and_one_that_matches_may_stop_the_others(
    routing: Routing,
) -> None:
    one, two = routing.node("PACS2"), routing.node("WS1", host="192.0.2.10")
    routing.rule("last", two)
    routing.rule("mr", one, conditions=MR, stop=True, position=1)
    routing.rule("ct", one, conditions=CT, stop=True, position=2)
    uid = routing.study()
    assert len(routing.look()) == 1
    assert [(rule, outcome) for rule, outcome, _ in routing.said(uid)] == [
        ("mr", "not-matched"),
        ("ct", "sent"),
        ("last", "stopped"),
    ]
    assert routing.said(uid)[2][2] == "“ct” matched, and ends the list"


def test_a_rule_without_destination_keeps_studies_from_the_rules_after_it(
    routing: Routing,
) -> None:
    routing.rule("not research", conditions=RouteConditions(patient_ids=("RES*",)), stop=True)
    routing.rule("all", routing.node("PACS2"))
    research, other = routing.study(PatientID="RES-1"), routing.study(PatientID="X")
    assert len(routing.look()) == 1
    assert [outcome for _, outcome, _ in routing.said(research)] == ["nowhere", "stopped"]
    assert [outcome for _, outcome, _ in routing.said(other)] == ["not-matched", "sent"]


def test_each_rule_has_its_own_quiet_time_and_one_that_stops_is_waited_for(
    routing: Routing,
) -> None:
    node, two = routing.node("PACS2"), routing.node("WS1", host="192.0.2.10")
    routing.rule("quick", node, conditions=CT, quiet_seconds=5)
    routing.rule("slow", node, conditions=MR, quiet_seconds=300, stop=True)
    routing.rule("after", two, quiet_seconds=5)
    uid = routing.study()
    assert len(routing.look(5)) == 1
    assert [rule for rule, _, _ in routing.said(uid)] == ["quick"]
    assert routing.explain(uid).state == "still arriving: 5 s of 300 s quiet"
    assert routing.look(294) == []
    assert len(routing.look(1)) == 1
    assert [rule for rule, _, _ in routing.said(uid)] == ["quick", "slow", "after"]
    assert not routing.explain(uid).waits


def test_an_object_that_comes_while_rules_wait_makes_all_of_them_speak_again(
    routing: Routing,
) -> None:
    routing.rule("quick", routing.node("PACS2"), quiet_seconds=5)
    routing.rule("slow", routing.node("WS1", host="192.0.2.10"), quiet_seconds=300)
    objects = make_study(1, 2)
    routing.arrive(objects[0])
    routing.look(5)
    routing.arrive(objects[1])
    (job,) = routing.look(5)
    assert routing.items(job) == [objects[1].SOPInstanceUID]
    (job,) = routing.look(295)
    assert len(routing.items(job)) == 2


def test_identical_objects_are_no_arrival(routing: Routing) -> None:
    routing.rule("all", routing.node("PACS2"))
    objects = make_study(1, 2)
    routing.arrive(*objects)
    routing.look()
    assert routing.arrive(*objects, calling="OTHER") == [IngestResult.DUPLICATE] * 2
    assert routing.look() == []
    assert not routing.explain(str(objects[0].StudyInstanceUID)).waits


def test_another_version_of_an_object_is_not_routed_by_itself(routing: Routing) -> None:
    """Else an archive that changes what passes through would be answered for ever."""
    routing.rule("all", routing.node("PACS2"))
    original = make_dataset()
    routing.arrive(original)
    (job,) = routing.look()
    for number in range(3):
        original.StudyDescription = f"CHANGED {number}"
        assert routing.arrive(original, calling="PACS3") == [IngestResult.CONFLICT]
        assert routing.look() == []
    assert len(routing.items(job)) == 1
    uid = str(original.StudyInstanceUID)
    assert len(routing.said(uid)) == 1  # it was not even judged again
    routing.routes.force(ADMIN, by_uid(uid))
    assert routing.look(0) == []


def test_nothing_goes_back_to_the_node_it_came_from(routing: Routing) -> None:
    routing.rule("all", routing.node("PACS2"), routing.node("WS1", host="192.0.2.10"))
    uid = routing.study(2, calling="PACS2")
    (job,) = routing.look()
    assert [
        decision.destination for decision in routing.explain(uid).decisions if decision.job
    ] == ["WS1"]
    assert len(routing.items(job)) == 2
    assert routing.said(uid)[0] == ("all", "came-from-there", "all that is new came from PACS2")


def test_what_a_node_sent_itself_stays_out_of_a_job_with_the_rest(routing: Routing) -> None:
    routing.rule("all", routing.node("PACS2"))
    objects = make_study(1, 3)
    routing.arrive(objects[0], calling="PACS2")
    routing.arrive(*objects[1:], calling="CT1")
    (job,) = routing.look()
    assert routing.items(job) == [each.SOPInstanceUID for each in objects[1:]]
    assert routing.said(str(objects[0].StudyInstanceUID))[0][2] == (
        "2 objects to PACS2; 1 that came from there stay"
    )


def test_another_title_at_the_same_host_and_port_is_the_same_node(routing: Routing) -> None:
    routing.node("PACS2_OUT", host="Archive.example", port=104)
    routing.rule("all", routing.node("PACS2", host="archive.example", port=104))
    uid = routing.study(calling="PACS2_OUT")
    assert routing.look() == []
    assert routing.said(uid)[0][1] == "came-from-there"


def test_a_removed_node_is_told_and_never_replaced_by_another(routing: Routing) -> None:
    """SQLite gives the key of the last row again: the rule must not send to a stranger."""
    node = routing.node("PACS2")
    routing.rule("all", node)
    routing.forget_node(node)
    assert routing.node("STRANGER") == node
    uid = routing.study()
    assert routing.look() == []
    assert routing.said(uid) == [("all", "node-removed", "PACS2 was removed from the nodes")]
    (record,) = routing.routes.list(ADMIN, Empty()).routes
    (target,) = record.targets
    assert (target.node, target.ae_title, target.fault) == (
        0,
        "PACS2",
        "removed from the nodes",
    )


def test_a_removed_node_is_named_as_it_was_called_last(routing: Routing) -> None:
    node = routing.node("PACS2")
    routing.rule("all", node)
    with routing.parts.index.write() as tx:
        tx.execute("UPDATE node SET ae_title = 'PACS9' WHERE id = ?", (node,))
    routing.forget_node(node)
    (record,) = routing.routes.list(ADMIN, Empty()).routes
    assert [target.ae_title for target in record.targets] == ["PACS9"]


def test_a_new_node_with_the_key_of_an_old_one_gets_all_objects(routing: Routing) -> None:
    """What the old one had been sent says nothing of the new one."""
    first = routing.node("PACS2")
    record = routing.rule("all", first)
    uid = routing.study(2)
    routing.look()
    routing.forget_node(first)
    assert routing.node("PACS3") == first
    rule = msgspec.structs.replace(record.rule, nodes=(first,))
    routing.routes.edit(
        ADMIN, RouteEditRequest(key=record.key, revision=record.revision, rule=rule)
    )
    routing.routes.force(ADMIN, by_uid(uid))
    (job,) = routing.look(0)
    assert len(routing.items(job)) == 2


def test_a_node_that_may_not_be_sent_to_is_told_and_sent_to_when_it_may(routing: Routing) -> None:
    node = routing.node("PACS2", services=(CallService.ECHO,))
    routing.rule("all", node)
    uid = routing.study()
    assert routing.look() == []
    assert routing.said(uid) == [("all", "node-not-called", "PACS2 is not set up to be sent to")]
    with routing.parts.index.write() as tx:
        tx.execute("UPDATE node SET call = replace(call, 'echo', 'send')")
    routing.routes.force(ADMIN, by_uid(uid))
    assert len(routing.look(0)) == 1


def test_a_disabled_rule_says_so(routing: Routing) -> None:
    node = routing.node("PACS2")
    routing.rule("on", node, conditions=MR)
    routing.rule("off", node, enabled=False)
    uid = routing.study()
    assert routing.look() == []
    assert routing.said(uid)[1] == ("off", "disabled", "the rule is switched off")


def test_without_a_rule_nothing_waits_and_the_first_rule_takes_what_is_arriving_now(
    routing: Routing,
) -> None:
    """An archive of years is not sent on because somebody makes a rule."""
    old = routing.study()
    routing.look(10 * QUIET)
    arriving = routing.study()
    routing.parts.clock.now += QUIET / 2
    routing.rule("all", routing.node("PACS2"))
    (job,) = routing.look(QUIET / 2)
    assert len(routing.items(job)) == 2
    assert routing.said(arriving)
    assert routing.explain(old).state.startswith("never judged")
    assert [decision.outcome.value for decision in routing.explain(old).now] == ["sent"]


def test_a_second_rule_takes_nothing_from_what_waits_for_the_first(routing: Routing) -> None:
    routing.rule("slow", routing.node("PACS2"), quiet_seconds=300)
    uid = routing.study()
    routing.look(200)
    routing.rule("mr", routing.node("WS1", host="192.0.2.10"), conditions=MR)
    assert len(routing.look(100)) == 1
    assert [rule for rule, _, _ in routing.said(uid)] == ["slow", "mr"]


def test_what_came_while_all_rules_were_off_is_not_sent_when_one_is_switched_on(
    routing: Routing,
) -> None:
    record = routing.rule("all", routing.node("PACS2"))
    waiting = routing.study()
    routing.look(1)
    switch(routing, record.key, enabled=False)
    missed = routing.study()
    assert routing.look(10 * QUIET) == []
    assert routing.explain(waiting).state == "no rule is switched on"
    switch(routing, record.key, enabled=True)
    assert routing.look() == []
    assert routing.said(waiting) == routing.said(missed) == []
    routing.study()
    assert len(routing.look()) == 1


def switch(routing: Routing, key: int, *, enabled: bool) -> None:
    routing.routes.enable(ADMIN, RouteEnableRequest(key=key, enabled=enabled))


def test_imports_wait_for_no_rule_that_does_not_take_them(routing: Routing) -> None:
    record = routing.rule("received", routing.node("PACS2"))
    dataset = make_dataset()
    routing.parts.bring(dataset)
    assert routing.look() == []
    assert routing.parts.rows("SELECT * FROM route_pending") == []
    explained = routing.explain(str(dataset.StudyInstanceUID))
    assert explained.state.startswith("never judged")
    assert [decision.reason for decision in explained.now] == [
        "it was imported, and the rule is for what nodes send"
    ]
    rule = msgspec.structs.replace(record.rule, conditions=RouteConditions(source=RouteSource.ANY))
    routing.routes.edit(
        ADMIN, RouteEditRequest(key=record.key, revision=record.revision, rule=rule)
    )
    routing.parts.bring(make_dataset())
    assert len(routing.look()) == 1


def test_a_study_can_be_taken_for_complete_at_once(routing: Routing) -> None:
    routing.rule("all", routing.node("PACS2"))
    objects = make_study(1, 2)
    uid = str(objects[0].StudyInstanceUID)
    routing.arrive(objects[0])
    routing.look(1)
    assert routing.explain(uid).state == "still arriving: 1 s of 60 s quiet"
    (explained,) = routing.routes.force(actor(Role.TECHNOLOGIST), by_uid(uid)).studies
    assert explained.state == "about to be judged: somebody asked for it"
    routing.arrive(objects[1])  # what comes in between goes with it
    (job,) = routing.look(0)
    assert len(routing.items(job)) == 2
    assert routing.explain(uid).decisions[0].forced
    record = next(r for r in routing.parts.records() if r.operation == "routes.force")
    assert (record.outcome, record.study_instance_uid) == (AuditOutcome.SUCCESS, uid)


def test_nobody_forces_without_a_rule_or_a_study(routing: Routing) -> None:
    uid = routing.study()
    with pytest.raises(UsageError, match="no routing rule is switched on"):
        routing.routes.force(ADMIN, by_uid(uid))
    with pytest.raises(NotFoundError):
        routing.routes.force(ADMIN, by_uid("1.2.3"))
    with pytest.raises(ForbiddenError):
        routing.routes.force(actor(Role.VIEWER), by_uid(uid))


def test_a_study_uid_of_two_patients_forces_neither(routing: Routing) -> None:
    routing.rule("all", routing.node("PACS2"))
    uid = routing.study(1, PatientID="HIS")
    routing.arrive(make_dataset(StudyInstanceUID=uid, PatientID="HERS"))
    with pytest.raises(UsageError, match=f"{uid} is of several patients here"):
        routing.routes.force(ADMIN, by_uid(uid))
    _, (hers,) = routing.parts.rows("SELECT id FROM study ORDER BY id")
    routing.routes.force(ADMIN, RouteStudyRequest(key=hers))
    (job,) = routing.look(0)
    assert len(routing.items(job)) == 1


def test_the_job_of_a_decision_is_told_as_it_is_now(routing: Routing) -> None:
    routing.rule("all", routing.node("PACS2"))
    uid = routing.study()
    (job,) = routing.look()
    with routing.parts.index.write() as tx:
        tx.execute("UPDATE job SET state = 'dead' WHERE id = ?", (job,))
    (decision,) = routing.explain(uid).decisions
    assert decision.job_state == "dead"


def test_one_uid_of_two_patients_is_explained_twice(routing: Routing) -> None:
    routing.rule("all", routing.node("PACS2"))
    one, two = make_dataset(PatientID="A"), make_dataset(PatientID="B")
    two.StudyInstanceUID = one.StudyInstanceUID
    routing.arrive(one, two)
    assert len(routing.look()) == 2
    found = routing.routes.explain(ADMIN, by_uid(one.StudyInstanceUID)).studies
    assert sorted(each.study.patient_id for each in found) == ["A", "B"]


def test_rules_are_kept_in_order_moved_and_removed(routing: Routing) -> None:
    node = routing.node("PACS2")
    keys = {name: routing.rule(name, node).key for name in ("a", "b", "c")}
    routing.routes.move(ADMIN, RouteMoveRequest(key=keys["c"], position=1))
    assert names(routing) == ["c", "a", "b"]
    routing.routes.move(ADMIN, RouteMoveRequest(key=keys["c"], position=99))
    assert names(routing) == ["a", "b", "c"]
    routing.routes.remove(ADMIN, RouteRequest(key=keys["a"]))
    listed = routing.routes.list(ADMIN, Empty()).routes
    assert [(record.position, record.rule.name) for record in listed] == [(1, "b"), (2, "c")]
    with pytest.raises(NotFoundError):
        routing.routes.remove(ADMIN, RouteRequest(key=keys["a"]))


def names(routing: Routing) -> list[str]:
    return [record.rule.name for record in routing.routes.list(ADMIN, Empty()).routes]


def test_a_rule_changed_by_somebody_else_meanwhile_is_not_overwritten(routing: Routing) -> None:
    record = routing.rule("a", routing.node("PACS2"))
    rule = msgspec.structs.replace(record.rule, name="b")
    request = RouteEditRequest(key=record.key, revision=record.revision, rule=rule)
    assert routing.routes.edit(ADMIN, request).rule.name == "b"
    with pytest.raises(ConflictError, match="admin has changed this rule meanwhile"):
        routing.routes.edit(ADMIN, request)


def test_names_are_unique_and_destinations_have_to_be_known(routing: Routing) -> None:
    node = routing.node("PACS2")
    routing.rule("Alpha", node)
    with pytest.raises(ConflictError):
        routing.rule("alpha", node)
    with pytest.raises(NotFoundError):
        routing.rule("b", node + 7)


def test_an_edit_keeps_a_removed_destination_or_takes_it_away(routing: Routing) -> None:
    gone, other = routing.node("PACS2"), routing.node("WS1", host="192.0.2.10")
    record = routing.rule("a", gone, other)
    routing.forget_node(gone)
    (record,) = routing.routes.list(ADMIN, Empty()).routes
    assert record.rule.nodes == (0, other)
    rule = msgspec.structs.replace(record.rule, commit=True)
    record = routing.routes.edit(
        ADMIN, RouteEditRequest(key=record.key, revision=record.revision, rule=rule)
    )
    assert [target.ae_title for target in record.targets] == ["PACS2", "WS1"]
    rule = msgspec.structs.replace(record.rule, nodes=(other,))
    record = routing.routes.edit(
        ADMIN, RouteEditRequest(key=record.key, revision=record.revision, rule=rule)
    )
    assert [target.ae_title for target in record.targets] == ["WS1"]
    with pytest.raises(UsageError):
        rule = msgspec.structs.replace(record.rule, nodes=(0, other))
        routing.routes.edit(
            ADMIN, RouteEditRequest(key=record.key, revision=record.revision, rule=rule)
        )


def test_changes_of_rules_are_in_the_audit_log_with_what_they_say(routing: Routing) -> None:
    routing.rule("chest", routing.node("PACS2"), conditions=CT, commit=True)
    record = routing.parts.last_record()
    assert (record.event_code, record.operation) == ("110113", "routes.add")
    assert record.detail == "new rule chest (on): to PACS2; then commit; CT"


def test_the_list_counts_studies_sent_of_late(routing: Routing) -> None:
    routing.rule("all", routing.node("PACS2"))
    objects = make_study(1, 2)
    for each in objects:  # one study, in two jobs
        routing.arrive(each)
        routing.look()
    routing.study()
    routing.look()
    (record,) = routing.routes.list(ADMIN, Empty()).routes
    assert (record.matched, record.matched_at) == (2, routing.parts.clock())
    routing.parts.clock.now += 8 * 86_400
    (record,) = routing.routes.list(ADMIN, Empty()).routes
    assert (record.matched, record.matched_at) == (0, None)


def test_a_preview_shows_what_matched_and_what_nearly_did(routing: Routing) -> None:
    near = routing.study(StudyDescription="CT CHEST", Modality="MR")
    routing.study(StudyDescription="KNEE", Modality="MR", PatientID="X")
    match = routing.study(StudyDescription="CT CHEST")
    routing.parts.clock.now += 10
    rule = RouteRule(
        name="try",
        nodes=(1,),
        conditions=RouteConditions(modalities=("CT",), study_descriptions=("*CHEST",)),
    )
    found = routing.routes.preview(ADMIN, RoutePreviewRequest(rule=rule))
    assert (found.came, found.looked_at, found.matched) == (3, 3, 1)
    assert [row.study.study_instance_uid for row in found.rows][:2] == [match, near]
    assert [row.reason for row in found.rows][:2] == ["", "no modality is like CT (there is MR)"]
    assert routing.parts.last_record().event_code == "110112"
    routing.parts.clock.now += 8 * 86_400
    assert routing.routes.preview(ADMIN, RoutePreviewRequest(rule=rule)).came == 0


def test_who_may_see_the_rules_may_see_the_studies_of_a_preview() -> None:
    for role in Role:
        if Permission.VIEW_ROUTES in MATRIX[role]:
            assert Permission.BROWSE in MATRIX[role]
