"""Re-derives past decisions from the ledger alone: policy, question, people and votes as they were recorded. Pure.

Entries are fed in order. The catalog is rebuilt from its own entries, so that who could vote does not rest on
what was said at the vote. What the record does not suffice for is `not derivable`, never `same`.
Called by `workflows`, and by whoever wants to check a pack again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from lapse.domain.approval import tally
from lapse.domain.approvers import (
    NOT_OPEN,
    Moment,
    delegates_of,
    eligible_persons,
    interested_persons,
    principals_of_delegate,
)
from lapse.domain.catalog import Catalog
from lapse.domain.data import Json, changed_fields, from_data, to_data
from lapse.domain.delegations import Delegation
from lapse.domain.errors import LapseError
from lapse.domain.principals import Group, Principal
from lapse.domain.requests import Decision, Request
from lapse.domain.resources import Resource
from lapse.domain.terms import Terms
from lapse.ledger.entry import Entry
from lapse.policy import Ask, Policy, evaluate, parse, version_of
from lapse.review.model import Rederivation

SAME, DIFFERENT, NOT_DERIVABLE = "same", "different", "not derivable"
_AT_ONCE = timedelta(seconds=5)
"""Clocks of two servers may differ by so much, and what happens at once may be recorded in either order."""

_KINDS = ("principal", "group", "resource")
T = TypeVar("T")


@dataclass
class _Case:
    """One request while its entries are read."""

    request: Request
    allowed: bool
    decisions: list[Decision] = field(default_factory=list)
    approvers: dict[str, set[str]] = field(default_factory=dict)
    interested: set[str] = field(default_factory=set)
    recorded: str = "pending"
    derived: str = "pending"
    differences: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


class Replay:
    """Feed every entry, then read `results` and `approver_sets`. `policies` are files by version."""

    def __init__(self, policies: Mapping[str, Mapping[str, str]]) -> None:
        self._files = policies
        self._parsed: dict[str, Policy | str] = {}
        self._catalog = _Recorded()
        self._cases: dict[str, _Case] = {}
        self._broken: dict[str, str] = {}
        self._delegations: dict[str, Delegation] = {}

    def feed(self, entry: Entry) -> None:
        """Take in the next entry of the ledger."""
        try:
            self._take(entry)
        except (LapseError, KeyError, TypeError, ValueError) as error:
            self._broken[entry.subject] = f"entry {entry.type} cannot be read: {error}"

    def results(self, requests: Iterable[tuple[str, str]]) -> Iterator[Rederivation]:
        """The outcome for each (id, recorded state) of `requests`."""
        for request_id, state in requests:
            case = self._cases.get(request_id)
            why = self._broken.get(request_id, "" if case else "the ledger has no entry of its creation")
            if case is None or why:
                yield _not_derivable(request_id, state, why)
            else:
                yield _outcome(case, state)

    def approver_sets(self, request_id: str) -> Mapping[str, frozenset[str]]:
        """By stage, who could decide on a request when its votes were cast; empty if that is not known.

        Who asked or benefits is included: whether such a vote counts is another question than who is an approver.
        """
        case = self._cases.get(request_id)
        return {stage: frozenset(persons) for stage, persons in case.approvers.items()} if case else {}

    def interested(self, request_id: str) -> frozenset[str]:
        """The humans who stood behind who asked and who benefits when votes were cast: sponsors and owners of then."""
        case = self._cases.get(request_id)
        return frozenset(case.interested) if case else frozenset()

    def _take(self, entry: Entry) -> None:
        if entry.type.startswith("catalog."):
            self._catalog.apply(entry)
        elif entry.type == "request.created":
            self._cases[entry.subject] = self._created(entry)
        elif entry.type.startswith("delegation."):
            self._delegated(entry)
        elif entry.type.startswith("decision."):
            self._voted(entry)
        elif entry.type == "request.reduced":
            self._reduced(self._cases[entry.subject], entry)
        elif entry.type.startswith("request.") and entry.subject in self._cases:
            self._closed(self._cases[entry.subject], entry)

    def _created(self, entry: Entry) -> _Case:
        case = _Case(request=from_data(Request, dict(entry.after or {})), allowed=True)
        self._evaluate(case, entry)
        return case

    def _evaluate(self, case: _Case, entry: Entry) -> None:
        """Ask the policy again what it was asked, and compare."""
        policy = self._policy(entry.policy_version)
        if isinstance(policy, str):
            case.unknown.append(policy)
            return
        answer = evaluate(policy, from_data(Ask, entry.context["ask"]))
        case.allowed = answer.allowed
        if not answer.allowed:
            case.differences.append(f"the policy denies it: {answer.reason}")
        elif answer.terms != case.request.terms:
            case.differences.append(_terms_differ(answer.terms, case.request.terms))

    def _ask_again(self, case: _Case, entry: Entry) -> None:
        """A yes was only taken if the policy in force by then gave the same terms: ask that one, too."""
        asked = entry.context.get("asked_again")
        if asked is None:
            return
        policy = self._policy(str(entry.context.get("policy_then")))
        if isinstance(policy, str):
            case.unknown.append(policy)
            return
        answer = evaluate(policy, from_data(Ask, asked))
        if answer.terms != case.request.terms:
            case.differences.append(f"when it was approved, {_terms_differ(answer.terms, case.request.terms)}")

    def _reduced(self, case: _Case, entry: Entry) -> None:
        """The requester accepted less than was asked."""
        before = to_data(case.request)
        if isinstance(before, dict):
            case.request = from_data(Request, {**before, **(entry.after or {})})
        self._evaluate(case, entry)

    def _delegated(self, entry: Entry) -> None:
        before = to_data(self._delegations.get(entry.subject))
        data = {**(before if isinstance(before, dict) else {}), **(entry.after or {})}
        self._delegations[entry.subject] = from_data(Delegation, data)

    def _voted(self, entry: Entry) -> None:
        case = self._cases[entry.subject]
        decision = from_data(Decision, dict(entry.after or {}))
        catalog = self._catalog.value()
        if case.request.entitlement.partition("/")[0] not in catalog.resources:
            case.unknown.append("the ledger does not say who could vote at the time")
            return
        self._ask_again(case, entry)
        at, delegations = decision.decided_at, tuple(self._delegations.values())
        moment = Moment(at=at, on_call=decision.on_call, delegations=delegations)
        acting = principals_of_delegate(catalog.person_of(decision.approver) or "", moment, catalog)
        unexplained = {name for name in {*acting} ^ {*decision.acts_for} if not self._just_changed(name, at)}
        if unexplained:
            case.differences.append(_acting_differs(decision, acting))
        interested = interested_persons(case.request, catalog)
        case.interested |= interested
        for one in tally(case.request, case.decisions, catalog, moment).stages:
            open_for = NOT_OPEN if one.opened_at is None else at - one.opened_at
            able = eligible_persons(one.stage, case.request, catalog, on_call=decision.on_call, open_for=open_for)
            case.approvers.setdefault(one.stage.name, set()).update(
                able, delegates_of(able, moment, catalog), interested
            )
        case.decisions.append(decision)

    def _just_changed(self, principal: str, at: datetime) -> bool:
        """Whether a delegation of `principal` was made or ended early as the vote was cast: either may come first."""
        times = [
            time
            for one in self._delegations.values()
            if one.principal == principal
            for time in (one.created_at, one.ended_early_at)
        ]
        return any(time is not None and abs(time - at) <= _AT_ONCE for time in times)

    def _closed(self, case: _Case, entry: Entry) -> None:
        state = (entry.after or {}).get("state")
        if not isinstance(state, str):
            return
        case.recorded = case.derived = state
        if state not in {"approved", "denied"}:
            return
        result = tally(case.request, case.decisions, self._catalog.value())
        if state == "approved" and not result.approved:
            missing = [s.stage.name for s in result.stages if not s.met]
            case.derived = "denied" if result.denied_by else "pending"
            case.differences.append(f"the votes do not suffice in stage {', '.join(missing) or 'any'}")
        if state == "denied" and result.denied_by is None:
            case.derived = "approved" if result.approved else "pending"
            case.differences.append("no vote of an eligible person denies it")

    def _policy(self, version: str) -> Policy | str:
        if version not in self._parsed:
            self._parsed[version] = self._read_policy(version)
        return self._parsed[version]

    def _read_policy(self, version: str) -> Policy | str:
        files = self._files.get(version)
        if files is None:
            return f"policy {version[:12]} is not on record"
        if version_of(files) != version:
            return f"the files of policy {version[:12]} are not those of that version"
        try:
            return parse(files)
        except LapseError as error:
            return f"policy {version[:12]} cannot be read: {error.message}"


class _Recorded:
    """The catalog as its ledger entries say, rebuilt when it is asked for after a change."""

    def __init__(self) -> None:
        self._data: dict[str, dict[str, dict[str, Json]]] = {kind: {} for kind in _KINDS}
        self._value: Catalog | None = None

    def apply(self, entry: Entry) -> None:
        """One `catalog.KIND.CHANGE` entry about `KIND:NAME`."""
        _, kind, change = entry.type.split(".")
        name = entry.subject.partition(":")[2]
        if change == "remove":
            self._data[kind].pop(name, None)
        else:
            before = self._data[kind].get(name, {}) if change == "change" else {}
            self._data[kind][name] = {**before, **(entry.after or {})}
        self._value = None

    def value(self) -> Catalog:
        """The catalog after the entries so far."""
        if self._value is None:
            self._value = Catalog(
                principals=self._things("principal", Principal),
                groups=self._things("group", Group),
                resources=self._things("resource", Resource),
            )
        return self._value

    def _things(self, kind: str, of: type[T]) -> dict[str, T]:
        return {name: from_data(of, data) for name, data in self._data[kind].items()}


def _outcome(case: _Case, state: str) -> Rederivation:
    if case.unknown:
        why = "; ".join(dict.fromkeys(case.unknown))
        return _not_derivable(case.request.id, state, why, case.request.policy_version)
    differences = list(case.differences)
    if state != case.recorded:
        differences.append(f"the store says {state}, the ledger {case.recorded}")
    derived = case.derived if case.allowed else "denied"
    return Rederivation(
        request_id=case.request.id,
        recorded=state,
        derived=derived,
        outcome=DIFFERENT if differences else SAME,
        policy_version=case.request.policy_version,
        differences=tuple(differences),
    )


def _not_derivable(request_id: str, state: str, why: str, version: str = "") -> Rederivation:
    return Rederivation(
        request_id=request_id,
        recorded=state,
        derived="unknown",
        outcome=NOT_DERIVABLE,
        policy_version=version,
        differences=(why,),
    )


def _acting_differs(decision: Decision, acting: Iterable[str]) -> str:
    said, known = (", ".join(sorted(names)) or "nobody" for names in (decision.acts_for, acting))
    return f"vote {decision.id} says its approver acted for {said}, the record of delegations says {known}"


def _terms_differ(derived: Terms | None, recorded: Terms) -> str:
    if derived is None or derived.offer != recorded.offer:
        return f"the policy gives offer `{derived.offer if derived else ''}`, recorded is `{recorded.offer}`"
    return f"the terms differ in {', '.join(changed_fields(derived, recorded))}"
