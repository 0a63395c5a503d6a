"""By which ways somebody in AWS can get more rights: roles that trust him, and permissions that open them."""

from __future__ import annotations

import pytest

from lapse.review.detection.escalation import admin_path_rows
from lapse.review.model import Coverage
from lapse.review.sources.aws import iam_rows
from support.aws_files import ACCOUNT, problems
from support.aws_iam import (
    ADMIN,
    OTHER,
    arn,
    attached,
    group,
    policy,
    read_entries,
    role,
    statement,
    steps,
    trusts,
    user,
)


def test_a_role_can_be_got_by_whom_it_trusts(tmp_path):
    result = read_entries(
        tmp_path,
        user("ann"),
        user("bob", statement("sts:AssumeRole", arn("role", "*"))),
        user("eve", statement("sts:AssumeRole")),
        user("zoe", statement("sts:AssumeRole"), statement("sts:AssumeRole", arn("role", "ops"), effect="Deny")),
        role("named", trust={"AWS": [arn("user", "ann"), arn("user", "zoe"), "AIDABOB", "AIDAGONE"]}),
        role("ops", trust={"AWS": ACCOUNT}),
        role("session", trust={"AWS": f"arn:aws:sts::{ACCOUNT}:assumed-role/ops/ann"}),
    )
    assert steps(result, "user/ann") == [("role/named", "trusted by name")]
    assert steps(result, "user/bob") == [
        ("role/named", "trusted by id"),
        ("role/ops", "trusted: the account, and allowed sts:AssumeRole"),
    ]
    assert steps(result, "user/eve") == [("role/ops", "trusted: the account, and allowed sts:AssumeRole")]
    assert steps(result, "user/zoe") == [("role/named", "trusted by name")]
    assert steps(result, "role/ops") == [("role/session", "trusted by name, in the session ann")]
    gone = "trusted by an id that nobody here has: deleted, or of another account"
    assert steps(result, "AIDAGONE") == [("role/named", gone)]


def test_strangers_whom_a_role_trusts_are_named_with_the_conditions(tmp_path):
    external = {"Condition": {"StringEquals": {"sts:ExternalId": "x"}}}
    provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
    result = read_entries(
        tmp_path,
        role("partner", trust=[trusts({"AWS": [f"arn:aws:iam::{OTHER}:root", OTHER]}, **external)]),
        role("open", trust=[trusts("*")]),
        role("ci", trust=[trusts({"Federated": provider}, action="sts:AssumeRoleWithWebIdentity")]),
        role("almost", trust=[{"Effect": "Allow", "NotPrincipal": {"AWS": OTHER}, "Action": "sts:*"}]),
    )
    by_name = "trusted by name; if StringEquals sts:ExternalId"
    assert steps(result, f"arn:aws:iam::{OTHER}:root") == [("role/partner", by_name)]
    assert steps(result, provider) == [("role/ci", f"trusted: whom {provider} vouches for")]
    assert ("role/open", "trusted: everybody") in steps(result, "(anyone)")
    assert ("role/almost", f"trusted: everybody except {OTHER}") in steps(result, "(anyone)")
    assert ("role/open", "trusted: everybody") in steps(result, "role/ci")


def test_a_deny_in_a_trust_policy_takes_away_whom_it_surely_names(tmp_path):
    mfa = {"Condition": {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}}
    everybody = trusts({"AWS": f"arn:aws:iam::{ACCOUNT}:root"})
    result = read_entries(
        tmp_path,
        user("ann", statement("sts:*")),
        user("bob", statement("sts:*")),
        role("a", trust=[everybody, trusts({"AWS": arn("user", "ann")}, effect="Deny")]),
        role("b", trust=[everybody, trusts("*", effect="Deny", **mfa)]),
        role("c", trust=[trusts({"AWS": arn("user", "ann")}), trusts({"AWS": ACCOUNT}, effect="Deny")]),
    )
    doubt = "unless a Deny applies (BoolIfExists aws:MultiFactorAuthPresent)"
    assert steps(result, "user/ann") == [("role/b", f"trusted: the account, and allowed sts:AssumeRole; {doubt}")]
    assert [to for to, _ in steps(result, "user/bob")] == ["role/a", "role/b"]


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("iam:AttachUserPolicy", "*"),
        ("iam:PutUserPolicy", "arn:aws:iam::*:user/${aws:username}"),
        ("iam:*", "*"),
        ("iam:AttachGroupPolicy", arn("group", "ops")),
        ("iam:PutGroupPolicy", "*"),
        ("iam:CreatePolicyVersion", arn("policy", "mine")),
        ("iam:SetDefaultPolicyVersion", "*"),
    ],
)
def test_who_can_change_his_own_rights_is_an_administrator_in_waiting(tmp_path, action, resource):
    result = read_entries(
        tmp_path,
        user("ann", statement(action, resource), GroupList=["ops"], **attached(arn("policy", "mine"))),
        group("ops"),
        policy("mine", statement("s3:GetObject")),
    )
    assert "(administrator)" in [to for to, _ in steps(result, "user/ann")]


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("iam:AttachUserPolicy", arn("user", "bob")),
        ("iam:CreatePolicyVersion", arn("policy", "other")),
        ("iam:AttachGroupPolicy", "*"),
        ("iam:AttachRolePolicy", "*"),
    ],
)
def test_who_can_change_rights_of_others_only_is_none(tmp_path, action, resource):
    result = read_entries(
        tmp_path,
        user("ann", statement(action, resource)),
        user("bob", **attached(arn("policy", "other"))),
        group("ops"),
        role("web"),
        policy("other", statement("s3:GetObject")),
    )
    assert steps(result, "user/ann") == []


