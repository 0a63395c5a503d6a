"""How demands on a request are written: justification, ticket, budget, quota, and how often it is automatic."""

from __future__ import annotations

from lapse.domain.errors import InvalidInput
from lapse.domain.names import check_name, shown
from lapse.domain.principals import PrincipalKind
from lapse.policy.parts import DURATION, MOST_ITEMS, NAME_SCHEMA
from lapse.policy.rules import Budget, JustificationNeed, Quota, Rate, TicketNeed
from lapse.policy.shape import Either, Flag, Found, Key, Many, Record, Sink, Text, Whole, Word

MOST_TIMES = 10_000


def _kind(text: str) -> str:
    if text not in set(PrincipalKind):
        raise InvalidInput(f"`{shown(text)}` is not a kind of principal", hint="write `person`, `service` or `agent`")
    return text


KINDS = Many(
    Text(_kind, {"enum": [str(kind) for kind in PrincipalKind]}),
    len(PrincipalKind),
    or_one=True,
)
JUSTIFICATION = Either[JustificationNeed](
    Word("required", JustificationNeed()),
    Record(
        "the need for a justification",
        (
            Key("min_length", Whole(1, 1_000), "The least number of characters; 1 if left out."),
            Key("unlike_last", Whole(1, 100), "It must differ from this many of the requester's last ones."),
            Key("real", Flag(), "`true`: no `test`, `asdf` or `access needed`."),
        ),
        lambda found, _: JustificationNeed(
            min_length=found.get("min_length", 1),
            unlike_last=found.get("unlike_last", 0),
            real=found.get("real", False),
        ),
    ),
)


def _build_ticket(found: Found, sink: Sink) -> TicketNeed:
    if "if_unreachable" in found.values and not found.get("checked"):
        raise sink.report(
            found.place_of("if_unreachable"), "nothing is looked up, so nothing is unreachable", "add `checked: true`"
        )
    return TicketNeed(
        systems=found.get("systems", ()),
        checked=found.get("checked", False),
        allow_unreachable=found.get("if_unreachable", False),
    )


def _allow(text: str) -> bool:
    if text not in {"allow", "deny"}:
        raise InvalidInput(f"`{shown(text)}` is neither `deny` nor `allow`")
    return text == "allow"


TICKET = Either[TicketNeed](
    Word("required", TicketNeed()),
    Record(
        "the need for a ticket",
        (
            Key(
                "systems",
                Many(Text(lambda text: check_name(text, what="ticket system"), NAME_SCHEMA), MOST_ITEMS, or_one=True),
                "The ticket systems that count; any if left out.",
            ),
            Key("checked", Flag(), "`true`: it is looked up, and must be open."),
            Key(
                "if_unreachable",
                Text(_allow, {"enum": ["deny", "allow"]}),
                "What to do when its system does not answer: `deny` (if left out) or `allow`.",
            ),
        ),
        _build_ticket,
    ),
)

_MOST = Key("most", Whole(1, MOST_TIMES), "How many times.", required=True)
_PER = Key("per", DURATION, "Within any stretch of this length.", required=True)

RATE = Record("how often", (_MOST, _PER), lambda found, _: Rate(most=found.get("most"), per=found.get("per")))
AUTO_APPROVE = Either[bool | Rate](Flag(), RATE)


def _build_budget(found: Found, sink: Sink) -> Budget:
    if found.get("most") > found.get("per"):
        raise sink.report(found.place_of("most"), "the budget is longer than the time it is for", "make `per` longer")
    return Budget(most=found.get("most"), per=found.get("per"))


BUDGET = Record(
    "a budget of time",
    (Key("most", DURATION, "How much of the entitlement one person may hold.", required=True), _PER),
    _build_budget,
)


def _build_quota(found: Found, sink: Sink) -> Quota:
    if ("most" in found.values) != ("per" in found.values):
        raise sink.report(found.place, "`most` and `per` belong together", "give both, or only `pending`")
    if not found.values:
        raise sink.report(found.place, "the quota says nothing", "add `pending`, or `most` and `per`")
    rate = Rate(most=found.get("most"), per=found.get("per")) if "most" in found.values else None
    return Quota(rate=rate, pending=found.get("pending"))


QUOTA = Record(
    "a quota of requests",
    (
        Key("most", Whole(1, MOST_TIMES), "How many requests one requester may make."),
        Key("per", DURATION, "Within any stretch of this length."),
        Key("pending", Whole(1, MOST_TIMES), "How many of them may wait for a decision at a time."),
    ),
    _build_quota,
)
