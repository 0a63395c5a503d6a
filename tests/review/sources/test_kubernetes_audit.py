"""The audit log of Kubernetes as evidence: who did what with which right, and when that is known."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lapse.domain.errors import InvalidInput
from lapse.review.model import Coverage
from lapse.review.sources.kubernetes.audit_events import allowed_by
from support.aws_files import problems, write
from support.kubernetes_audit_lines import allowed, at, event, jsonl, read, read_events

# Use


def test_a_request_is_use_of_an_account_by_a_role_on_an_object(tmp_path):
    result = read_events(tmp_path, event())
    assert result.usage == [
        {
            "resource": "k8s-prod",
            "account": "ann@example.com",
            "started_at": at("01T10:00:00.123456"),
            "ended_at": at("01T10:00:02.500000"),
            "grant_id": None,
            "role": "clusterrole/edit",
            "action": "get",
            "source": "kubernetes-audit audit.log",
            "object": "shop/pods/web",
            "principal": "ann",
            "address": "198.51.100.7",
            "device": "kubectl/v1.31.0",
            "session_id": None,
        }
    ]
    assert (result.report.records, result.report.used) == (1, 1)
    assert problems(result) == {}


@pytest.mark.parametrize(
    ("about", "thing"),
    [
        ({"resource": "pods", "namespace": "a", "name": "web", "subresource": "exec"}, "a/pods/web/exec"),
        ({"resource": "pods", "namespace": "a"}, "a/pods"),
        ({"resource": "pods"}, "pods"),
        ({"resource": "nodes", "name": "n1", "subresource": "proxy"}, "nodes/n1/proxy"),
        ({"resource": "namespaces", "namespace": "a", "name": "a"}, "namespaces/a"),
        ({"resource": "pods", "namespace": "a", "subresource": "binding"}, "a/pods/*/binding"),
        (None, "/healthz"),
    ],
)
def test_objects_are_named_by_namespace_resource_and_name(tmp_path, about, thing):
    result = read_events(tmp_path, event(objectRef=about, requestURI="/healthz?verbose"))
    assert result.usage[0]["object"] == thing


@pytest.mark.parametrize(
    ("annotations", "role", "accounts"),
    [
        (allowed("User/x", "Role/r", "RoleBinding/b/shop"), "role/shop/r", ["ann@example.com"]),
        (allowed("User/x", "ClusterRole/view", "RoleBinding/b/shop"), "clusterrole/view@shop", ["ann@example.com"]),
        (allowed("Group/dev"), "clusterrole/edit", ["ann@example.com", "group/dev"]),
        (allowed("ServiceAccount/a/b"), "clusterrole/edit", ["ann@example.com"]),
        ({"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": ""}, None, ["ann@example.com"]),
        ({"authorization.k8s.io/decision": "allow"}, None, ["ann@example.com"]),
    ],
)
def test_the_role_is_the_one_that_allowed_it_and_the_group_through_which_it_was_held_was_used_too(
    tmp_path, annotations, role, accounts
):
    result = read_events(tmp_path, event(annotations=annotations))
    assert [row["account"] for row in result.usage] == accounts
    assert {row["role"] for row in result.usage} == {role}
    assert {row["principal"] for row in result.usage} == {"ann"}


def test_the_group_of_masters_is_used_where_nothing_else_allowed_it(tmp_path):
    who = {"username": "kubernetes-admin", "groups": ["system:masters", "system:authenticated"]}
    result = read_events(
        tmp_path,
        event(user=who, annotations={"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": ""}),
    )
    assert [row["account"] for row in result.usage] == ["kubernetes-admin", "group/system:masters"]


def test_whoever_impersonates_is_named_and_so_is_who_is_impersonated(tmp_path):
    whom = {"username": "system:serviceaccount:ci:robot", "groups": ["system:serviceaccounts"]}
    result = read_events(
        tmp_path,
        event("delete", impersonatedUser=whom, annotations=allowed("ServiceAccount/robot/ci", "ClusterRole/admin")),
    )
    rows = [(row["account"], row["action"], row["object"], row["role"], row["principal"]) for row in result.usage]
    robot = "system:serviceaccount:ci:robot"
    assert rows == [
        ("ann@example.com", "impersonate", f"users/{robot}", None, "ann"),
        (robot, "delete", "shop/pods/web", "clusterrole/admin", "ann"),
    ]
    assert result.report.used == 1


def test_what_an_identity_provider_puts_before_names_is_taken_away_to_find_the_person(tmp_path):
    result = read_events(tmp_path, event(user={"username": "oidc:ann"}), prefix="oidc:")
    assert (result.usage[0]["account"], result.usage[0]["principal"]) == ("oidc:ann", "ann")


def test_what_was_not_carried_out_is_no_use_and_says_why(tmp_path):
    forbidden = {"authorization.k8s.io/decision": "forbid", "authorization.k8s.io/reason": ""}
    result = read_events(
        tmp_path,
        event(stage="RequestReceived"),
        event(stage="ResponseStarted"),
        event(stage="Panic"),
        event(responseStatus={"code": 403}),
        event(annotations=forbidden, responseStatus=None),
        event(responseStatus={"code": 401}),
        event(user=None),
        event(responseStatus={"code": 429}, annotations=None),
        event(responseStatus={"code": 404}),
        event(responseStatus={"code": 500}),
    )
    assert result.report.skipped == {
        "a stage before the end: the request has another event, or was not over": 2,
        "the API server failed on it": 1,
        "access was denied": 2,
        "nobody was authenticated": 2,
        "the API server did not carry it out": 1,
    }
    assert len(result.usage) == 2  # it was allowed, so the right was used, whatever came of it


def test_an_event_that_lies_there_twice_counts_once_and_a_copied_id_hides_nothing(tmp_path):
    one = event(auditID="x")
    result = read_events(tmp_path, one, one, event("delete", auditID="x"), event(auditID="x", when="01T10:00:01"))
    assert [row["action"] for row in result.usage] == ["get", "delete", "get"]
    assert result.report.skipped == {"seen already": 1}


def test_long_strange_and_hostile_texts_are_kept_as_far_as_evidence_can_hold_them(tmp_path):
    result = read_events(
        tmp_path,
        event(userAgent="x" * 5000, user={"username": '=cmd()|"/c calc"!A1'}),
        event(userAgent="a\x00b", user={"username": "<b>x</b>"}),
    )
    assert [len(row["device"]) for row in result.usage] == [2000, 3]
    assert {row["account"] for row in result.usage} == {'=cmd()|"/c calc"!A1', "<b>x</b>"}
    assert problems(result) == {"texts that were too long were cut": 1}


# Windows


def test_the_log_covers_from_its_first_to_its_last_event_but_not_long_silences(tmp_path):
    result = read_events(
        tmp_path,
        event(when="01T10:00:00"),
        event(when="01T10:50:00"),
        event(when="01T13:00:00"),
        complete="yes",
    )
    assert [(row["from_at"], row["to_at"], row["complete"], row["actions"]) for row in result.coverage] == [
        (at("01T10:00:02.5"), at("01T10:50:02.5"), True, False),
        (at("01T13:00:02.5"), at("01T13:00:02.5"), True, False),
    ]


def test_an_event_that_cannot_be_read_makes_a_hole(tmp_path):
    write(tmp_path, audit__log=jsonl(event()) + b"{broken}\n" + jsonl(event(when="01T10:30:00")))
    result = read(tmp_path / "audit.log", tmp_path, complete="yes")
    assert [row["complete"] for row in result.coverage] == [False]
    assert result.manifest.table("usage").coverage is Coverage.PARTIAL


def test_a_log_that_does_not_say_why_requests_were_allowed_is_not_complete_for_groups(tmp_path):
    result = read_events(tmp_path, event(annotations=None), complete="yes")
    assert [row["complete"] for row in result.coverage] == [False]
    assert any("not believed" in what for what in problems(result))


def test_events_later_than_now_are_used_and_reported_and_cover_nothing(tmp_path):
    result = read_events(tmp_path, event(), event(when="31T10:00:00"), taken_at="2026-07-02T00:00:00Z", complete="yes")
    assert len(result.usage) == 2
    assert problems(result) == {"events are later than now: a clock is wrong, or they were made up": 1}
    assert [row["to_at"] for row in result.coverage] == [at("01T10:00:02.5")]


# Files


def test_lists_wrapped_events_and_rotated_files_are_read(tmp_path):
    write(
        tmp_path,
        in_S_audit__log__gz=jsonl(event()),
        in_S_audit__log__1=jsonl({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "items": [event(), event()]}),
        in_S_aks__json=json.dumps([{"category": "kube-audit", "properties": {"log": event()}}], indent=1).encode(),
        in_S_eks__jsonl=jsonl({"message": json.dumps(event()), "timestamp": 1}, {"log": json.dumps(event())}),
        in_S_README__md=b"# logs",
    )
    result = read(tmp_path / "in", tmp_path)
    assert (len(result.usage), result.report.files, result.report.rejected) == (6, 4, 0)
    assert problems(result) == {"files that are not of this kind by their names were not read": 1}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"not json", "it is no JSON object"),
        (b'{"kind": "Event"', "truncated"),
        (b'{"a": 1}', "it is no event of audit.k8s.io"),
        (b'{"kind": "Event", "apiVersion": "v1"}', "it is no event of audit.k8s.io"),
        (b'{"items": [1]}', "Expected `object`, got `int`"),
        (b'{"log": "{}"}', "it is no event of audit.k8s.io"),
        (b'{"log": {"log": {"log": {"log": {"log": {}}}}}}', "it is wrapped too often"),
        (json.dumps(event(user="ann")).encode(), "Expected `object | null`, got `str`"),
        (json.dumps(event(stageTimestamp="yesterday")).encode(), "Invalid RFC3339"),
        (json.dumps(event(stageTimestamp=None, requestReceivedTimestamp=None)).encode(), "it does not say when it was"),
        (json.dumps(event(stageTimestamp="0001-01-01T00:00:00+10:00")).encode(), "outside of the calendar"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "nested too deeply"),
    ],
)
def test_a_line_that_is_no_event_is_rejected_and_the_next_one_read(tmp_path, line, why):
    write(tmp_path, audit__log=jsonl(event()) + line + b"\n" + jsonl(event()))
    result = read(tmp_path / "audit.log", tmp_path)
    assert why in result.report.examples[0]
    assert (result.report.rejected, len(result.usage)) == (1, 2)


def test_a_packed_log_that_ends_early_gives_what_there_is(tmp_path):
    (tmp_path / "audit.log.gz").write_bytes(gzip.compress(jsonl(*(event() for _ in range(500))))[:-200])
    result = read(tmp_path / "audit.log.gz", tmp_path, complete="yes")
    assert 0 < len(result.usage) < 500
    assert not any(row["complete"] for row in result.coverage[-1:])


@pytest.mark.parametrize(("options", "words"), [({"cluster": ""}, "of which cluster"), ({"gap": "long"}, "duration")])
def test_options_that_make_no_sense_are_refused(tmp_path, options, words):
    with pytest.raises(InvalidInput, match=words):
        read_events(tmp_path, event(), **options)


@pytest.mark.parametrize(
    ("reason", "found"),
    [
        ('RBAC: allowed by ClusterRoleBinding "a\\"b" of ClusterRole "c" to User "d\\\\e"', ("clusterrole/c", "d\\e")),
        (
            'RBAC: allowed by RoleBinding "b/n" of Role "r" to ServiceAccount "s/n"',
            ("role/n/r", "system:serviceaccount:n:s"),
        ),
        ('RBAC: allowed by ClusterRoleBinding "b" of Role "r" to User "x"', None),
        ("EKS Access Policy: allowed", None),
        ("", None),
    ],
)
def test_the_reason_of_an_answer_names_the_role(reason, found):
    assert allowed_by(reason) == found


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60, deadline=None
)
@given(
    st.lists(
        st.builds(
            lambda key, value, whole: json.dumps(value if whole else event() | {key: value}).encode(),
            st.sampled_from(list(event())),
            json_values,
            st.booleans(),
        )
        | st.binary(max_size=40).filter(lambda data: b"\n" not in data),
        max_size=6,
    )
)
def test_any_lines_are_used_skipped_or_rejected(tmp_path, lines):
    (tmp_path / "audit.log").write_bytes(b"\n".join(lines))
    result = read(tmp_path / "audit.log", tmp_path)
    assert result.report.records == result.report.used + result.report.rejected + sum(result.report.skipped.values())
