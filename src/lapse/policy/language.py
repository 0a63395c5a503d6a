"""The policy language: every key of a policy file, once, with its shape, its meaning and what must fit together.

`POLICY_FILE` is read by `parser` and written out as JSON Schema by `schema`; `docs/policy.md` explains it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count

from lapse.domain.durations import human_duration
from lapse.domain.errors import InvalidInput
from lapse.domain.names import shown
from lapse.domain.terms import Stage
from lapse.policy.claims import CLAIM, FACT
from lapse.policy.conditions import ConditionShape
from lapse.policy.demands import AUTO_APPROVE, BUDGET, JUSTIFICATION, KINDS, QUOTA, TICKET
from lapse.policy.parts import DURATION, NAME, PARTIES, PATTERNS, PROSE, WINDOWS
from lapse.policy.rules import Claim, Fact, Limit, Needs, Offer, Rate, Selector
from lapse.policy.shape import Flag, Found, Key, Many, Record, Sink, Text, Unreadable, Whole
from lapse.policy.stages import APPROVALS, POST_REVIEW

DEFAULT_PENDING_TIMEOUT = timedelta(hours=24)
MOST_RULES = 2_000
MOST_CLAIMS = 200

_LONGEST_STAGE_NAME = 64

_NAMING = (
    Key("name", NAME, "What people and the ledger call this rule; unique in the whole policy.", required=True),
    Key("description", PROSE, "What it is for, in a sentence."),
    Key("entitlements", PATTERNS, "Which: `pg-prod/reader`, `pg-*/reader` or `tag:env=prod`; one of them suffices."),
)
_WHEN = Key("when", ConditionShape(), "A CEL condition that must be true.")
_NEEDS = (
    Key("max_total", DURATION, "The longest contiguous time with all extensions; `max_duration` if left out."),
    Key("windows", WINDOWS, "When access may be held; all of it must lie in them."),
    Key("justification", JUSTIFICATION, "Whether a justification is needed, and how long."),
    Key("ticket", TICKET, "Whether a ticket is needed, and of which system."),
    Key("budget", BUDGET, "How much time of the entitlement one person may hold in any stretch of time."),
    Key("cooldown", DURATION, "How long a person must be without the entitlement before they may have it again."),
    Key("approvals", APPROVALS, "Who must approve: stages, one after the other."),
)
EFFECTS = (
    "max_duration",
    "max_total",
    "windows",
    "justification",
    "ticket",
    "budget",
    "cooldown",
    "approvals",
    "quota",
    "forbid",
)
ORDER, PARALLEL = "order", "parallel"
PEOPLE_AND_SERVICES = ("person", "service")


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """The rules of one file."""

    offers: tuple[Offer, ...]
    limits: tuple[Limit, ...]
    facts: tuple[Fact, ...] = ()
    claims: tuple[Claim, ...] = ()


def name_stages(stages: Iterable[Stage]) -> tuple[Stage, ...]:
    """The stages, each with a name of its own: the given one, or one made of who may approve."""
    named: list[Stage] = []
    for number, stage in enumerate(stages, start=1):
        name = stage.name or "-or-".join(party.removeprefix("group:") for party in stage.approvers)
        if len(name) > _LONGEST_STAGE_NAME:
            name = f"stage-{number}"
        taken = {other.name for other in named}
        free = name if name not in taken else next(new for n in count(2) if (new := f"{name}-{n}") not in taken)
        named.append(replace(stage, name=free))
    return tuple(named)


def _selector(found: Found, kinds: tuple[str, ...] = ()) -> Selector:
    return Selector(
        kinds=found.get("kinds", kinds),
        entitlements=found.get("entitlements", ()),
        to=found.get("to", ()),
        asked_by=found.get("asked_by", ()),
        when=found.get("when"),
    )


def _needs(found: Found, max_total: timedelta | None) -> Needs:
    return Needs(
        max_duration=found.get("max_duration"),
        max_total=max_total,
        windows=found.get("windows", ()),
        justification=found.get("justification"),
        ticket=found.get("ticket"),
        stages=name_stages(found.get("approvals", ())),
        budget=found.get("budget"),
        cooldown=found.get("cooldown"),
        quota=found.get("quota"),
    )


def _build_offer(found: Found, sink: Sink) -> Offer:
    before = len(sink.problems)
    _check_approval(found, sink)
    _check_agents(found, sink)
    _check_durations(found, sink)
    _check_stages(found, sink)
    if "entitlements" not in found.values and "when" not in found.values:
        sink.report(found.place, "the offer does not say what it offers", "add `entitlements` or `when`")
    if len(sink.problems) > before:
        raise Unreadable
    auto = found.get("auto_approve", False)
    return Offer(
        name=found.get("name"),
        file=sink.file,
        line=found.place.line,
        selector=_selector(found, PEOPLE_AND_SERVICES),
        needs=_needs(found, found.get("max_total", found.get("max_duration"))),
        pending_timeout=found.get("pending_timeout", DEFAULT_PENDING_TIMEOUT),
        description=found.get("description", ""),
        auto_approve=bool(auto),
        auto_rate=auto if isinstance(auto, Rate) else None,
        in_parallel=found.get("approvals_in", ORDER) == PARALLEL,
        post_review=found.get("break_glass"),
        purpose=found.get("purpose", ""),
    )


def _check_approval(found: Found, sink: Sink) -> None:
    ways = [name for name in ("approvals", "auto_approve", "break_glass") if found.get(name)]
    if len(ways) > 1:
        place = found.place_of(ways[-1])
        message = f"an offer has either `{ways[0]}` or `{ways[-1]}`: who decides would not be clear"
        sink.report(place, message, "leave one of the two out")
    if not ways:
        message = f"the offer `{found.get('name')}` says nothing about approval"
        sink.report(found.place, message, "add `approvals`, or `auto_approve: true` if nobody needs to approve")
    if "approvals_in" in found.values and len(found.get("approvals", ())) < 2:  # noqa: PLR2004  an order of one
        sink.report(found.place_of("approvals_in"), "there are no stages to put in order", "leave it out")


def _check_agents(found: Found, sink: Sink) -> None:
    if "agent" in found.get("kinds", ()) and "purpose" not in found.values:
        sink.report(found.place_of("kinds"), "an offer to agents says for what", "add `purpose`: grants will carry it")


def _check_durations(found: Found, sink: Sink) -> None:
    longest, total = found.get("max_duration"), found.get("max_total")
    if longest is not None and total is not None and total < longest:
        message = f"`max_total` ({human_duration(total)}) is shorter than `max_duration` ({human_duration(longest)})"
        sink.report(found.place_of("max_total"), message, "it counts the first grant and all extensions")


def _build_limit(found: Found, sink: Sink) -> Limit:
    before = len(sink.problems)
    _check_forbid(found, sink)
    _check_durations(found, sink)
    _check_stages(found, sink)
    if not any(effect in found.values for effect in EFFECTS):
        sink.report(found.place, "the limit has no effect", "add one of " + ", ".join(f"`{e}`" for e in EFFECTS))
    if len(sink.problems) > before:
        raise Unreadable
    return Limit(
        name=found.get("name"),
        file=sink.file,
        line=found.place.line,
        selector=_selector(found),
        needs=_needs(found, found.get("max_total")),
        forbid=found.get("reason", ""),
        description=found.get("description", ""),
    )


def _check_stages(found: Found, sink: Sink) -> None:
    stages = found.get("approvals", ())
    people = [frozenset(stage.approvers) for stage in stages]
    names = [stage.name for stage in stages if stage.name]
    if len(set(people)) < len(people):
        sink.report(found.place_of("approvals"), "two stages ask the same people", "use one with a larger `quorum`")
    if len(set(names)) < len(names):
        sink.report(found.place_of("approvals"), "two stages have the same name", "rename one")


def _check_forbid(found: Found, sink: Sink) -> None:
    if "forbid" in found.values and not found.get("forbid"):
        sink.report(found.place_of("forbid"), "`forbid: false` does nothing", "leave it out")
    if "forbid" in found.values and "reason" not in found.values:
        sink.report(found.place, "the limit forbids without a `reason`", "say why: people will read it")
    if "reason" in found.values and "forbid" not in found.values:
        sink.report(found.place_of("reason"), "`reason` is for limits with `forbid: true`", "use `description`")


def _build_file(found: Found, sink: Sink) -> PolicyFile:
    if not any(found.get(part) for part in PARTS):
        raise sink.report(found.place, "the file has no rules", "add `offers` or `limits`")
    return PolicyFile(*(found.get(part, ()) for part in PARTS))


def _order(text: str) -> str:
    if text not in {ORDER, PARALLEL}:
        raise InvalidInput(f"`{shown(text)}` is neither `{ORDER}` nor `{PARALLEL}`")
    return text


PARTS = ("offers", "limits", "facts", "claims")
OFFER = Record(
    "an offer",
    (
        *_NAMING,
        Key("to", PARTIES, "Who may have it: `group:NAME`, names, or `anyone`.", required=True),
        Key("kinds", KINDS, "For which kinds of principal; `person` and `service` if left out."),
        Key("asked_by", PARTIES, "Who may ask for those in `to`, besides themselves and who answers for them."),
        _WHEN,
        Key("purpose", PROSE, "What it is for: requests and grants carry it. Offers to agents must say it."),
        Key("max_duration", DURATION, "The longest grant, e.g. `2h`.", required=True),
        *_NEEDS,
        Key("approvals_in", Text(_order, {"enum": [ORDER, PARALLEL]}), "Stages in `order` or in `parallel`."),
        Key("auto_approve", AUTO_APPROVE, "`true`, or how often for one person: nobody needs to approve."),
        Key("break_glass", POST_REVIEW, "It is given at once, when break-glass is asked for, and reviewed after."),
        Key("pending_timeout", DURATION, "How long a request waits for decisions; `24h` if left out."),
    ),
    _build_offer,
    {
        "allOf": [
            {"anyOf": [{"required": ["entitlements"]}, {"required": ["when"]}]},
            {
                "oneOf": [
                    {"required": ["approvals"], "properties": {"auto_approve": {"const": False}, "break_glass": False}},
                    {
                        "required": ["auto_approve"],
                        "properties": {
                            "auto_approve": {"not": {"const": False}},
                            "approvals": False,
                            "break_glass": False,
                        },
                    },
                    {"required": ["break_glass"], "properties": {"auto_approve": {"const": False}, "approvals": False}},
                ]
            },
        ]
    },
)
LIMIT = Record(
    "a limit",
    (
        *_NAMING,
        Key("to", PARTIES, "Whom it binds: whoever asks, benefits or stands behind them; everybody if left out."),
        Key("kinds", KINDS, "Which kinds of beneficiary it binds; all if left out."),
        _WHEN,
        Key("max_duration", DURATION, "No grant may be longer."),
        *_NEEDS,
        Key("quota", QUOTA, "How much one requester may ask."),
        Key("forbid", Flag(), "`true`: nothing that is selected is allowed."),
        Key("reason", PROSE, "Why it is forbidden; shown to who asked."),
    ),
    _build_limit,
    {
        "anyOf": [{"required": [effect]} for effect in EFFECTS],
        "dependentRequired": {"forbid": ["reason"], "reason": ["forbid"]},
    },
)
POLICY_FILE = Record(
    "a policy file",
    (
        Key("version", Whole(1, 1), "Version of the language: 1.", required=True),
        Key("offers", Many(OFFER, MOST_RULES), "What people may have. Nothing is allowed unless an offer allows it."),
        Key("limits", Many(LIMIT, MOST_RULES), "What binds whatever the offer."),
        Key("facts", Many(FACT, MOST_CLAIMS), "What is always true of groups, for proofs."),
        Key("claims", Many(CLAIM, MOST_CLAIMS), "What must never be possible; `lapse policy prove` decides it."),
    ),
    _build_file,
    {"anyOf": [{"required": [part]} for part in PARTS]},
)
