"""Teleport's audit log as evidence: who used what in which session, and which certificates there are."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lapse.domain.errors import InvalidInput
from lapse.review.model import Coverage
from lapse.review.sources.teleport.events import address_of
from support.aws_files import problems
from support.teleport_events import (
    ANN,
    BOB,
    ZERO,
    at,
    created,
    db,
    event,
    read_events,
    request,
    ssh,
)

# Sessions and use


def test_a_session_is_put_together_from_its_beginning_and_end(tmp_path):
    result = read_events(
        tmp_path,
        ssh("session.end", "01T11:00:00", session_start="2026-07-01T10:00:00Z", session_stop="2026-07-01T10:59:59Z"),
        ssh("session.start", access_requests=["r-1"], trusted_device={"asset_tag": "MAC-7"}),
        ssh("session.upload", "01T11:00:05", user="", login=""),
        ssh("session.data", "01T11:00:00"),
    )
    assert result.sessions == [
        {
            "session_id": "s-1",
            "resource": "web-1",
            "account": "root",
            "started_at": at("01T10:00:00"),
            "ended_at": at("01T10:59:59"),
            "grant_id": "r-1",
            "principal": "ann",
            "protocol": "ssh",
            "address": "198.51.100.7",
            "device": "MAC-7",
            "end_reason": None,
            "recorded": True,
            "source": "teleport events.log",
        }
    ]
    assert result.report.used == 4


@pytest.mark.parametrize(
    ("about", "resource", "account", "protocol"),
    [
        ({"login": "root", "server_id": "h", "server_hostname": "web-1"}, "web-1", "root", "ssh"),
        ({"kubernetes_cluster": "k8s-a", "kubernetes_users": ["ops"], "proto": "kube"}, "k8s-a", "ops", "kube"),
        ({"kubernetes_cluster": "k8s-a", "kubernetes_users": ["a", "b"], "login": "x"}, "k8s-a", ANN, "kube"),
        ({"db_service": "pg", "db_user": "writer", "db_protocol": "mysql"}, "pg", "writer", "mysql"),
        ({"app_name": "aws", "aws_role_arn": "arn:aws:iam::1:role/x"}, "aws", "arn:aws:iam::1:role/x", "app"),
        ({"app_name": "grafana"}, "grafana", ANN, "app"),
        ({"desktop_name": "win-1", "windows_user": "Administrator", "proto": "tdp"}, "win-1", "Administrator", "tdp"),
    ],
)
def test_each_protocol_names_its_resource_and_account(tmp_path, about, resource, account, protocol):
    result = read_events(tmp_path, event("session.start", sid="s", user=ANN, **about))
    (session,), (use,) = result.sessions, result.usage
    assert (session["resource"], session["account"], session["protocol"]) == (resource, account, protocol)
    assert (use["resource"], use["account"], use["principal"]) == (resource, account, "ann")


def test_people_who_share_an_account_are_told_apart(tmp_path):
    result = read_events(tmp_path, ssh("session.start"), ssh("session.start", sid="s-2", user=BOB))
    assert [(row["account"], row["principal"]) for row in result.usage] == [("root", "ann"), ("root", "bob")]
    assert [(row["rule"], row["principal"]) for row in result.links if row["account"] == "root"] == [("session", None)]


def test_whoever_impersonates_a_user_is_the_one_who_did_it(tmp_path):
    (row,) = read_events(tmp_path, ssh("session.start", user="bot-deploy", impersonator=ANN)).usage
    assert row["principal"] == "ann"


@pytest.mark.parametrize(
    ("found", "action", "thing"),
    [
        (ssh("exec", command="mysqldump -psecret shop"), "exec", "mysqldump"),
        (ssh("exec", command="false", code="T3002E", exitCode="1"), "exec", "false"),
        (ssh("scp", action="upload", path="/etc/passwd"), "scp upload", "/etc/passwd"),
        (ssh("sftp", action=4, path="/srv/x"), "sftp write", "/srv/x"),
        (ssh("port", addr="10.0.0.1:5432"), "port forwarding", "10.0.0.1:5432"),
        (ssh("session.join"), "session.join", "s-1"),
        (db("db.session.query", db_query=" select secret from t"), "SELECT", "shop"),
        (db("db.session.query", db_query='{"find": "x"}'), "query", "shop"),
        (db("db.session.mysql.statements.execute"), "db.session.mysql.statements.execute", "shop"),
        (event("kube.request", user=ANN, kubernetes_cluster="k", verb="GET", request_path="/api?x=1"), "get", "/api"),
        (event("app.session.request", user=ANN, app_name="a", method="POST", path="/x?token=1"), "POST", "/x"),
        (event("user.login", user=ANN, success=True, method="oidc"), "user.login", None),
        (event("role.created", user=ANN, name="admin"), "role.created", "admin"),
        (event("access_list.update", updated_by=ANN, name="list"), "access_list.update", "list"),
    ],
)
def test_what_was_done_is_use_and_nothing_secret_is_kept(tmp_path, found, action, thing):
    (row,) = read_events(tmp_path, found).usage
    assert (row["action"], row["object"], row["principal"]) == (action, thing, "ann")


def test_what_is_done_to_teleport_itself_is_use_of_the_cluster(tmp_path):
    (row,) = read_events(tmp_path, event("user.login", user=ANN, success=True)).usage
    assert (row["resource"], row["account"]) == ("teleport-main", ANN)
    (row,) = read_events(tmp_path, event("user.login", user=ANN), cluster="access").usage
    assert row["resource"] == "access"


def test_resources_can_be_named_by_kind(tmp_path):
    result = read_events(tmp_path, ssh("session.start"), db("db.session.start"), names="tp-{kind}-{name}")
    assert [row["resource"] for row in result.usage] == ["tp-node-web-1", "tp-db-pg-prod"]


def test_a_host_that_is_only_known_by_its_id_gets_the_name_that_was_seen(tmp_path):
    result = read_events(tmp_path, ssh("session.start"), ssh("exec", server_hostname="", command="ls"))
    assert [row["resource"] for row in result.usage] == ["web-1", "web-1"]


def test_what_failed_what_says_nothing_more_and_unknown_types_are_skipped_with_the_reason(tmp_path):
    result = read_events(
        tmp_path,
        event("user.login", user="x", success=False, code="T1000W"),
        db("db.session.start", success=False, code="TDB00W"),
        db("db.session.query.failed", db_query="DROP TABLE t"),
        event("auth", success=False),
        ssh("session.rejected"),
        ssh("resize"),
        ssh("session.leave"),
        event("upgradewindowstart.update_window"),
        event("device", user={"user": "an unusual shape"}, status={"success": True}),
    )
    assert result.usage == result.sessions == []
    assert result.report.skipped == {
        "it failed": 5,
        "it says no more of a session than others do": 2,
        "an event of a type that is not read": 2,
    }


def test_a_session_whose_beginning_is_not_in_the_log_is_counted(tmp_path):
    result = read_events(tmp_path, ssh("session.end"), db("db.session.end"))
    assert result.sessions == []
    assert problems(result) == {"sessions whose beginning is not in the log": 2}


def test_events_that_lie_there_twice_count_once_and_one_id_may_be_of_several(tmp_path):
    one = ssh("session.start", uid="same")
    result = read_events(tmp_path, one, one, ssh("exec", command="ls", uid="same"))
    assert [row["action"] for row in result.usage] == ["session.start", "exec"]
    assert result.report.skipped == {"seen already": 1}


# Certificates


def test_a_certificate_is_a_credential_with_its_end(tmp_path):
    identity = {
        "user": ANN,
        "expires": "2026-07-01T22:00:00.648137154Z",
        "access_requests": ["r-1"],
        "traits": {"x": None},
    }
    result = read_events(
        tmp_path,
        event("cert.create", uid="c-1", cert_type="user", identity=identity),
        event("cert.create", uid="", identity={"user": "build", "expires": ZERO}),
    )
    first, second = result.credentials
    assert first == {
        "credential_id": "c-1",
        "resource": "teleport-main",
        "kind": "certificate",
        "account": ANN,
        "principal": "ann",
        "grant_id": "r-1",
        "issued_at": at("01T10:00:00.123456"),
        "valid_until": at("01T22:00:00.648137"),
        "revoked_at": None,
        "rotated_at": None,
        "last_used": None,
    }
    assert (second["credential_id"], second["valid_until"]) == ("build 2026-07-01T10:00:00.123456+00:00", None)


# Windows and files


def test_every_resource_that_was_used_is_covered_as_long_as_the_log_goes_on(tmp_path):
    result = read_events(
        tmp_path, ssh("session.start"), db("db.session.start", "01T10:30:00"), event("x", "01T15:00:00"), complete="yes"
    )
    assert [(row["resource"], row["from_at"], row["to_at"], row["complete"]) for row in result.coverage] == [
        (name, start, end, True)
        for name in ("pg-prod", "web-1")
        for start, end in [
            (at("01T10:00:00.123456"), at("01T10:30:00.123456")),
            (at("01T15:00:00.123456"), at("01T15:00:00.123456")),
        ]
    ]


def test_events_later_than_now_are_used_and_reported(tmp_path):
    result = read_events(tmp_path, ssh("session.start", "20T10:00:00"), taken_at="2026-07-02T00:00:00Z")
    assert len(result.usage) == 1
    assert problems(result) == {"events are later than now: a clock is wrong, or they were made up": 1}
    assert result.coverage == []


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ({"time": "2026-07-01T10:00:00Z"}, "missing required field `event`"),
        ({"event": "exec", "time": "yesterday"}, "Invalid RFC3339"),
        ({"event": "exec", "time": "2026-07-01T10:00:00"}, "Invalid RFC3339|Expected"),
        ({"event": "exec", "time": ZERO}, "its time is none"),
        (ssh("exec", user=["ann"]), "Expected `str`, got `array`"),
        (ssh("session.start", sid=""), "it does not say of which session it is"),
        (ssh("exec", user="", login=""), "nobody is named"),
        (request("create", id=""), "it does not say of which request it is"),
        (request("update", state="MAYBE"), "`MAYBE` is no state of a request"),
        (event("cert.create"), "the certificate is nobody's"),
    ],
)
def test_an_event_that_cannot_be_read_is_rejected_and_the_next_is_read(tmp_path, line, why):
    result = read_events(tmp_path, line, ssh("exec", command="ls"), complete="yes")
    assert any(part in result.report.examples[0] for part in why.split("|"))
    assert (result.report.rejected, len(result.usage)) == (1, 1)
    assert result.manifest.table("sessions").coverage is Coverage.PARTIAL


def test_names_are_kept_as_they_are(tmp_path):
    result = read_events(tmp_path, ssh("session.start", login="=cmd()", user="<b>", server_hostname="a\x00b"))
    assert (result.usage[0]["resource"], result.usage[0]["account"]) == ("a\ufffdb", "=cmd()")


@pytest.mark.parametrize(
    ("remote", "address"),
    [("198.51.100.7:443", "198.51.100.7"), ("[2001:db8::1]:22", "2001:db8::1"), ("host", "host"), ("", "")],
)
def test_addresses_lose_their_port(remote, address):
    assert address_of(remote) == address


@pytest.mark.parametrize(
    ("options", "words"),
    [({"names": "x"}, "has no `{name}` in it"), ({"cluster": " "}, "is empty"), ({"gap": "x"}, "duration")],
)
def test_options_that_make_no_sense_are_refused(tmp_path, options, words):
    with pytest.raises(InvalidInput, match=words):
        read_events(tmp_path, ssh("exec"), **options)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
bases = [
    ssh("session.start"),
    db("db.session.query"),
    created(),
    request("review"),
    event("cert.create", identity={"user": "x"}),
]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=80, deadline=None
)
@given(
    st.lists(
        st.tuples(st.sampled_from(bases), st.sampled_from(sorted({k for b in bases for k in b})), json_values),
        max_size=6,
    )
)
def test_any_events_are_used_skipped_or_rejected(tmp_path, changed):
    result = read_events(tmp_path, *(base | {key: value} for base, key, value in changed))
    assert result.report.records == len(changed)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=40, deadline=None
)
@given(
    st.permutations(
        [
            created(),
            request("review", "01T10:05:00", state="APPROVED", proposed_state="APPROVED", reviewer=BOB),
            request("expire", "01T19:00:00"),
            ssh("session.start"),
            ssh("session.end", "01T11:00:00"),
            ssh("session.upload", "01T11:01:00"),
        ]
    )
)
def test_the_order_of_events_makes_no_difference(tmp_path, events):
    result = read_events(tmp_path, *events)
    assert [(row["state"], row["closed_at"]) for row in result.requests] == [("approved", at("01T10:05:00.123456"))]
    assert [(row["started_at"], row["ended_at"], row["recorded"]) for row in result.sessions] == [
        (at("01T10:00:00.123456"), at("01T11:00:00.123456"), True)
    ]
