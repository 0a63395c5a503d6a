"""The single checks that offers and limits are made of. Each looks at one thing and says what it saw.

A check never raises: what cannot be evaluated is `failed`, with the reason. Called by `evaluator`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from lapse.domain.durations import LONGEST, human_duration
from lapse.domain.names import shown
from lapse.policy.expressions.condition import Condition, ConditionError, view_of
from lapse.policy.expressions.sight import Sight
from lapse.policy.frequency import break_glass_check, budget_check, cooldown_check, quota_checks, rate_check
from lapse.policy.justifications import is_boilerplate, repeats
from lapse.policy.patterns import may_be, touches
from lapse.policy.results import Check, Status
from lapse.policy.rules import JustificationNeed, Needs, Offer, Selector, TicketNeed
from lapse.policy.values import Ask, PrincipalFacts, TicketFacts, TicketStatus
from lapse.policy.windows import Window, closes_at, is_open, opens_at

_SECOND = timedelta(seconds=1)
_KINDS = {"person": "persons", "service": "services", "agent": "agents"}
_YEARS = range(2000, 9000)


class Question:
    """An ask being evaluated; what conditions see of it is made when the first one needs it."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self._views: dict[Sight, Any] = {}

    def view(self, sight: Sight) -> Any:
        """What `sight` names of the ask, as the condition engine reads it; `ConditionError` if the engine cannot."""
        found = self._views.get(sight)
        if found is None:
            found = self._views[sight] = view_of(self.ask, sight)
        return found


def basic_checks(ask: Ask) -> Iterator[Check]:
    """What holds for every question, whatever the policy says."""
    yield _active("requester", ask.requester)
    yield _active("beneficiary", ask.beneficiary)
    sound = timedelta(0) < ask.duration <= LONGEST and ask.total_duration >= ask.duration
    yield _check("duration", sound, f"the time asked for is {human_duration(ask.duration)}")
    times = [at for at in (ask.at, ask.starts_at) if at is not None]
    sane = all(at.tzinfo is not None and at.year in _YEARS for at in times)
    yield _check("time", sane, "the times are usable" if sane else "a time has no offset or is out of range")


@lru_cache(maxsize=1024)
def _name(text: str) -> str:
    return shown(text)


def _active(role: str, facts: PrincipalFacts) -> Check:
    state = "is active" if facts.active else "is not active (or who stands behind it is not)"
    return _check(role, facts.active, f"the {role} `{_name(facts.name)}` {state}")


def entitlement_check(selector: Selector, ask: Ask) -> Check:
    """Whether the rule is about this entitlement."""
    name = _name(ask.entitlement.name)
    if not selector.entitlements:
        return _met("entitlements", "is about every entitlement")
    for pattern in selector.entitlements:
        if pattern.matches(ask):
            return _met("entitlements", f"is about `{name}` (`{pattern.text}`)")
    return _about_others("entitlements", f"is not about `{name}`")


def offered_to(selector: Selector, ask: Ask) -> Check:
    """Whether an offer is made to the beneficiary."""
    name = _name(ask.beneficiary.name)
    if may_be(ask.beneficiary, selector.to):
        return _met("to", f"is made to `{name}`")
    return _about_others("to", f"is not made to `{name}` (to {_parties(selector.to)})")


def asked_by(selector: Selector, ask: Ask) -> Check:
    """Whether the requester may take an offer up for the beneficiary: answers for it, or is named."""
    answers = bool(ask.requester.person) and ask.requester.person in ask.beneficiary.humans
    allowed = answers or may_be(ask.requester, selector.asked_by)
    asker, name = _name(ask.requester.name), _name(ask.beneficiary.name)
    return _check("asked_by", allowed, f"{'lets' if allowed else 'does not let'} `{asker}` ask for `{name}`")


def kind_check(selector: Selector, ask: Ask) -> Check:
    """Whether the rule is about this kind of beneficiary."""
    kind = ask.beneficiary.kind
    if not selector.kinds or kind in selector.kinds:
        return _met("kinds", f"is about {_KINDS.get(kind, kind)}")
    return _about_others("kinds", f"is not about {_KINDS.get(kind, kind)}")


