"""How test cases are written: every key once, in shapes that read it and describe it as JSON Schema."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, TypeVar

from lapse.domain.data import Json
from lapse.domain.durations import parse_duration
from lapse.domain.errors import InvalidInput
from lapse.domain.names import check_name, check_native, shown, split_entitlement
from lapse.domain.principals import PrincipalKind
from lapse.domain.requests import Ticket
from lapse.domain.times import parse_time
from lapse.policy.cases.values import (
    Asked,
    Case,
    CaseFile,
    Expected,
    ExpectedStage,
    GivenTicket,
    Held,
    Made,
    Moment,
    Past,
    Placed,
    SomeGroup,
    Someone,
    SomeResource,
)
from lapse.policy.parts import DURATION, NAME, NAME_SCHEMA, PROSE
from lapse.policy.shape import Either, Flag, Found, Key, Many, OrWord, Record, Schema, Shape, Sink, Text, Whole, Word
from lapse.policy.stages import ALL, APPROVERS, MOST_VOTES
from lapse.policy.values import TicketStatus
from lapse.policy.yaml_tree import Map, Scalar, Tree

MOST_CASES = 2_000
MOST_THINGS = 1_000
T = TypeVar("T")
_APART = re.compile(r"(?:(?P<ago>.+) ago|in (?P<ahead>.+)|(?P<now>now))")
_LINKS = ("manager", "sponsor", "owner", "alias_of")
_TEXTS = ("display_name", "email", "department", "title")


@dataclass(frozen=True)
class At(Generic[T]):
    """A value together with where it stands."""

    inner: Shape[T]

    def read(self, tree: Tree, sink: Sink) -> Placed[T]:
        """The value and its place."""
        return Placed(self.inner.read(tree, sink), tree.place)

    def schema(self) -> Schema:
        """That of the value."""
        return self.inner.schema()


@dataclass(frozen=True)
class Pairs:
    """A map from text to text; with `typed` its values may be numbers and truths too, and stay such."""

    typed: bool = False

    def read(self, tree: Tree, sink: Sink) -> dict[str, Json]:
        """The pairs."""
        if not isinstance(tree, Map):
            raise sink.report(tree.place, "these are written as `key: value`")
        found: dict[str, Json] = {}
        for key, value in tree.entries.values():
            if not isinstance(value, Scalar):
                raise sink.report(value.place, "a single value belongs here")
            found[key.text] = self._value(value, sink)
        return found

    def _value(self, value: Scalar, sink: Sink) -> Json:
        if self.typed and value.kind == "bool":
            return value.text.lower() == "true"
        if self.typed and value.kind == "int" and len(value.text) < 16:  # noqa: PLR2004  below 2^53
            return int(value.text, 0)
        if value.kind == "null" or (value.kind == "float" and self.typed):
            raise sink.report(value.place, "text, a whole number, or `true` or `false` belongs here")
        try:
            return check_native(value.text, what="value")
        except InvalidInput as error:
            raise sink.report(value.place, error.message, error.hint) from None

    def schema(self) -> Schema:
        """An object."""
        kinds = ["string", "integer", "boolean"] if self.typed else ["string", "number", "boolean"]
        return {"type": "object", "additionalProperties": {"type": kinds}}


class Denial:
    """`true`, or a part of the reason."""

    def read(self, tree: Tree, sink: Sink) -> str:
        """The part; empty for `true`."""
        if isinstance(tree, Scalar) and tree.kind == "bool" and tree.text.lower() == "true":
            return ""
        if isinstance(tree, Scalar) and tree.kind == "text":
            return PROSE.read(tree, sink)
        raise sink.report(tree.place, "this is `true`, or a part of the reason", "write what the person must read")

    def schema(self) -> Schema:
        """Either."""
        return {"anyOf": [{"const": True}, {"type": "string", "minLength": 1}]}


def _moment(text: str) -> Moment:
    match = _APART.fullmatch(text.strip())
    if match is None:
        return Moment(at=parse_time(text))
    if match["now"]:
        return Moment()
    span = parse_duration(match["ago"] or match["ahead"])
    return Moment(after=-span if match["ago"] else span)


def _kind(text: str) -> str:
    if text not in set(PrincipalKind):
        raise InvalidInput(f"`{shown(text)}` is not a kind of principal", hint="write `person`, `service` or `agent`")
    return text


def _entitlement(text: str) -> str:
    split_entitlement(text)
    return text


def _party(text: str) -> str:
    check_name(text.removeprefix("group:"), what="name")
    return text


def _ticket(text: str) -> GivenTicket:
    system, colon, number = text.partition(":")
    if not colon or not system.strip() or not number.strip():
        raise InvalidInput(f"`{shown(text)}` is not a ticket", hint="write it as `jira:OPS-1234`")
    return GivenTicket(ticket=Ticket(system=system.strip(), number=number.strip()))


def _status(text: str) -> TicketStatus:
    if text not in set(TicketStatus):
        names = ", ".join(f"`{one}`" for one in TicketStatus)
        raise InvalidInput(f"`{shown(text)}` is no state of a ticket", hint=f"write one of {names}")
    return TicketStatus(text)


MOMENT = Text(_moment, {"examples": ["2026-03-03T10:00:00Z", "2h ago", "in 30m", "now"]})
ENTITLEMENT = Text(_entitlement, {"pattern": "^[^/ ]+/[^/ ]+$", "examples": ["pg-prod/reader"]})
THING = Text(check_name, NAME_SCHEMA)
PARTY = Text(_party, {"examples": ["bob", "group:dba"]})


def _build_someone(found: Found, _sink: Sink) -> Someone:
    return Someone(
        place=found.place,
        name=found.get("name"),
        kind=found.get("kind", "person"),
        groups=found.get("groups", ()),
        texts={name: found.get(name) for name in _TEXTS if name in found.values},
        links={name: found.get(name) for name in _LINKS if name in found.values},
        active=found.get("active", True),
    )


SOMEONE = Record(
    "a principal",
    (
        Key("name", THING, "What the principal is called.", required=True),
        Key("kind", Text(_kind, {"enum": [str(kind) for kind in PrincipalKind]}), "`person` if left out."),
        Key("groups", Many(THING, MOST_THINGS, or_one=True), "Groups it is in; they need not be listed elsewhere."),
        *(Key(name, PROSE, f"Its {name.replace('_', ' ')}.") for name in _TEXTS),
        *(Key(name, At(THING), f"Its {name.replace('_', ' ')}: another principal.") for name in _LINKS),
        Key("active", Flag(), "`false`: it has left."),
    ),
    _build_someone,
)
SOME_GROUP = Record(
    "a group",
    (
        Key("name", THING, "What the group is called.", required=True),
        Key("members", Many(At(THING), MOST_THINGS, or_one=True), "Principals in it."),
        Key("groups", Many(At(THING), MOST_THINGS, or_one=True), "Groups in it."),
    ),
    lambda found, _: SomeGroup(
        place=found.place,
        name=found.get("name"),
        members=found.get("members", ()),
        groups=found.get("groups", ()),
    ),
)
ROLE = Either[tuple[str, dict[str, Json]]](
    Text(lambda text: (check_name(text, what="role name"), dict[str, Json]()), NAME_SCHEMA),
    Record(
        "a role",
        (
            Key("name", THING, "What the role is called.", required=True),
            Key("tags", Pairs(), "Tags of the entitlement."),
        ),
        lambda found, _: (found.get("name"), found.get("tags", {})),
    ),
)


def _build_resource(found: Found, _sink: Sink) -> SomeResource:
    return SomeResource(
        place=found.place,
        name=found.get("name"),
        connector=found.get("connector", "postgresql"),
        owner=found.get("owner"),
        tags=found.get("tags", {}),
        roles=dict(found.get("roles", ())),
    )


SOME_RESOURCE = Record(
    "a resource",
    (
        Key("name", THING, "What the resource is called.", required=True),
        Key("connector", THING, "Its connector; `postgresql` if left out."),
        Key("owner", At(PARTY), "Who owns it: a principal or `group:NAME`."),
        Key("tags", Pairs(), "Tags of the resource."),
        Key("roles", Many(ROLE, MOST_THINGS), "Its roles: names, or names with tags.", required=True),
    ),
    _build_resource,
)


def _build_entitlement(found: Found, _sink: Sink) -> SomeResource:
    resource, role = split_entitlement(found.get("name"))
    return SomeResource(
        place=found.place,
        name=resource,
        owner=found.get("owner"),
        tags=found.get("tags", {}),
        roles={role: found.get("role_tags", {})},
    )


HERE = Record(
    "an entitlement",
    (
        Key("name", ENTITLEMENT, "What is asked for: `pg-prod/reader`.", required=True),
        Key("owner", At(PARTY), "Who owns the resource."),
        Key("tags", Pairs(), "Tags of the resource."),
        Key("role_tags", Pairs(), "Tags of the entitlement itself."),
    ),
    _build_entitlement,
)
HELD = Record(
    "access that is or was held",
    (
        Key("from", MOMENT, "When it began, e.g. `3h ago`.", required=True),
        Key("to", MOMENT, "When it ended or will end, e.g. `1h ago` or `in 30m`.", required=True),
        Key("entitlement", ENTITLEMENT, "Of what; what is asked for if left out."),
    ),
    lambda found, _: Held(begins=found.get("from"), ends=found.get("to"), entitlement=found.get("entitlement", "")),
)
MADE = Record(
    "a request that was made",
    (
        Key("at", MOMENT, "When, e.g. `20m ago`.", required=True),
        Key("offer", NAME, "The offer it used."),
        Key("automatic", Flag(), "`true`: nobody had to approve it."),
    ),
    lambda found, _: Made(at=found.get("at"), offer=found.get("offer", ""), automatic=found.get("automatic", False)),
)
PAST = OrWord[Past](
    Word("unknown", Past(known=False)),
    Record(
        "what there was before",
        (
            Key("held", Many(HELD, MOST_THINGS), "Access that the beneficiary has or had."),
            Key("requests", Many(MADE, MOST_THINGS), "Requests that the requester made."),
            Key("justifications", Many(PROSE, 100), "The requester's last ones, newest first."),
            Key("pending", Whole(0, 10_000), "How many of the requester's requests wait for a decision."),
            Key("overdue_reviews", Whole(0, 100), "How many reviews of break-glass are overdue."),
        ),
        lambda found, _: Past(
            held=found.get("held", ()),
            requests=found.get("requests", ()),
            justifications=found.get("justifications", ()),
            pending=found.get("pending", 0),
            overdue_reviews=found.get("overdue_reviews", 0),
        ),
    ),
)
TICKET = Either[GivenTicket](
    Text(_ticket, {"pattern": "^.+:.+$", "examples": ["jira:OPS-1234"]}),
    Record(
        "a ticket",
        (
            Key("system", PROSE, "Its system.", required=True),
            Key("number", PROSE, "Its number.", required=True),
            Key("status", Text(_status, {"enum": [str(one) for one in TicketStatus]}), "`open` if left out."),
        ),
        lambda found, _: GivenTicket(
            ticket=Ticket(system=found.get("system"), number=found.get("number")),
            status=found.get("status", TicketStatus.OPEN),
        ),
    ),
)
_WHO: Any = Either[Any](At(THING), SOMEONE)
ASK = Record(
    "a question",
    (
        Key("requester", _WHO, "Who asks: a name, or a principal described here.", required=True),
        Key("beneficiary", _WHO, "Who would hold the access; the requester if left out."),
        Key("entitlement", Either[Any](At(ENTITLEMENT), HERE), "What is asked for.", required=True),
        Key("duration", DURATION, "For how long.", required=True),
        Key("at", MOMENT, "When it is asked; the file's `at` if left out."),
        Key("starts_at", MOMENT, "When the access would begin; at once if left out."),
        Key("justification", PROSE, "Why."),
        Key("ticket", TICKET, "A ticket, open unless said otherwise."),
        Key("break_glass", Flag(), "`true`: this is an emergency."),
        Key("extension", Flag(), "`true`: it extends access that is held."),
        Key("history", PAST, "What there was before; nothing if left out; `unknown`: nobody looked."),
        Key("context", Pairs(typed=True), "What the caller adds."),
    ),
    lambda found, _: Asked(
        requester=found.get("requester"),
        beneficiary=found.get("beneficiary"),
        entitlement=found.get("entitlement"),
        duration=found.get("duration", timedelta(0)),
        at=found.get("at"),
        starts_at=found.get("starts_at"),
        justification=found.get("justification", ""),
        ticket=found.get("ticket"),
        break_glass=found.get("break_glass", False),
        extension=found.get("extension", False),
        past=found.get("history", Past()),
        context=found.get("context", {}),
    ),
)
EXPECTED_STAGE = Record(
    "a stage of approval",
    (
        Key("name", THING, "What the stage is called."),
        Key("quorum", OrWord(Word(ALL, ALL), Whole(1, MOST_VOTES)), "How many persons must say yes, or `all`."),
        Key("from", APPROVERS, "Who may, in any order."),
    ),
    lambda found, _: ExpectedStage(name=found.get("name"), quorum=found.get("quorum"), approvers=found.get("from", ())),
)
_OF_TERMS = (
    "allowed",
    "offer",
    "automatic",
    "break_glass",
    "max_duration",
    "max_total",
    "pending_timeout",
    "approvals",
)


def _build_expected(found: Found, sink: Sink) -> Expected:
    if not found.values:
        raise sink.report(found.place, "nothing is expected", "add `offer: NAME`, or `denied: true`")
    of_terms = next((name for name in _OF_TERMS if name in found.values), None)
    if found.get("allowed") is False:
        raise sink.report(found.place_of("allowed"), "`allowed: false` says less than it could", "use `denied`")
    if "denied" in found.values and of_terms is not None:
        raise sink.report(found.place_of(of_terms), "what is denied has no terms", "leave `denied` or this out")
    for name in ("by", "hint"):
        if name in found.values and "denied" not in found.values:
            raise sink.report(found.place_of(name), f"`{name}` speaks of a denial", "add `denied: true`")
    return Expected(place=found.place, places=found.places, **dict(found.values))


EXPECT = Record(
    "what is expected",
    (
        Key("allowed", Flag(), "`true`: by whatever offer."),
        Key("offer", NAME, "The offer that is chosen."),
        Key("max_duration", DURATION, "The longest grant on these terms."),
        Key("max_total", DURATION, "The longest contiguous time on these terms."),
        Key("approvals", OrWord[Any](Word("none", ()), Many(EXPECTED_STAGE, 20)), "All stages, or `none`."),
        Key("automatic", Flag(), "Whether nobody decides, before or after."),
        Key("break_glass", Flag(), "Whether it is break-glass."),
        Key("pending_timeout", DURATION, "How long it waits for approval."),
        Key("denied", Denial(), "A part of the reason, or `true`."),
        Key("by", Many(NAME, 100, or_one=True), "The rules that stand in the way, all of them."),
        Key("hint", PROSE, "A part of what to try instead."),
    ),
    _build_expected,
)
CASE = Record(
    "a test case",
    (
        Key("name", PROSE, "What is tested, in a sentence.", required=True),
        Key("ask", ASK, "The question.", required=True),
        Key("expect", EXPECT, "What the answer must be.", required=True),
    ),
    lambda found, _: Case(
        name=found.get("name"), place=found.place, asked=found.get("ask"), expected=found.get("expect")
    ),
)


def _absolute(found: Found, sink: Sink) -> Moment | None:
    at: Moment | None = found.get("at")
    if at is not None and at.at is None:
        raise sink.report(found.place_of("at"), "this must be an instant", "write it as `2026-03-03T10:00:00Z`")
    return at


CASE_FILE = Record(
    "a file of test cases",
    (
        Key("version", Whole(1, 1), "Version of the language: 1.", required=True),
        Key("catalog", Many(At(PROSE), 100, or_one=True), "Catalog files, named from where this file is."),
        Key("at", MOMENT, "When the questions are asked; a Wednesday noon (UTC) if left out."),
        Key("principals", Many(SOMEONE, MOST_THINGS), "People, services and agents of these cases."),
        Key("groups", Many(SOME_GROUP, MOST_THINGS), "Groups of these cases."),
        Key("resources", Many(SOME_RESOURCE, MOST_THINGS), "Resources of these cases."),
        Key("cases", Many(CASE, MOST_CASES), "The test cases.", required=True),
    ),
    lambda found, sink: CaseFile(
        file=sink.file,
        catalogs=found.get("catalog", ()),
        at=_absolute(found, sink),
        people=found.get("principals", ()),
        groups=found.get("groups", ()),
        resources=found.get("resources", ()),
        cases=found.get("cases", ()),
    ),
)
