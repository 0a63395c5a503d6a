"""The policy: what is in force, its versions, checking files, and putting them in force."""

from __future__ import annotations

from dataclasses import dataclass

from lapse.control.policies import activate_policy
from lapse.domain.errors import InvalidInput, NotFound
from lapse.entrypoints.api.operations import MEBIBYTE, Call, Listing, Routes
from lapse.entrypoints.api.routes.catalog import FilesBody
from lapse.policy import parse
from lapse.ports import PolicyVersion

ROUTES = Routes("policy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """The policy in force, and whether that changed anything."""

    changed: bool
    policy: PolicyVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyCheck:
    """Whether files are a policy; `problem` says, a line each, what is wrong where."""

    ok: bool
    version: str = ""
    problem: str = ""


@ROUTES.get("/api/v1/policy", PolicyVersion)
async def show_policy(call: Call) -> PolicyVersion:
    """The policy in force, with its files."""
    active = await call.app.store.read(lambda reader: reader.active_policy())
    if active is None:
        raise NotFound("no policy is active", hint="put one in force with `lapse policy apply FILE…`")
    return active


@ROUTES.put("/api/v1/policy", Activation, body=FilesBody, limit=4 * MEBIBYTE)
async def apply_policy(call: Call) -> Activation:
    """Put files in force. The second time nothing changes."""
    policy, changed = await activate_policy(call.control, call.actor, call.body.files)
    return Activation(changed=changed, policy=policy)


@ROUTES.post("/api/v1/policy/check", PolicyCheck, body=FilesBody, limit=4 * MEBIBYTE)
async def check_policy(call: Call) -> PolicyCheck:
    """Read files as a policy and say what is wrong with them. Changes nothing."""
    try:
        return PolicyCheck(ok=True, version=parse(call.body.files).version)
    except InvalidInput as error:
        return PolicyCheck(ok=False, problem=error.message)


@ROUTES.get("/api/v1/policy/versions", Listing[PolicyVersion])
async def list_policies(call: Call) -> Listing[PolicyVersion]:
    """Every policy that was ever in force."""
    return Listing(await call.app.store.read(lambda reader: reader.policies()))


@ROUTES.get("/api/v1/policy/versions/{version}", PolicyVersion)
async def show_policy_version(call: Call) -> PolicyVersion:
    """One policy by its version."""
    return await call.app.store.read(lambda reader: reader.policy(call.path["version"]))