def binds(selector: Selector, ask: Ask) -> Check:
    """Whether a limit binds the requester, the beneficiary or anybody behind them."""
    if not selector.to:
        return _met("to", "binds everybody")
    for facts in (ask.beneficiary, ask.requester):
        if touches(facts, selector.to):
            return _met("to", f"binds `{_name(facts.name)}`")
    return _about_others("to", f"binds only {_parties(selector.to)}")


def condition_check(condition: Condition, question: Question, otherwise: Status = Status.UNSATISFIED) -> Check:
    """Whether the condition is true; `otherwise` is what it means for the rule if it is not."""
    text = condition.label
    try:
        holds = condition.holds(question.view(condition.sight))
    except ConditionError as error:
        return Check(name="when", status=Status.FAILED, detail=f"could not evaluate its condition `{text}`: {error}")
    if holds:
        return _met("when", f"has the condition `{text}`, which is true")
    return Check(name="when", status=otherwise, detail=f"has the condition `{text}`, which is not true")


def need_checks(needs: Needs, ask: Ask) -> Iterator[Check]:
    """Whether the question meets everything a rule needs of it (approvals come later)."""
    if needs.max_duration is not None:
        yield _at_most("max_duration", "allows at most", ask.duration, needs.max_duration, ask.duration)
    if needs.max_total is not None and (needs.max_duration is None or ask.total_duration != ask.duration):
        words = "allows at most, with extensions," if ask.is_extension else "allows at most"
        yield _at_most("max_total", words, ask.total_duration, needs.max_total, ask.duration)
    if needs.justification is not None:
        yield from _justification(needs.justification, ask)
    if needs.ticket is not None:
        yield from _ticket(needs.ticket, ask)
    if needs.windows:
        yield _windows(needs.windows, ask)
    if needs.budget is not None:
        yield budget_check(needs.budget, ask)
    if needs.cooldown is not None:
        yield cooldown_check(needs.cooldown, ask)
    if needs.quota is not None:
        yield from quota_checks(needs.quota, ask)


def offer_checks(offer: Offer, ask: Ask) -> Iterator[Check]:
    """What only offers ask: that it is an emergency, or that automatic approval was not used up."""
    if offer.post_review is not None:
        yield break_glass_check(ask)
    if offer.auto_rate is not None:
        yield rate_check(offer.auto_rate, offer.name, ask)


def _at_most(name: str, words: str, asked: timedelta, most: timedelta, duration: timedelta) -> Check:
    detail = f"{words} {human_duration(most)} (asked {human_duration(asked)})"
    if asked <= most:
        return _met(name, detail)
    return _too_long(name, detail, duration - min(asked - most, duration))


def _too_long(name: str, detail: str, most: timedelta) -> Check:
    if most < _SECOND:
        return _unmet(name, detail)
    remedy = f"ask for {human_duration(most)} or less"
    return Check(name=name, status=Status.UNSATISFIED, detail=detail, remedy=remedy, at_most=most)


def _justification(need: JustificationNeed, ask: Ask) -> Iterator[Check]:
    least, text = need.min_length, ask.justification.strip()
    wanted = "a justification" if least == 1 else f"a justification of at least {least} characters"
    given = f"{len(text)} given" if text else "none given"
    yield _check("justification", len(text) >= least, f"needs {wanted} ({given})", f"give {wanted}")
    if need.real and text:
        says = not is_boilerplate(text)
        yield _check(
            "justification",
            says,
            "needs a justification that says what this access is for" + ("" if says else ", and this one does not"),
            "say what you are going to do, and why now",
        )
    if need.unlike_last and text:
        yield _fresh(need.unlike_last, text, ask)


def _fresh(last: int, text: str, ask: Ask) -> Check:
    detail = (
        f"needs a justification that differs from your last {last}"
        if last > 1
        else ("needs a justification that differs from your last one")
    )
    if ask.history is None:
        return Check(name="justification", status=Status.FAILED, detail=f"{detail}, and those are not known")
    fresh = not repeats(text, ask.history.justifications[:last])
    return _check("justification", fresh, detail if fresh else f"{detail}, which it repeats", "say what is different")


