"""Ways to more rights that policies of AWS open without saying so, as they are well known.

Each is named with the permissions that open it and their conditions. Not among them: ways over what policies do not
show (secrets, code, images), and of taking a Deny away. Called by `iam_rows`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from lapse.review.sources.aws.iam_details import Holder
from lapse.review.sources.aws.iam_estate import Estate
from lapse.review.sources.aws.iam_trust import Edge, Trust, conditional
from lapse.review.sources.iam_policies import Effect

ADMINISTRATOR = "(administrator)"
PASS = "iam:PassRole"  # noqa: S105  the name of a permission


class Way(NamedTuple):
    """What has to be allowed to act as a role that `service` may assume."""

    service: str
    actions: tuple[str, ...]


def _ways(service: str, *ways: str) -> tuple[Way, ...]:
    prefix, _, service = service.partition(" ")
    named = (tuple(action if ":" in action else f"{prefix}:{action}" for action in way.split()) for way in ways)
    return tuple(Way(f"{service or prefix}.amazonaws.com", actions) for actions in named)


PASSED = (
    *_ways("lambda", "CreateFunction InvokeFunction", "CreateFunction CreateEventSourceMapping"),
    *_ways("lambda", "CreateFunction AddPermission", "UpdateFunctionConfiguration UpdateFunctionCode"),
    *_ways("ec2", "RunInstances", "RequestSpotInstances", "AssociateIamInstanceProfile"),
    *_ways("autoscaling ec2", "CreateLaunchConfiguration CreateAutoScalingGroup"),
    *_ways("cloudformation", "CreateStack", "UpdateStack", "CreateChangeSet ExecuteChangeSet"),
    *_ways("cloudformation", "CreateStackSet CreateStackInstances", "UpdateStackSet"),
    *_ways("glue", "CreateDevEndpoint", "CreateJob StartJobRun", "CreateJob CreateTrigger", "UpdateJob StartJobRun"),
    *_ways("glue", "UpdateJob CreateTrigger", "CreateSession RunStatement"),
    *_ways("datapipeline", "CreatePipeline PutPipelineDefinition ActivatePipeline"),
    *_ways("sagemaker", "CreateNotebookInstance CreatePresignedNotebookInstanceUrl"),
    *_ways("sagemaker", "CreateTrainingJob", "CreateProcessingJob"),
    *_ways("codebuild", "CreateProject StartBuild", "CreateProject StartBuildBatch", "UpdateProject StartBuild"),
    *_ways("ecs ecs-tasks", "RegisterTaskDefinition RunTask", "RegisterTaskDefinition StartTask"),
    *_ways("ecs ecs-tasks", "RegisterTaskDefinition CreateService", "RegisterTaskDefinition UpdateService"),
    *_ways("states", "CreateStateMachine StartExecution", "UpdateStateMachine StartExecution"),
    *_ways("apprunner tasks.apprunner", "CreateService"),
    *_ways("elasticmapreduce ec2", "RunJobFlow"),
    *_ways("ssm", "StartAutomationExecution"),
    *_ways("bedrock-agentcore", "CreateCodeInterpreter StartCodeInterpreterSession InvokeCodeInterpreter"),
)
"""With iam:PassRole on the role as well."""
RUNNING = (
    *_ways("lambda", "UpdateFunctionCode"),
    *_ways("ec2", "ssm:SendCommand", "ssm:StartSession", "ec2-instance-connect:SendSSHPublicKey"),
    *_ways("ec2", "ModifyInstanceAttribute StopInstances StartInstances"),
    *_ways("glue", "UpdateDevEndpoint"),
    *_ways("cloudformation", "UpdateStack", "CreateChangeSet ExecuteChangeSet"),
    *_ways("sagemaker", "CreatePresignedNotebookInstanceUrl"),
    *_ways("codebuild", "StartBuild", "StartBuildBatch"),
    *_ways("ecs ecs-tasks", "ExecuteCommand"),
    *_ways("bedrock-agentcore", "StartCodeInterpreterSession InvokeCodeInterpreter"),
)
"""Where something runs as the role already."""
_EC2 = "ec2.amazonaws.com"
_BECOME_USER = ("iam:CreateAccessKey", "iam:CreateLoginProfile", "iam:UpdateLoginProfile")
_BECOME_ROLE = ("iam:UpdateAssumeRolePolicy",)
_CHANGE = {
    "user": ("iam:AttachUserPolicy", "iam:PutUserPolicy"),
    "role": ("iam:AttachRolePolicy", "iam:PutRolePolicy"),
    "group": ("iam:AttachGroupPolicy", "iam:PutGroupPolicy"),
}
_REWRITE = ("iam:CreatePolicyVersion", "iam:SetDefaultPolicyVersion")
_CHANGING = (*_REWRITE, *(action for actions in _CHANGE.values() for action in actions))
_UNBIND = {"user": "iam:DeleteUserPermissionsBoundary", "role": "iam:DeleteRolePermissionsBoundary"}


class Ways:
    """Finds the ways of an AWS account; `trusts` are those of its roles, by name."""

    def __init__(self, estate: Estate, trusts: Mapping[str, Trust]) -> None:
        self._estate, self._trusts = estate, trusts
        self._assumed: dict[str, list[Edge]] = {}
        for trust in trusts.values():
            for edge in trust.edges:
                self._assumed.setdefault(edge.from_name, []).append(edge)
        self.limited: list[str] = []

    def edges(self) -> Iterator[Edge]:
        """Every step of every user and role, with all ways of taking it.

        `limited` are then those who may change their own rights, but only within their permissions boundary.
        """
        for holder in self._estate.actors:
            found: dict[str, dict[str, None]] = {}
            for edge in self._of(holder):
                found.setdefault(edge.to_name, {})[edge.how] = None
            for to, ways in found.items():
                yield Edge(holder.name, to, " or ".join(ways))

    def _of(self, holder: Holder) -> Iterator[Edge]:
        effect = self._estate.effect(holder)
        reached = [*self._become(holder, effect), *self._act_as(holder, effect)]
        yield from reached
        yield from self._join_groups(holder, effect)
        if any(map(effect.names, _CHANGING)):
            names = dict.fromkeys(edge.to_name for edge in [*reached, *self._assumed.get(holder.name, [])])
            others = (self._estate.account.holders.get(name) for name in names)
            for target in (holder, *(one for one in others if one is not None)):
                yield from self._change_rights(holder, effect, target)
        yield from self._unbind(holder, effect)

    def _become(self, holder: Holder, effect: Effect) -> Iterator[Edge]:
        for kind, actions in (("user", _BECOME_USER), ("role", _BECOME_ROLE)):
            for action in actions:
                if effect.names(action):
                    for target in self._estate.account.of(kind):
                        allowed = effect.may(action, target.arn)
                        if allowed is not None and target is not holder:
                            yield _edge(holder, target.name, action, allowed)

    def _act_as(self, holder: Holder, effect: Effect) -> Iterator[Edge]:
        passing = _open(effect, PASSED) if effect.names(PASS) else []
        running = _open(effect, RUNNING)
        for name, trust in self._trusts.items():
            role = self._estate.account.holders[name]
            if role is holder or not trust.services:
                continue
            passes = effect.may(PASS, role.arn) if passing else None
            for way, more in passing if passes is not None else ():
                if way.service in trust.services:
                    how = [f"{PASS}, {', '.join(way.actions)}", passes or "", more, trust.services[way.service]]
                    yield Edge(holder.name, name, conditional("", how))
            for way, more in running:
                if way.service in trust.services and (way.service != _EC2 or role.on_instances):
                    how = [f"{', '.join(way.actions)} where something runs as it", more, trust.services[way.service]]
                    yield Edge(holder.name, name, conditional("", how))

    def _join_groups(self, holder: Holder, effect: Effect) -> Iterator[Edge]:
        action = "iam:AddUserToGroup"
        if holder.kind == "user" and effect.names(action):
            for group in self._estate.account.of("group"):
                allowed = effect.may(action, group.arn)
                if allowed is not None and group.name not in holder.groups:
                    yield _edge(holder, group.name, action, allowed)

    def _change_rights(self, holder: Holder, effect: Effect, target: Holder) -> Iterator[Edge]:
        """Steps of `holder` that give `target`, which it is or can be, every right."""
        found = [*_changes(effect, target, target)]
        for group in self._estate.groups(target):
            found += _changes(effect, target, group)
        for name in self._estate.held(target):
            if name in self._estate.account.policies:
                found += ((f"{action} on {name}", effect.may(action, name)) for action in _REWRITE)
        whose = "" if target is holder else f" of {target.name}, which it can be"
        allowed = [(action, more) for action, more in found if more is not None]
        if allowed and not self._estate.could_be_administrator(target):
            self.limited += [holder.name] if target is holder else []
            return
        for action, more in allowed:
            yield _edge(holder, ADMINISTRATOR, f"{action}{whose}", more)

    def _unbind(self, holder: Holder, effect: Effect) -> Iterator[Edge]:
        if holder.boundary and Effect(effect.allows, effect.denies).is_administrator:
            action = _UNBIND[holder.kind]
            allowed = effect.may(action, holder.arn)
            if allowed is not None:
                yield _edge(holder, ADMINISTRATOR, action, allowed)


def _changes(effect: Effect, target: Holder, named: Holder) -> Iterator[tuple[str, str | None]]:
    for action in _CHANGE[named.kind]:
        yield (action if named is target else f"{action} on {named.name}"), effect.may(action, named.arn)


def _open(effect: Effect, ways: Iterable[Way]) -> list[tuple[Way, str]]:
    """Those of `ways` of which all actions are allowed somewhere, with the conditions."""
    found = []
    for way in ways:
        answers = [effect.may_somewhere(action) if effect.names(action) else None for action in way.actions]
        texts = [answer for answer in answers if answer is not None]
        if len(texts) == len(answers):
            found.append((way, conditional("", texts)))
    return found


def _edge(holder: Holder, to: str, how: str, conditions: str) -> Edge:
    return Edge(holder.name, to, conditional(how, [conditions]))
