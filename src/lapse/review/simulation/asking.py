"""Requests and votes: what is asked goes to the real policy, who decides is who may at that moment.

Called by `demand` and by the plants. What follows an approval is in `granting`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from lapse.domain.approvers import eligible_persons, rotas_of
from lapse.domain.data import to_data
from lapse.domain.requests import Decision, Request, RequestEvent, Verdict
from lapse.domain.terms import Stage, Terms
from lapse.ledger.entry import changed, created
from lapse.policy import Ask, History, ask_for, decide
from lapse.review.collection import rows
from lapse.review.simulation.chance import Stream
from lapse.review.simulation.clocks import answers_at
from lapse.review.simulation.granting import schedule_grant, terms_hash
from lapse.review.simulation.wishes import Case, Fate, Twist, Wish
from lapse.review.simulation.world import BREAK, World

FOREVER = timedelta(days=10_000)
AFTER_NO = timedelta(hours=73)
"""Who was refused asks for the same no sooner: what is asked of another right after is another matter."""

OPENED_SHARE = 0.85
"""Approvers open the request before they decide, nearly always."""

_MOST_ASKED = 6
_STAMPS_SHARE = 0.7
_NO_VOTE = timedelta(milliseconds=180)


def make_request(world: World, wish: Wish, twist: Twist) -> Case:
    """Ask for `wish` now, and plan what becomes of it.

    Raises:
        ValueError: the policy refuses it; a world is made so that nobody asks in vain.
    """
    ask = _ask(world, wish)
    terms = decide(world.policy, ask).terms
    if terms is None:
        raise ValueError(f"the made-up policy refuses {wish}")
    request = _request(world, wish, _forged(terms, twist))
    case = Case(wish=wish, twist=twist, asked_at=world.now, request=request)
    entry = created(
        "request.created",
        request,
        request.id,
        at=world.now,
        actor=wish.who,
        policy_version=request.policy_version,
        ask=to_data(ask),
        via="cli",
    )
    world.books.record(entry)
    world.pending[request.id] = request
    world.books.add_all("stages", rows.stage_rows(request))
    world.hold(wish.pair, world.now + FOREVER)
    _plan(world, case)
    return case


def _ask(world: World, wish: Wish) -> Ask:
    before = timedelta(0)
    if wish.extends is not None and wish.extends.ends_at is not None:
        before = wish.extends.ends_at - (wish.extends.activated_at or world.now)
    return ask_for(
        world.catalog,
        requester=wish.who,
        entitlement=wish.entitlement,
        duration=wish.duration,
        total_duration=wish.duration + before,
        is_extension=wish.extends is not None,
        break_glass=wish.break_glass,
        justification=wish.task,
        ticket=wish.ticket,
        at=world.now,
        starts_at=None if wish.starts_in is None else world.now + wish.starts_in,
        history=History(since=world.size.start - timedelta(days=400)) if wish.break_glass else None,
    )


def _request(world: World, wish: Wish, terms: Terms) -> Request:
    return Request(
        id=world.books.new_id("req"),
        requester=wish.who,
        beneficiary=wish.who,
        entitlement=wish.entitlement,
        requested_duration=wish.duration,
        justification=wish.task,
        ticket=wish.ticket,
        terms=terms,
        policy_version=world.version.version,
        created_at=world.now,
        expires_at=world.now + terms.pending_timeout,
        starts_at=None if wish.starts_in is None else world.now + wish.starts_in,
        extends=wish.extends.id if wish.extends else None,
        sponsor=world.catalog.principals[wish.who].sponsor,
    )


def _plan(world: World, case: Case) -> None:
    """What happens next with a request that was just made."""
    grant = case.twist.grant
    if grant is not None and grant.before_approval:
        world.agenda.at(world.now + timedelta(seconds=5), lambda: schedule_grant(world, case))
    if case.twist.fate is Fate.EXPIRE:
        _plan_expiry(world, case)
    elif case.twist.fate is Fate.CANCEL:
        later = world.now + timedelta(seconds=world.chance.stream("cancel").randrange(40, 2_400))
        world.agenda.at(later, lambda: _close(world, case, RequestEvent.CANCEL, case.wish.who))
    elif not case.request.terms.stages:
        world.agenda.at(world.now + _NO_VOTE, lambda: _approved(world, case, "system:policy"))
    else:
        _plan_vote(world, case)


def _plan_expiry(world: World, case: Case) -> None:
    world.agenda.at(
        case.request.expires_at, lambda: _close(world, case, RequestEvent.EXPIRE, "system:clock", "nobody decided")
    )


def _plan_vote(world: World, case: Case) -> None:
    """Who votes next, and when."""
    stream = world.chance.stream("votes")
    name, at = _next_voter(world, case, stream)
    if name and at < case.request.expires_at:
        world.agenda.at(at, lambda: _vote(world, case, name))
    else:
        _plan_expiry(world, case)


def _next_voter(world: World, case: Case, stream: Stream) -> tuple[str, datetime]:
    chosen, wait = case.twist.approvers, case.twist.wait
    if chosen is not None:
        return chosen[len(case.voted)], world.now + (wait or timedelta(seconds=stream.randrange(60, 2_400)))
    if wait is not None:
        able = sorted(_able(world, case, _on_call(world, case.request)) - set(case.voted) - world.quiet)
        return (stream.choice(able) if able else ""), world.now + wait
    return first_answer(world, case, stream)


def first_answer(world: World, case: Case, stream: Stream) -> tuple[str, datetime]:
    """Of those who may vote now, the one who answers first; ("", ...) if nobody may."""
    on_call = _on_call(world, case.request)
    watching = {name for names in on_call.values() for name in names}
    able = sorted(_able(world, case, on_call) - set(case.voted) - world.quiet)
    if case.twist.fate is Fate.DENY:
        able = [name for name in able if name not in world.stamps]
    taken = _taken(world, case, able, stream)
    if taken is not None:
        return taken
    asked = stream.sample(able, k=min(_MOST_ASKED, len(able)))
    answers = []
    for name in asked:
        person = world.staff.persons.get(name)
        if person is not None:
            answers.append((answers_at(stream, person.site, world.now, on_call=name in watching), name))
    if not answers:
        return "", world.now
    at, name = min(answers)
    return name, at


def _taken(world: World, case: Case, able: Sequence[str], stream: Stream) -> tuple[str, datetime] | None:
    """Whoever takes it before others can: a favourite of the requester, or one who decides without looking."""
    friend, share = world.favourites.get(case.wish.who, ("", 0))
    if friend in able and stream.randrange(100) < share:
        return friend, world.now + timedelta(seconds=stream.randrange(200, 3_000))
    stamp = next((name for name in able if name in world.stamps), "")
    if stamp and stream.random() < _STAMPS_SHARE:
        case.quick = stream.randrange(100) < world.stamps[stamp]
        seconds = stream.randrange(3, 25) if case.quick else stream.randrange(90, 3_000)
        return stamp, world.now + timedelta(seconds=seconds)
    return None


def _able(world: World, case: Case, on_call: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    stage = case.request.terms.stages[case.stage]
    return eligible_persons(stage, case.request, world.catalog, on_call=on_call)


def _on_call(world: World, request: Request) -> dict[str, tuple[str, ...]]:
    return {rota: world.on_call(rota) for rota in sorted(rotas_of(request.terms))}


def _vote(world: World, case: Case, name: str) -> None:
    """`name` decides now, unless things have changed and another must."""
    on_call = _on_call(world, case.request)
    if case.twist.approvers is None and name not in _able(world, case, on_call):
        _plan_vote(world, case)
        return
    last = case.stage == len(case.request.terms.stages) - 1
    deny = case.twist.fate is Fate.DENY and last
    _record_vote(world, case, name, Verdict.DENY if deny else Verdict.APPROVE)
    case.voted.append(name)
    if deny:
        _close(world, case, RequestEvent.DENY, name)
        return
    if len(case.voted) >= _quorum(case):
        case.stage += 1
    enough = case.twist.approvers is not None and len(case.voted) == len(case.twist.approvers)
    if enough or case.stage == len(case.request.terms.stages):
        _approved(world, case, "system:policy")
    else:
        _plan_vote(world, case)


def _quorum(case: Case) -> int:
    """How many votes there must be so that the open stage and those before it have theirs."""
    return sum(stage.quorum for stage in case.request.terms.stages[: case.stage + 1])


def _record_vote(world: World, case: Case, name: str, verdict: Verdict) -> None:
    stage: Stage = case.request.terms.stages[min(case.stage, len(case.request.terms.stages) - 1)]
    decision = Decision(
        id=world.books.new_id("dec"),
        request_id=case.request.id,
        approver=name,
        person=world.catalog.root_of(name) or name,
        verdict=verdict,
        stage=stage.name,
        decided_at=world.now - case.twist.clock,
        reason="" if verdict is Verdict.APPROVE else "not needed for this",
        on_call=_on_call(world, case.request),
    )
    entry = created(f"decision.{verdict}", decision, case.request.id, at=world.now, actor=name)
    world.books.record(entry)
    opened = world.chance.stream("opened").random() < OPENED_SHARE and not case.quick
    world.books.add("decisions", rows.decision_row(decision) | {"evidence_opened": opened})
    case.facts.setdefault("decisions", []).append(decision.id)


def _approved(world: World, case: Case, actor: str) -> None:
    _close(world, case, RequestEvent.APPROVE, actor)
    if case.grant is not None:
        case.over()
        return
    schedule_grant(world, case)


def _close(world: World, case: Case, event: RequestEvent, actor: str, reason: str = "") -> None:
    """The request leaves `pending`. Who got nothing is free again, after a while."""
    closed = case.request.after(event, at=world.now, reason=reason)
    kind = f"request.{closed.state}"
    world.books.record(changed(kind, case.request, closed, closed.id, at=world.now, actor=actor))
    case.request = closed
    del world.pending[closed.id]
    world.books.add("requests", request_row(closed))
    if event is not RequestEvent.APPROVE:
        world.hold(case.wish.pair, world.now + (AFTER_NO if event is RequestEvent.DENY else BREAK))
        case.over()


def request_row(request: Request) -> dict[str, object]:
    """A request as evidence, with the hash of what is approved with it."""
    return rows.request_row(request) | {"terms_sha256": terms_hash(request)}


def _forged(terms: Terms, twist: Twist) -> Terms:
    return terms if twist.forged is None else replace(terms, max_duration=twist.forged)
