"""The policy language: every key of a policy file, once, with its shape, its meaning and what must fit together.

`POLICY_FILE` is read by `parser` and written out as JSON Schema by `schema`; `docs/policy.md` explains it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from itertools import count

from lapse.domain.durations import human_duration
from lapse.domain.terms import Stage
from lapse.policy.conditions import ConditionShape
from lapse.policy.parts import (
    APPROVALS,
    DURATION,
    JUSTIFICATION,
    NAME,
    PARTIES,
    PATTERNS,
    PROSE,
    TICKET,
    WINDOWS,
)
from lapse.policy.rules import Limit, Needs, Offer, Selector
from lapse.policy.shape import Flag, Found, Key, Many, Record, Sink, Unreadable, Whole

DEFAULT_PENDING_TIMEOUT = timedelta(hours=24)
MOST_RULES = 500

_LONGEST_STAGE_NAME = 64

_SELECTION = (
    Key("name", NAME, "What people and the ledger call this rule; unique in the whole policy.", required=True),
    Key("description", PROSE, "What it is for, in a sentence."),
    Key("when", ConditionShape(), "A CEL condition that must be true."),
    Key("entitlements", PATTERNS, "Which: `pg-prod/reader`, `pg-*/reader` or `tag:env=prod`; one of them suffices."),
)
_NEEDS = (
    Key("max_total", DURATION, "The longest contiguous time with all extensions; `max_duration` if left out."),
    Key("windows", WINDOWS, "When access may be held; all of it must lie in them."),
    Key("justification", JUSTIFICATION, "Whether a justification is needed, and how long."),
    Key("ticket", TICKET, "Whether a ticket is needed, and of which system."),
    Key("approvals", APPROVALS, "Who must approve: stages, one after the other."),
)
EFFECTS = ("max_duration", "max_total", "windows", "justification", "ticket", "approvals", "forbid")


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """The rules of one file."""

    offers: tuple[Offer, ...]
    limits: tuple[Limit, ...]


def name_stages(stages: Iterable[Stage]) -> tuple[Stage, ...]:
    """The stages, each with a name of its own: the given one, or one made of who may approve."""
    named: list[Stage] = []
    for number, stage in enumerate(stages, start=1):
        name = stage.name or "-or-".join(party.removeprefix("group:") for party in stage.approvers)
        if len(name) > _LONGEST_STAGE_NAME:
            name = f"stage-{number}"
        taken = {other.name for other in named}
        free = name if name not in taken else next(new for n in count(2) if (new := f"{name}-{n}") not in taken)
        named.append(Stage(name=free, quorum=stage.quorum, approvers=stage.approvers))
    return tuple(named)


def _selector(found: Found) -> Selector:
    return Selector(
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
    )


def _build_offer(found: Found, sink: Sink) -> Offer:
    before = len(sink.problems)
    _check_approval(found, sink)
    _check_durations(found, sink)
    _check_stages(found, sink)
    if "entitlements" not in found.values and "when" not in found.values:
        sink.report(found.place, "the offer does not say what it offers", "add `entitlements` or `when`")
    if len(sink.problems) > before:
        raise Unreadable
    return Offer(
        name=found.get("name"),
        file=sink.file,
        line=found.place.line,
        selector=_selector(found),
        needs=_needs(found, found.get("max_total", found.get("max_duration"))),
        pending_timeout=found.get("pending_timeout", DEFAULT_PENDING_TIMEOUT),
        description=found.get("description", ""),
        auto_approve=found.get("auto_approve", False),
    )


def _check_approval(found: Found, sink: Sink) -> None:
    if found.get("auto_approve", False) and "approvals" in found.values:
        place = found.place_of("auto_approve")
        sink.report(place, "an offer with approvals is not approved automatically", "leave one of the two out")
    if not found.get("auto_approve", False) and "approvals" not in found.values:
        message = f"the offer `{found.get('name')}` says nothing about approval"
        sink.report(found.place, message, "add `approvals`, or `auto_approve: true` if nobody needs to approve")


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
    if not found.get("offers") and not found.get("limits"):
        raise sink.report(found.place, "the file has no rules", "add `offers` or `limits`")
    return PolicyFile(found.get("offers", ()), found.get("limits", ()))


OFFER = Record(
    "an offer",
    (
        *_SELECTION,
        Key("to", PARTIES, "Who may have it: `group:NAME`, names, or `anyone`.", required=True),
        Key("asked_by", PARTIES, "Who may ask for those in `to`, besides themselves and who answers for them."),
        Key("max_duration", DURATION, "The longest grant, e.g. `2h`.", required=True),
        *_NEEDS,
        Key("auto_approve", Flag(), "Must be `true` if there are no `approvals`."),
        Key("pending_timeout", DURATION, "How long a request waits for decisions; `24h` if left out."),
    ),
    _build_offer,
    {
        "allOf": [
            {"anyOf": [{"required": ["entitlements"]}, {"required": ["when"]}]},
            {
                "oneOf": [
                    {"required": ["approvals"], "properties": {"auto_approve": {"const": False}}},
                    {"required": ["auto_approve"], "properties": {"auto_approve": {"const": True}, "approvals": False}},
                ]
            },
        ]
    },
)
LIMIT = Record(
    "a limit",
    (
        *_SELECTION,
        Key("to", PARTIES, "Whom it binds: whoever asks, benefits or stands behind them; everybody if left out."),
        Key("max_duration", DURATION, "No grant may be longer."),
        *_NEEDS,
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
    ),
    _build_file,
    {"anyOf": [{"required": ["offers"]}, {"required": ["limits"]}]},
)