@pytest.mark.parametrize(
    ("actions", "target"),
    [
        (["iam:CreateAccessKey"], "user/bob"),
        (["iam:CreateLoginProfile"], "user/bob"),
        (["iam:UpdateLoginProfile"], "user/bob"),
        (["iam:UpdateAssumeRolePolicy"], "role/function role/job role/stack role/web"),
        (["iam:AddUserToGroup"], "group/ops"),
        (["iam:PassRole", "ec2:RunInstances"], "role/web"),
        (["iam:PassRole", "lambda:CreateFunction", "lambda:InvokeFunction"], "role/function"),
        (["iam:PassRole", "cloudformation:CreateStack"], "role/stack"),
        (["iam:PassRole", "glue:CreateJob", "glue:StartJobRun"], "role/job"),
        (["lambda:UpdateFunctionCode"], "role/function"),
        (["ssm:SendCommand"], "role/web"),
    ],
)
def test_who_can_become_another_or_act_as_a_role_has_a_step_to_it(tmp_path, actions, target):
    others = [
        user("bob"),
        group("ops"),
        role("web", InstanceProfileList=[{"InstanceProfileName": "web"}]),
        *(
            role(name, trust={"Service": f"{service}.amazonaws.com"})
            for name, service in (("function", "lambda"), ("stack", "cloudformation"), ("job", "glue"))
        ),
    ]
    result = read_entries(tmp_path, user("ann", statement(actions)), *others)
    assert [to for to, _ in steps(result, "user/ann")] == target.split()
    for missing in range(len(actions)):
        less = [action for number, action in enumerate(actions) if number != missing]
        found = read_entries(tmp_path, user("ann", statement(less or "s3:GetObject")), *others)
        assert steps(found, "user/ann") == []


def test_conditions_and_denies_of_a_step_are_told(tmp_path):
    passed = {"Condition": {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}}
    result = read_entries(
        tmp_path,
        user("ann", statement("iam:PassRole", arn("role", "web"), **passed), statement("ec2:*")),
        user("bob", statement(["iam:PassRole", "ec2:*"]), statement("iam:PassRole", arn("role", "web"), effect="Deny")),
        role("web"),
    )
    ways = ["ec2:RunInstances", "ec2:RequestSpotInstances", "ec2:AssociateIamInstanceProfile"]
    how = " or ".join(f"iam:PassRole, {way}; if StringEquals iam:PassedToService" for way in ways)
    assert steps(result, "user/ann") == [("role/web", how)]
    assert steps(result, "user/bob") == []


def test_rights_of_a_role_that_somebody_can_be_are_as_good_as_his_own(tmp_path):
    result = read_entries(
        tmp_path,
        user("ann", statement("iam:AttachRolePolicy")),
        role("ops", trust={"AWS": arn("user", "ann")}),
        role("web"),
    )
    assert steps(result, "user/ann") == [
        ("(administrator)", "iam:AttachRolePolicy of role/ops, which it can be"),
        ("role/ops", "trusted by name"),
    ]


def test_a_boundary_limits_what_one_can_give_oneself_unless_it_can_be_dropped(tmp_path):
    fence = {"PermissionsBoundary": {"PermissionsBoundaryArn": arn("policy", "fence")}}
    result = read_entries(
        tmp_path,
        user("ann", statement("iam:AttachUserPolicy"), **fence),
        user("bob", statement("*"), **fence),
        policy("fence", statement(["iam:AttachUserPolicy", "iam:DeleteUserPermissionsBoundary"])),
    )
    assert steps(result, "user/ann") == []
    assert ("(administrator)", "iam:DeleteUserPermissionsBoundary") in steps(result, "user/bob")
    what = "accounts that can give rights to themselves, but no more than their permissions boundary allows"
    assert problems(result)[what] == 2


def test_ways_lead_to_the_administrators_power(tmp_path):
    result = read_entries(
        tmp_path,
        user("ann", statement(["iam:PassRole", "ec2:RunInstances"])),
        user("bob", statement("iam:AddUserToGroup")),
        group("admins", **attached(ADMIN)),
        role("web", **attached(ADMIN)),
        policy("AdministratorAccess", statement("*"), Arn=ADMIN),
    )
    direct = [row for row in result.access_observed if row["holding"] != "nested"]
    paths = {row["account"]: row["path"] for row in admin_path_rows(direct, result.escalation_edges)}
    assert paths["user/ann"] == f"user/ann > role/web > {ADMIN} > (administrator)"
    assert paths["user/bob"] == f"user/bob > group/admins > {ADMIN} > (administrator)"


def test_administrators_need_no_step(tmp_path):
    result = read_entries(tmp_path, user("ann", **attached(ADMIN)), role("web"), role("ops", trust={"AWS": ACCOUNT}))
    assert result.escalation_edges == []


def test_more_steps_than_can_be_listed_are_a_gap(tmp_path, monkeypatch):
    monkeypatch.setattr(iam_rows, "MOST_EDGES", 3)
    result = read_entries(tmp_path, user("ann", statement("iam:CreateAccessKey")), *(user(f"u{n}") for n in range(9)))
    assert len(result.escalation_edges) == 3
    assert result.manifest.table("escalation_edges").coverage is Coverage.PARTIAL
