"""AWS IAM as evidence: who is there, who has which rights, and by which ways somebody can get more."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lapse.domain.errors import InvalidInput
from lapse.review.model import Coverage
from lapse.review.sources.aws import unpacked
from support.aws_files import ACCOUNT, problems, write
from support.aws_iam import (
    ADMIN,
    OTHER,
    arn,
    attached,
    document,
    group,
    page,
    policy,
    read_details,
    read_entries,
    role,
    statement,
    trusts,
    user,
)


def held(result, account):
    return [
        (row["role"], row["holding"], row["depth"], row["via"], row["powers"])
        for row in result.access_observed
        if row["account"] == account
    ]


# Who is there


def test_users_roles_and_groups_are_accounts_of_the_aws_account(tmp_path):
    result = read_entries(
        tmp_path,
        user("ann", path="/team/x/", PasswordLastUsed="2026-06-01T00:00:00Z"),
        user("eve", Tags=[{"Key": "email", "Value": "ann@example.com"}]),
        group("ops"),
        role("web", RoleLastUsed={"LastUsedDate": "2026-06-02T00:00:00+00:00", "Region": "eu-central-1"}),
        role("people", trust={"AWS": f"arn:aws:iam::{ACCOUNT}:root"}),
        role("closed", trust=[trusts({"AWS": "*"}, effect="Deny")]),
        taken_at="2026-07-01T00:00:00Z",
    )
    assert [(row["resource"], row["connector"]) for row in result.resources] == [(f"aws-{ACCOUNT}", "aws")]
    accounts = {row["account"]: row for row in result.accounts}
    assert {name: (row["principal"], row["can_login"], row["kind"]) for name, row in accounts.items()} == {
        "user/ann": ("ann", None, None),
        "user/eve": ("ann", None, None),
        "group/ops": (None, False, None),
        "role/web": (None, True, "service"),
        "role/people": (None, True, None),
        "role/closed": (None, False, None),
    }
    assert accounts["user/ann"]["last_activity"] == datetime(2026, 6, 1, tzinfo=UTC)
    assert accounts["role/web"]["last_activity"] == datetime(2026, 6, 2, tzinfo=UTC)
    assert accounts["user/ann"]["created_at"] == datetime(2024, 3, 9, 10, 41, 45, tzinfo=UTC)
    assert accounts["user/ann"]["observed_at"] == datetime(2026, 7, 1, tzinfo=UTC)
    (seen,) = result.target_reads
    assert (seen["complete"], seen["accounts"], seen["gaps"]) == (True, 6, None)
    assert (result.report.records, result.report.used) == (6, 6)
    assert result.manifest.problems == ()


def test_a_role_that_aws_brings_along_is_told_apart(tmp_path):
    arn_of_it = arn("role", "AWSServiceRoleForSupport", "/aws-service-role/support.amazonaws.com/")
    result = read_entries(tmp_path, role("AWSServiceRoleForSupport", Arn=arn_of_it), role("web"))
    assert [(row["account"], row["builtin"]) for row in result.accounts] == [
        ("role/AWSServiceRoleForSupport", True),
        ("role/web", False),
    ]


# Who has what


def test_policies_are_held_directly_or_through_a_group(tmp_path):
    result = read_entries(
        tmp_path,
        user("ann", statement("s3:GetObject"), GroupList=["ops"], **attached(arn("policy", "read"))),
        group("ops", **attached(ADMIN)),
        policy("read", statement("ec2:Describe*")),
    )
    assert held(result, "user/ann") == [
        (arn("policy", "read"), "direct", 0, None, None),
        ("user/ann:own", "direct", 0, None, None),
        ("group/ops", "direct", 0, None, "administrator"),
        (ADMIN, "nested", 1, "group/ops", "administrator"),
    ]
    assert held(result, "group/ops") == [(ADMIN, "direct", 0, None, "administrator")]
    assert {row["account"] for row in result.accounts if row["powers"]} == {"user/ann", "group/ops"}
    assert next(row["principal"] for row in result.access_observed) == "ann"


@pytest.mark.parametrize(
    ("statements", "powers"),
    [
        ([statement("*")], "administrator"),
        ([statement("*"), statement("s3:DeleteBucket", effect="Deny")], "administrator"),
        ([statement("*"), statement("iam:*", effect="Deny")], None),
        ([statement("iam:*")], None),
    ],
)
def test_an_administrator_may_do_everything_and_nothing_takes_it_away(tmp_path, statements, powers):
    result = read_entries(tmp_path, user("ann", *statements))
    assert [row["powers"] for row in result.accounts] == [powers]
    assert [powers for *_, powers in held(result, "user/ann")] == [powers]


def test_a_deny_in_another_policy_or_a_boundary_takes_it_away_too(tmp_path):
    boundary = {"PermissionsBoundary": {"PermissionsBoundaryArn": arn("policy", "fence")}}
    result = read_entries(
        tmp_path,
        user("ann", statement("*"), **attached(arn("policy", "fence"))),
        user("bob", statement("*"), **boundary),
        policy("fence", statement("iam:*", effect="Deny"), statement("s3:*")),
    )
    assert [row["powers"] for row in result.accounts] == [None, None]
    assert problems(result)["accounts with a permissions boundary may have less than their policies give"] == 1
    assert (
        problems(result)["policies that give everything are no administrator's: a Deny or a boundary takes it away"]
        == 2
    )


def test_rights_of_a_policy_are_listed_as_it_gives_them(tmp_path):
    result = read_entries(
        tmp_path,
        policy(
            "read",
            statement(["s3:GetObject", "s3:List*"], "arn:aws:s3:::logs/a.txt"),
            statement("s3:GetObject", "arn:aws:s3:::logs/a.txt", effect="Deny"),
        ),
    )
    assert [(r["role"], r["action"], r["object"], r["wildcard"], r["origin"]) for r in result.role_privileges] == [
        (arn("policy", "read"), "s3:List*", "arn:aws:s3:::logs/a.txt", True, "observed")
    ]


def test_what_is_not_certain_of_a_right_is_told(tmp_path):
    mfa = {"Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}}
    result = read_entries(
        tmp_path,
        user("ann", statement("s3:*", **mfa), statement("s3:DeleteBucket", effect="Deny")),
        user("bob", {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}),
    )
    assert [(row["role"], row["action"], row["wildcard"]) for row in result.role_privileges] == [
        ("user/ann:own", "s3:*", True),
        ("user/bob:own", "*", True),
    ]
    assert problems(result) == {
        "rights that are given under a condition count as given": 1,
        "rights of which a Deny takes a part away are listed whole": 1,
        "rights to everything but what is named (NotAction, NotResource) are listed as rights to everything": 1,
    }
    examples = [example for problem in result.manifest.problems for example in problem.examples]
    assert "user/ann:own: s3:*: only if Bool aws:MultiFactorAuthPresent" in examples
    assert "user/bob:own: *: every action except iam:*" in examples


# Files


def test_documents_may_be_url_encoded_and_pages_in_several_files(tmp_path):
    text = quote(json.dumps(document(statement("*"))), safe="")
    ann = user("ann", UserPolicyList=[{"PolicyName": "own", "PolicyDocument": text}])
    place = write(
        tmp_path / "in",
        a__json=page(ann, IsTruncated=True, Marker="x"),
        b__json__gz=page(role("web"), IsTruncated=False),
        notes__md=b"not for you",
    )
    result = read_details(place, tmp_path)
    assert [(row["account"], row["powers"]) for row in result.accounts] == [
        ("user/ann", "administrator"),
        ("role/web", None),
    ]
    assert result.target_reads[0]["complete"] is True
    assert result.report.skipped == {"a file whose name is not that of JSON": 1}


@pytest.mark.parametrize("more", [{"IsTruncated": True, "Marker": "x"}, {"NextToken": "x"}])
def test_a_last_page_that_says_there_is_more_is_a_gap(tmp_path, more):
    write(tmp_path, iam__json=page(user("ann"), **more))
    result = read_details(tmp_path / "iam.json", tmp_path)
    (seen,) = result.target_reads
    assert (seen["complete"], seen["gaps"]) == (
        False,
        "the files end before the list of the account does (IsTruncated)",
    )
    assert result.manifest.table("accounts").coverage is Coverage.PARTIAL


def test_several_accounts_are_several_resources(tmp_path):
    result = read_entries(
        tmp_path, user("ann"), user("ann", account=OTHER), resource=f"{ACCOUNT}:prod", taken_at="2026-07-01T00:00:00Z"
    )
    assert [(row["resource"], row["account"]) for row in result.accounts] == [
        ("prod", "user/ann"),
        (f"aws-{OTHER}", "user/ann"),
    ]
    assert len(result.target_reads) == 2


def test_a_policy_or_group_that_is_not_there_is_a_gap(tmp_path):
    result = read_entries(
        tmp_path, user("ann", GroupList=["gone"], **attached("arn:aws:iam::aws:policy/PowerUserAccess", ADMIN))
    )
    (seen,) = result.target_reads
    assert seen["gaps"] == "2 policies or groups are named whose text is not in the files"
    assert result.manifest.table("role_privileges").coverage is Coverage.PARTIAL
    assert [row["powers"] for row in result.accounts] == ["administrator"]


def test_a_policy_that_cannot_be_read_is_a_gap(tmp_path):
    result = read_entries(
        tmp_path,
        user("ann", statement("s3:GetObject"), {"Effect": "Perhaps"}),
        user("bob", UserPolicyList=[{"PolicyName": "own", "PolicyDocument": "%7Bno"}]),
        role("web", AssumeRolePolicyDocument=None),
    )
    assert result.target_reads[0]["gaps"] == "2 policies could not be read; 1 trust policies could not be read"
    assert [row["action"] for row in result.role_privileges] == ["s3:GetObject"]


def test_the_same_entry_twice_counts_once_and_is_told_if_it_differs(tmp_path):
    result = read_entries(tmp_path, user("ann"), user("ann"), user("ann", Path="/x/", UserId="AIDAOTHER"))
    assert len(result.accounts) == 1
    assert result.report.skipped == {"seen already": 2}
    assert problems(result) == {"entries are there twice, and differ: the first is taken": 1}


@pytest.mark.parametrize(
    "entry",
    [
        None,
        3,
        {},
        {"UserName": "x"},
        user("ann", Arn="no arn"),
        user("ann", Arn=arn("user", "ann", account="../..")),
        user("ann", GroupList="ops"),
        user("ann", AttachedManagedPolicies=[None]),
        user("ann", UserPolicyList={"a": 1}),
    ],
)
def test_an_entry_that_cannot_be_read_is_counted_with_its_place_and_the_others_stay(tmp_path, entry):
    write(tmp_path, iam__json=json.dumps({"UserDetailList": [user("bob"), entry]}).encode())
    result = read_details(tmp_path / "iam.json", tmp_path)
    assert [row["account"] for row in result.accounts] == ["user/bob"]
    assert result.report.rejected == 1
    assert result.report.examples[0].startswith("iam.json: UserDetailList[1]: ")
    assert result.target_reads[0]["complete"] is False


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"Records": []}',
        b"[" * 100_000,
        b'{"UserDetailList": [' + b'{"a":' * 100_000,
        b"\xff\xfe\x00",
        b"\x1f\x8b\x08",
        page(user("ann"))[:-30],
        gzip.compress(page(user("ann")))[:-30],
    ],
)
def test_what_is_no_such_file_is_rejected_and_harms_no_other(tmp_path, content):
    place = write(tmp_path / "in", a__json=content, b__json=page(user("bob")))
    result = read_details(place, tmp_path)
    assert [row["account"] for row in result.accounts] == ["user/bob"]
    assert result.report.rejected == 1


def test_a_file_that_unpacks_to_far_more_than_it_should_is_rejected(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacked, "FREE_EXPANSION", 1 << 20)
    (tmp_path / "iam.json.gz").write_bytes(gzip.compress(b" " * (8 << 20) + page(user("ann"))))
    result = read_details(tmp_path / "iam.json.gz", tmp_path)
    assert (result.accounts, result.report.rejected) == ([], 1)


def test_hostile_names_are_kept_and_long_texts_cut(tmp_path):
    evil = ["<script>alert(1)</script>", '=cmd|"/c calc"!A0', "\u202egnp.exe", "a\nb", "ünï 🎉"]
    result = read_entries(tmp_path, *(user(name, statement("s3:x" * 200, "r" * 2000)) for name in evil))
    assert [row["account"].partition("/")[2] for row in result.accounts] == [one.rpartition("/")[2] for one in evil]
    assert all(len(row["object"]) == 2000 for row in result.role_privileges)


def test_a_time_that_cannot_be_read_is_left_out_and_told(tmp_path):
    result = read_entries(tmp_path, user("ann", CreateDate="yesterday"), user("bob", CreateDate="2024-01-01T00:00:00"))
    assert [row["created_at"] for row in result.accounts] == [None, None]
    assert problems(result) == {"times that cannot be read are left out": 2}


@pytest.mark.parametrize("options", [{"resource": "prod"}, {"taken_at": "now"}, {"region": "eu"}])
def test_an_option_that_makes_no_sense_is_refused(tmp_path, options):
    write(tmp_path, iam__json=page())
    with pytest.raises(InvalidInput):
        read_details(tmp_path / "iam.json", tmp_path, **options)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.sampled_from(["*", "Allow", ACCOUNT, ADMIN]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["Statement", "Effect", "Action", "Principal", "AWS", "PolicyArn", "PolicyName"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
broken = st.builds(
    lambda entry, part: entry | part,
    st.sampled_from([user("ann", statement("*")), role("web"), group("ops"), policy("p", statement("s3:*"))]),
    st.dictionaries(
        st.sampled_from([*user("a"), *role("a"), "GroupPolicyList", "PermissionsBoundary"]), values, max_size=3
    ),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(broken, max_size=4))
def test_whatever_the_entries_are_each_is_counted(tmp_path, entries):
    result = read_entries(tmp_path, *entries)
    assert result.report.records == len(entries)
    assert len(result.accounts) <= result.report.used
