"""How claims and facts are written: what must never be possible, and what is always true of groups."""

from __future__ import annotations

from lapse.domain.errors import InvalidInput
from lapse.domain.names import shown
from lapse.policy.conditions import ConditionShape
from lapse.policy.demands import KINDS
from lapse.policy.parts import DURATION, NAME, PARTIES, PATTERNS, PROSE, WINDOWS
from lapse.policy.patterns import parse_party
from lapse.policy.rules import Claim, Fact, Selector, Situation
from lapse.policy.shape import Either, Flag, Found, Key, Many, Record, Sink, Text, Whole, Word

MOST_PERSONS = 50


def _group(text: str) -> str:
    if not text.startswith("group:"):
        raise InvalidInput(f"`{shown(text)}` is not a group", hint="write `group:NAME`")
    return parse_party(text)


GROUP = Text(_group, {"pattern": "^group:", "examples": ["group:dba"]})


def _build_fact(found: Found, sink: Sink) -> Fact:
    disjoint = found.get("disjoint", ())
    if bool(disjoint) == ("subset" in found.values) or ("subset" in found.values) != ("of" in found.values):
        raise sink.report(found.place, "a fact is `disjoint: [...]`, or `subset` and `of`", "write one of the two")
    if len(disjoint) == 1:
        raise sink.report(found.place_of("disjoint"), "one group alone has nothing in common with nobody", "name two")
    return Fact(
        file=sink.file,
        line=found.place.line,
        disjoint=disjoint,
        subset=found.get("subset", ""),
        of=found.get("of", ""),
    )


FACT = Record(
    "a fact about groups",
    (
        Key("disjoint", Many(GROUP, 100), "Groups of which no two have a common member."),
        Key("subset", GROUP, "All members of this group ..."),
        Key("of", GROUP, "... are members of this one."),
    ),
    _build_fact,
)
_true = Flag()

ABOUT = Record(
    "what a claim is about",
    (
        Key("entitlements", PATTERNS, "Which: names, patterns or tags; any if left out."),
        Key("to", PARTIES, "Who benefits: `group:NAME` or names; anyone if left out."),
        Key("kinds", KINDS, "Which kinds of principal benefit; any if left out."),
        Key("when", ConditionShape(), "A CEL condition that is true of the request."),
    ),
    lambda found, _: Selector(
        entitlements=found.get("entitlements", ()),
        to=found.get("to", ()),
        kinds=found.get("kinds", ()),
        when=found.get("when"),
    ),
)


def _build_situation(found: Found, sink: Sink) -> Situation:
    for name in ("automatic", "break_glass"):
        if found.get(name) is False:
            raise sink.report(found.place_of(name), f"`{name}: false` says nothing", "leave it out")
    if not found.values:
        raise sink.report(found.place, "the situation is any at all", "write `never: access` if that is meant")
    return Situation(
        longer_than=found.get("longer_than"),
        total_longer_than=found.get("total_longer_than"),
        fewer_persons_than=found.get("fewer_persons_than"),
        automatic=found.get("automatic"),
        break_glass=found.get("break_glass"),
        outside=found.get("outside", ()),
    )


SITUATION = Record(
    "a situation",
    (
        Key("longer_than", DURATION, "One grant is longer than this."),
        Key("total_longer_than", DURATION, "The contiguous time over any sequence of requests is longer than this."),
        Key("fewer_persons_than", Whole(1, MOST_PERSONS), "Fewer distinct persons than this agreed to any of it."),
        Key("automatic", _true, "`true`: nobody decides."),
        Key("break_glass", _true, "`true`: it is break-glass."),
        Key("outside", WINDOWS, "It is not all within these windows."),
    ),
    _build_situation,
)


def _build_always(found: Found, sink: Sink) -> tuple[Situation, ...]:
    for name in ("not_automatic", "no_break_glass"):
        if found.get(name) is False:
            raise sink.report(found.place_of(name), f"`{name}: false` says nothing", "leave it out")
    if not found.values:
        names = ", ".join(f"`{key.name}`" for key in ALWAYS.keys)
        raise sink.report(found.place, "this says nothing", f"add one of {names}")
    opposites = (
        Situation(fewer_persons_than=found.get("at_least_persons")),
        Situation(longer_than=found.get("no_longer_than")),
        Situation(total_longer_than=found.get("total_no_longer_than")),
        Situation(automatic=found.get("not_automatic")),
        Situation(break_glass=found.get("no_break_glass")),
        Situation(outside=found.get("within", ())),
    )
    return tuple(opposite for opposite in opposites if opposite != Situation())


ALWAYS = Record(
    "what always holds",
    (
        Key("at_least_persons", Whole(1, MOST_PERSONS), "At least this many distinct persons agreed."),
        Key("no_longer_than", DURATION, "No grant is longer."),
        Key("total_no_longer_than", DURATION, "No contiguous time over any sequence of requests is longer."),
        Key("not_automatic", _true, "`true`: somebody decides."),
        Key("no_break_glass", _true, "`true`: it is never break-glass."),
        Key("within", WINDOWS, "All of it is within these windows."),
    ),
    _build_always,
)


def _build_claim(found: Found, sink: Sink) -> Claim:
    never = (*found.get("never", ()), *found.get("always", ()))
    if not never:
        raise sink.report(found.place, "the claim does not say what is never or always so", "add `never` or `always`")
    return Claim(
        name=found.get("name"),
        file=sink.file,
        line=found.place.line,
        about=found.get("about", Selector()),
        never=never,
        description=found.get("description", ""),
    )


CLAIM = Record(
    "a claim",
    (
        Key("name", NAME, "What people call this claim; unique in the whole policy.", required=True),
        Key("description", PROSE, "What it is for, in a sentence."),
        Key("about", ABOUT, "Which access it speaks of; any if left out."),
        Key(
            "never",
            Many(Either[Situation](Word("access", Situation()), SITUATION), 20, or_one=True),
            "Situations that never come about, each by itself; or `access`: none of it at all.",
        ),
        Key("always", ALWAYS, "What holds of all such access."),
    ),
    _build_claim,
)
