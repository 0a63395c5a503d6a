"""What `aws iam get-account-authorization-details` prints of made-up accounts."""

from __future__ import annotations

import json

from support.aws_files import ACCOUNT, read_as, write

ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"
OTHER = "999900001111"


def arn(kind, name, path="/", account=ACCOUNT):
    return f"arn:aws:iam::{account}:{kind}{path}{name}"


def statement(action, resource="*", effect="Allow", **more):
    return {"Effect": effect, "Action": action, "Resource": resource} | more


def document(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def user(name, *statements, path="/", account=ACCOUNT, **more):
    """A user with `statements` in a policy of his own called `own`."""
    own = [{"PolicyName": "own", "PolicyDocument": document(*statements)}] if statements else []
    return {
        "Path": path,
        "UserName": name,
        "UserId": f"AIDA{name.upper()}",
        "Arn": arn("user", name, path, account),
        "CreateDate": "2024-03-09T10:41:45+00:00",
        "GroupList": [],
        "UserPolicyList": own,
        "AttachedManagedPolicies": [],
    } | more


def group(name, *statements, **more):
    own = [{"PolicyName": "own", "PolicyDocument": document(*statements)}] if statements else []
    return {
        "GroupName": name,
        "Arn": arn("group", name),
        "GroupPolicyList": own,
        "AttachedManagedPolicies": [],
    } | more


def role(name, *statements, trust=None, account=ACCOUNT, **more):
    """A role that EC2 may assume, unless `trust` names another principal."""
    own = [{"PolicyName": "own", "PolicyDocument": document(*statements)}] if statements else []
    trusted = trust if isinstance(trust, list) else [trusts(trust or {"Service": "ec2.amazonaws.com"})]
    return {
        "Path": "/",
        "RoleName": name,
        "RoleId": f"AROA{name.upper()}",
        "Arn": arn("role", name, account=account),
        "CreateDate": "2024-03-09T10:41:45Z",
        "AssumeRolePolicyDocument": document(*trusted),
        "RolePolicyList": own,
        "AttachedManagedPolicies": [],
        "InstanceProfileList": [],
    } | more


def trusts(principal, effect="Allow", action="sts:AssumeRole", **more):
    return {"Effect": effect, "Principal": principal, "Action": action} | more


def policy(name, *statements, **more):
    return {
        "PolicyName": name,
        "Arn": arn("policy", name),
        "DefaultVersionId": "v2",
        "PolicyVersionList": [
            {"VersionId": "v1", "IsDefaultVersion": False, "Document": document(statement("*"))},
            {"VersionId": "v2", "IsDefaultVersion": True, "Document": document(*statements)},
        ],
    } | more


def attached(*arns):
    return {"AttachedManagedPolicies": [{"PolicyName": one.rpartition("/")[2], "PolicyArn": one} for one in arns]}


def page(*entries, **more):
    lists = {"UserDetailList": [], "GroupDetailList": [], "RoleDetailList": [], "Policies": []}
    names = {"UserName": "UserDetailList", "GroupName": "GroupDetailList", "RoleName": "RoleDetailList"}
    for entry in entries:
        lists[next((listed for name, listed in names.items() if name in entry), "Policies")].append(entry)
    return json.dumps(lists | more).encode()


def read_details(place, tmp_path, **options):
    return read_as("aws-iam", place, tmp_path, **options)


def read_entries(tmp_path, *entries, **options):
    write(tmp_path, iam__json=page(*entries))
    return read_details(tmp_path / "iam.json", tmp_path, **options)


def steps(result, name):
    return sorted((row["to_name"], row["how"]) for row in result.escalation_edges if row["from_name"] == name)