def _ticket(need: TicketNeed, ask: Ask) -> Iterator[Check]:
    systems, ticket = need.systems, ask.ticket
    wanted = "a ticket" + (f" of {' or '.join(f'`{s}`' for s in systems)}" if systems else "")
    if ticket is None or not ticket.number.strip():
        yield _unmet("ticket", f"needs {wanted} (none given)", f"name {wanted}")
        return
    fits = not systems or ticket.system.strip().lower() in systems
    given = shown(f"{ticket.system}:{ticket.number}")
    yield _check("ticket", fits, f"needs {wanted} (given `{given}`)", f"name {wanted}")
    if fits and need.checked:
        yield _open_ticket(need, given, ask.ticket_facts)


def _open_ticket(need: TicketNeed, given: str, facts: TicketFacts | None) -> Check:
    if facts is None:
        return Check(name="ticket", status=Status.FAILED, detail=f"needs `{given}` to be open, and nobody looked it up")
    said = f" ({shown(facts.detail)})" if facts.detail else ""
    match facts.status:
        case TicketStatus.OPEN:
            return _met("ticket", f"needs `{given}` to be open, and it is{said}")
        case TicketStatus.UNREACHABLE if need.allow_unreachable:
            return _met("ticket", f"takes `{given}` unseen, since its system does not answer{said}")
        case TicketStatus.UNREACHABLE:
            return _unmet("ticket", f"needs `{given}` to be open, and its system does not answer{said}", "try again")
        case TicketStatus.CLOSED | TicketStatus.UNKNOWN:
            words = "is closed" if facts.status is TicketStatus.CLOSED else "does not exist"
            return _unmet("ticket", f"needs `{given}` to be open, and it {words}{said}", "name an open ticket")


def _windows(windows: tuple[Window, ...], ask: Ask) -> Check:
    listed = _listed(windows)
    begin = ask.begins_at
    try:
        if not is_open(windows, begin):
            opening = opens_at(windows, begin)
            remedy = f"start at {_local(opening, windows)}" if opening else ""
            return _unmet("windows", f"is open only {listed} (asked from {_local(begin, windows)})", remedy)
        closing = closes_at(windows, begin, begin + ask.duration)
    except (ArithmeticError, ValueError, LookupError, OSError) as error:
        return Check(name="windows", status=Status.FAILED, detail=f"could not tell whether it is open: {error}")
    if closing is None:
        return _met("windows", f"is open only {listed} (asked from {_local(begin, windows)})")
    until = _local(begin + ask.duration, windows)
    detail = f"is open only {listed} and closes {_local(closing, windows)} (asked until {until})"
    return _too_long("windows", detail, (closing - begin) // _SECOND * _SECOND)


@lru_cache(maxsize=1024)
def _listed(windows: tuple[Window, ...]) -> str:
    return ", ".join(map(str, windows))


def latest_begin(needs: Needs, ask: Ask, wait: timedelta) -> datetime | None:
    """The last instant at which access could begin and still end before the windows close.

    None if that is after `wait`. To be called for needs whose windows are satisfied.
    """
    if not needs.windows:
        return None
    closing = closes_at(needs.windows, ask.begins_at, ask.begins_at + wait + ask.duration)
    return None if closing is None else closing - ask.duration


def _local(at: datetime, windows: tuple[Window, ...]) -> str:
    zone = windows[0].timezone
    return at.astimezone(ZoneInfo(zone)).strftime("%a %Y-%m-%d %H:%M ") + zone


@lru_cache(maxsize=1024)
def _parties(parties: tuple[str, ...]) -> str:
    named = ", ".join(f"`{party}`" for party in parties[:3])
    return named + (f" and {len(parties) - 3} more" if len(parties) > 3 else "")  # noqa: PLR2004  three are enough


def _met(name: str, detail: str) -> Check:
    return Check(name=name, status=Status.SATISFIED, detail=detail)


def _unmet(name: str, detail: str, remedy: str = "") -> Check:
    return Check(name=name, status=Status.UNSATISFIED, detail=detail, remedy=remedy)


def _check(name: str, satisfied: bool, detail: str, remedy: str = "") -> Check:
    return _met(name, detail) if satisfied else _unmet(name, detail, remedy)


def _about_others(name: str, detail: str) -> Check:
    return Check(name=name, status=Status.NOT_APPLICABLE, detail=detail)
