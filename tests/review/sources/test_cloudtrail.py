"""CloudTrail as evidence: who did what in which session, who got which rights, from when to when that is known."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.review.sources.aws.trail_changes import ITSELF, Change, periods
from lapse.review.sources.aws.trail_parts import windows_of
from lapse.review.sources.aws.trail_who import Who
from support.aws_files import ACCOUNT, event, log, problems, read_as, session, user, write

OTHER = "999900001111"


def at(text):
    return datetime.fromisoformat(f"2026-07-{text}").replace(tzinfo=UTC)


def read(place, tmp_path, **options):
    return read_as("cloudtrail", place, tmp_path, **options)


def read_events(tmp_path, *events, **options):
    write(tmp_path, log__json=log(*events))
    return read(tmp_path / "log.json", tmp_path, **options)


# What one record says


def test_an_event_is_use_of_an_account_by_a_person(tmp_path):
    result = read_events(
        tmp_path,
        event(resources=[{"type": "AWS::S3::Object", "ARN": "arn:aws:s3:::logs/a.txt"}], userIdentity=user("ann")),
    )
    assert result.usage == [
        {
            "resource": f"aws-{ACCOUNT}",
            "account": "user/ann",
            "started_at": at("01T10:00"),
            "ended_at": None,
            "grant_id": None,
            "role": None,
            "action": "s3:GetObject",
            "source": "cloudtrail log.json",
            "object": "arn:aws:s3:::logs/a.txt",
            "principal": "ann",
            "address": "198.51.100.7",
            "device": "aws-cli/2.13.0",
            "session_id": None,
        }
    ]
    assert (result.report.records, result.report.used, result.report.files) == (1, 1, 1)
    assert result.report.first_at == result.report.last_at == at("01T10:00")
    assert result.manifest.problems == ()


@pytest.mark.parametrize(
    ("identity", "account", "principal"),
    [
        (user("ann", path="/team/x/"), "user/ann", "ann"),
        (user("ann@example.com"), "user/ann@example.com", "ann"),
        (session("Admin", "ann@example.com"), "role/Admin", "ann"),
        (session("Admin", "i-0abcdef"), "role/Admin", None),
        (session("Admin", "ann@example.com", account=OTHER), f"arn:aws:iam::{OTHER}:role/Admin", "ann"),
        (user("ann", account=OTHER), f"arn:aws:iam::{OTHER}:user/ann", None),
        ({"type": "Root", "arn": f"arn:aws:iam::{ACCOUNT}:root", "accountId": ACCOUNT}, "root", None),
        ({"type": "AWSAccount", "accountId": OTHER, "principalId": "AIDAX"}, f"account/{OTHER}", None),
        ({"type": "IAMUser", "userName": "bob", "accountId": ACCOUNT}, "user/bob", "bob"),
        ({"type": "IdentityCenterUser", "onBehalfOf": {"userId": "u-1"}}, "identity-center/u-1", None),
        ({"type": "Unknown", "principalId": "X"}, "unknown/X", None),
        (
            {
                "type": "FederatedUser",
                "arn": f"arn:aws:sts::{ACCOUNT}:federated-user/bob",
                "sessionContext": {"sessionIssuer": {"arn": f"arn:aws:iam::{ACCOUNT}:user/broker"}},
            },
            "user/broker",
            "bob",
        ),
    ],
)
def test_who_it_was_has_the_name_that_aws_iam_gives_and_strangers_never_one_of_ours(
    tmp_path, identity, account, principal
):
    (row,) = read_events(tmp_path, event(userIdentity=identity)).usage
    assert (row["account"], row["principal"]) == (account, principal)


def test_sessions_of_one_role_belong_to_different_people(tmp_path):
    result = read_events(
        tmp_path, *(event(userIdentity=session("Admin", name)) for name in ("ann@example.com", "bob", "build-17"))
    )
    assert [row["principal"] for row in result.usage] == ["ann", "bob", None]
    assert [(row["account"], row["rule"], row["principal"]) for row in result.links] == [
        ("role/Admin", "session", None)
    ]


@pytest.mark.parametrize(
    ("record", "action", "thing"),
    [
        (event("PutObject", requestParameters={"bucketName": "b", "key": "k"}), "s3:PutObject", "arn:aws:s3:::b/k"),
        (event("ListObjects", requestParameters={"bucketName": "b"}), "s3:ListBucket", "arn:aws:s3:::b"),
        (event("GetRole", "iam", requestParameters={"roleName": "ops"}), "iam:GetRole", "role/ops"),
        (event("Invoke", "lambda", requestParameters={"functionName": "f"}), "lambda:InvokeFunction", "f"),
        (event("UpdateFunctionCode20150331v2", "lambda"), "lambda:UpdateFunctionCode", None),
        (event("GetMetricData", "monitoring", requestParameters={"x": [1]}), "cloudwatch:GetMetricData", None),
        (event("GetSecretValue", "secretsmanager", requestParameters="none"), "secretsmanager:GetSecretValue", None),
    ],
)
def test_actions_are_called_like_the_rights_they_need_and_objects_by_what_the_request_names(
    tmp_path, record, action, thing
):
    (row,) = read_events(tmp_path, record).usage
    assert (row["action"], row["object"]) == (action, thing)


def test_what_failed_is_no_use_and_says_why(tmp_path):
    result = read_events(
        tmp_path,
        event(errorCode="AccessDenied", errorMessage="no"),
        event(errorCode="Client.UnauthorizedOperation"),
        event(errorCode="NoSuchKey"),
        event("ConsoleLogin", "signin", responseElements={"ConsoleLogin": "Failure"}),
        event(userIdentity={"type": "AWSService", "invokedBy": "config.amazonaws.com"}),
        event(eventType="AwsCloudTrailInsight", eventCategory="Insight"),
    )
    assert result.usage == []
    assert result.report.skipped == {
        "access was denied": 2,
        "the call failed": 1,
        "the sign-in failed": 1,
        "done by an AWS service itself, or by nobody who is named": 1,
        "an Insight, which is no event": 1,
    }


def test_access_keys_are_never_stored_and_temporary_ones_tell_sessions_apart(tmp_path):
    result = read_events(
        tmp_path,
        event(userIdentity=session("Admin", "ann", key="ASIAONE")),
        event(userIdentity=session("Admin", "ann", key="ASIATWO")),
        event(userIdentity=session("Admin", "ann", key="ASIAONE")),
        event(userIdentity=user("ann")),
    )
    one, two, again, own = (row["session_id"] for row in result.usage)
    assert one == again != two
    assert own is None
    assert "ASIA" not in str(result.usage)
    assert "AKIA" not in str(result.usage)


# Sessions


def assume_role(identity, role="ops", account=ACCOUNT, key="ASIANEW", name="ann@example.com"):
    return event(
        "AssumeRole",
        "sts",
        userIdentity=identity,
        requestParameters={"roleArn": f"arn:aws:iam::{account}:role/team/{role}", "roleSessionName": name},
        responseElements={"credentials": {"accessKeyId": key, "sessionToken": "very secret"}},
        resources=[{"ARN": f"arn:aws:iam::{account}:role/team/{role}"}],
    )


def test_assuming_a_role_opens_a_session_whose_use_can_be_found(tmp_path):
    result = read_events(
        tmp_path, assume_role(user("bob")), event(userIdentity=session("ops", "ann@example.com", key="ASIANEW"))
    )
    (opened,) = result.sessions
    assert (opened["account"], opened["principal"], opened["protocol"]) == ("role/ops", "bob", "aws-sts")
    assert opened["session_id"] == result.usage[1]["session_id"]
    assert "secret" not in str((result.usage, result.sessions))
    assert [row["account"] for row in result.usage] == ["user/bob", "role/ops"]


def test_a_role_that_a_service_assumes_is_used_but_opens_no_session_of_a_person(tmp_path):
    result = read_events(tmp_path, assume_role({"type": "AWSService", "invokedBy": "lambda.amazonaws.com"}))
    assert result.sessions == []
    assert [(row["account"], row["action"]) for row in result.usage] == [("role/ops", "sts:AssumeRole")]


def test_a_role_of_another_account_is_a_session_there_only(tmp_path):
    assert read_events(tmp_path, assume_role(user("bob"), account=OTHER)).sessions == []


def test_someone_whom_an_identity_provider_vouches_for_uses_the_role_that_he_assumes(tmp_path):
    saml = assume_role({"type": "SAMLUser", "userName": "ann@example.com"}) | {"eventName": "AssumeRoleWithSAML"}
    result = read_events(tmp_path, saml)
    assert [(row["account"], row["principal"]) for row in result.usage] == [("role/ops", "ann")]
    assert [row["principal"] for row in result.sessions] == ["ann"]


def test_a_sign_in_to_the_console_is_a_session(tmp_path):
    result = read_events(tmp_path, event("ConsoleLogin", "signin", responseElements={"ConsoleLogin": "Success"}))
    (opened,) = result.sessions
    assert (opened["account"], opened["principal"], opened["protocol"]) == ("user/ann", "ann", "aws-console")


# Changes of rights


def change(name, when, **asked):
    return event(name, "iam", at=f"2026-07-{when}:00Z", requestParameters=asked, userIdentity=user("bob"))


def held(result):
    return [
        (p["account"], p["role"], p["from_at"], p["to_at"], p["principal"], p["changed_by"])
        for p in result.access_periods
    ]


def test_rights_were_held_from_when_they_were_given_to_when_they_were_taken(tmp_path):
    admin = "arn:aws:iam::aws:policy/AdministratorAccess"
    result = read_events(
        tmp_path,
        change("DetachUserPolicy", "01T12:00", userName="ann", policyArn=admin),
        change("AttachUserPolicy", "01T10:00", userName="ann", policyArn=admin),
        change("AddUserToGroup", "01T10:01", userName="ann", groupName="ops"),
        change("PutRolePolicy", "01T10:02", roleName="deploy", policyName="s3", policyDocument="{}"),
        change("AttachGroupPolicy", "01T10:03", groupName="ops", policyArn=admin),
    )
    assert held(result) == [
        ("group/ops", admin, at("01T10:03"), None, None, "bob"),
        ("role/deploy", "role/deploy:s3", at("01T10:02"), None, None, "bob"),
        ("user/ann", admin, at("01T10:00"), at("01T12:00"), "ann", "bob"),
        ("user/ann", "group/ops", at("01T10:01"), None, "ann", "bob"),
    ]


def test_what_is_taken_without_having_been_seen_given_was_held_since_the_logs_begin(tmp_path):
    result = read_events(
        tmp_path,
        event(at="2026-07-01T08:00:00Z"),
        change("RemoveUserFromGroup", "01T12:00", userName="ann", groupName="ops"),
    )
    assert held(result) == [("user/ann", "group/ops", at("01T08:00"), at("01T12:00"), "ann", None)]
    assert any("the logs do not show given" in what for what in problems(result))


def test_a_deleted_account_holds_nothing_any_more(tmp_path):
    result = read_events(
        tmp_path,
        change("CreateUser", "01T10:00", userName="eve"),
        change("AttachUserPolicy", "01T10:01", userName="eve", policyArn="arn:p"),
        change("DeleteUser", "01T11:00", userName="eve"),
        change("CreateUser", "02T10:00", userName="eve"),
    )
    assert [row[:4] for row in held(result)] == [
        ("user/eve", ITSELF, at("01T10:00"), at("01T11:00")),
        ("user/eve", ITSELF, at("02T10:00"), None),
        ("user/eve", "arn:p", at("01T10:01"), at("01T11:00")),
    ]


def test_what_was_refused_changed_nothing(tmp_path):
    refused = change("AttachUserPolicy", "01T10:00", userName="ann", policyArn="arn:p") | {"errorCode": "AccessDenied"}
    assert read_events(tmp_path, refused, change("AttachUserPolicy", "01T10:00")).access_periods == []


changes = st.lists(
    st.builds(
        lambda hour, account, role, given, event: Change(
            event, datetime(2026, 7, 1, hour, tzinfo=UTC), ACCOUNT, account, role, given, Who(ACCOUNT, "root")
        ),
        st.integers(0, 23),
        st.sampled_from(["user/a", "user/b"]),
        st.sampled_from(["p", "q", ITSELF]),
        st.booleans(),
        st.binary(min_size=1, max_size=4),
    ),
    max_size=12,
    unique_by=lambda one: one.event,
)


@given(changes, st.randoms(use_true_random=False))
def test_periods_do_not_depend_on_the_order_of_events_and_do_not_overlap(found, random):
    begins = {ACCOUNT: datetime(2026, 7, 1, tzinfo=UTC)}
    result = list(periods(found, begins))
    mixed = list(found)
    random.shuffle(mixed)
    assert list(periods(mixed, begins)) == result
    ends = {}
    for period in result:
        key = (period.change.account, period.change.role)
        assert ends.get(key, period.change.at) <= period.change.at <= (period.to_at or period.change.at)
        ends[key] = period.to_at or datetime.max.replace(tzinfo=UTC)


# When it is known


def test_logs_cover_the_time_in_which_there_are_events_and_a_long_silence_is_not_known(tmp_path):
    times = ["01T10:00:00", "01T10:40:00", "01T11:30:00", "01T13:00:00", "01T13:10:00"]
    events = [event(at=f"2026-07-{time}Z") for time in times]
    result = read_events(tmp_path, *reversed(events), event(at="2026-07-01T20:00:00Z", recipientAccountId=OTHER))
    assert [(row["resource"], row["from_at"], row["to_at"]) for row in result.coverage] == [
        (f"aws-{ACCOUNT}", at("01T10:00"), at("01T11:30")),
        (f"aws-{ACCOUNT}", at("01T13:00"), at("01T13:10")),
        (f"aws-{OTHER}", at("01T20:00"), at("01T20:00")),
    ]
    assert {(row["complete"], row["actions"]) for row in result.coverage} == {(False, False)}


def test_that_a_trail_is_complete_must_be_said(tmp_path):
    events = [event(at="2026-07-01T10:00:00Z"), event(at="2026-07-01T20:00:00Z", errorCode="AccessDenied")]
    result = read_events(tmp_path, *events, complete="yes", data_events="yes", gap="12h")
    assert [(row["from_at"], row["to_at"], row["complete"], row["actions"]) for row in result.coverage] == [
        (at("01T10:00"), at("01T20:00"), True, True)
    ]


@given(st.lists(st.integers(0, 10_000), max_size=30), st.integers(1, 500))
def test_windows_are_apart_by_more_than_the_gap_and_have_every_time(times, gap):
    windows = windows_of(times, gap)
    assert all(any(start <= time <= end for start, end in windows) for time in times)
    assert all(after[0] - before[1] > gap for before, after in pairwise(windows))
    assert {end for window in windows for end in window} <= set(times)


def test_an_event_of_the_future_is_reported_and_kept_and_covers_nothing(tmp_path):
    result = read_events(tmp_path, event(), event(at="2100-01-01T00:00:00Z"))
    assert len(result.usage) == 2
    assert len(result.coverage) == 1
    assert problems(result) == {"events are later than now: a clock is wrong, or they were made up": 1}
    earlier = read_events(tmp_path, event(), taken_at="2026-06-01T00:00:00Z")
    assert list(problems(earlier).values()) == [1]
