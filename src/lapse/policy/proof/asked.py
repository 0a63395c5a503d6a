"""A request about which nothing is known yet: every fact of `policy.Ask` as an unknown of the solver.

`AskedModel` hands out the unknowns; `pinned` says that they are those of one ask that is known, which is how the model
is compared with the evaluator. Facts that no formula can be made of (whether a justification is boilerplate, whether
a window is open) are *looks*: a yes or no each, with the function that tells it of a real ask.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lapse.policy.proof.logic import Formula, Number, no, same
from lapse.policy.proof.texts import NAMES, TEXTS
from lapse.policy.proof.vocabulary import Members, Text, Vocabulary
from lapse.policy.rules import Budget
from lapse.policy.values import Ask, PrincipalFacts
from lapse.policy.windows import Window

Look = Callable[[Ask], bool]

MICROSECONDS = 1_000_000
WEEK = 7 * 24 * 3600 * MICROSECONDS
KINDS = ("person", "service", "agent")
LISTS = ("groups", "humans", "human_groups")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAMED = frozenset({"name", "person"})


def seconds(duration: timedelta) -> int:
    """Whole seconds, rounded up."""
    return -(-duration // timedelta(seconds=1))


def microseconds(value: timedelta | datetime) -> int:
    """Microseconds of a duration, or since 1970."""
    return (value - _EPOCH if isinstance(value, datetime) else value) // timedelta(microseconds=1)


def moment(micros: int) -> datetime:
    """The instant so many microseconds after 1970."""
    return _EPOCH + timedelta(microseconds=micros)


class PrincipalModel:
    """A principal of which nothing is known. `plain`: no alias, sponsor or owner leads to anybody else."""

    def __init__(self, words: Vocabulary, role: str) -> None:
        self._words = words
        self.role = role
        self.lists: Mapping[str, Members] = {name: words.members(f"{role}.{name}") for name in LISTS}
        self.plain = words.boolean(f"{role}.plain")
        self.used: set[str] = {"name", "person", "kind"}

    def text(self, attribute: str) -> Text:
        """An attribute that is a text."""
        self.used.add(attribute)
        return self._words.text(f"{self.role}.{attribute}", NAMES if attribute in _NAMED else TEXTS)

    def values(self, facts: PrincipalFacts) -> Iterator[tuple[str, str]]:
        """What its texts are for the principal with these facts, by name."""
        for attribute in sorted(self.used):
            yield f"{self.role}.{attribute}", getattr(facts, attribute)

    def pinned(self, facts: PrincipalFacts, values: Mapping[str, str]) -> Iterator[Formula]:
        """That its lists are those of `facts`; `values` are all texts of the request. `plain` stays open."""
        for name, members in self.lists.items():
            held = set(getattr(facts, name))
            texts = list(members.asked.values())
            whole = held <= {text.known for text in texts if text.known is not None}
            for text in texts:
                value = values.get(text.name) if text.known is None else text.known
                if value is not None:
                    yield same(members.has(text), value in held)
                elif whole:
                    yield no(members.has(text))


class TagsModel:
    """Tags of which nothing is known."""

    def __init__(self, words: Vocabulary, role: str) -> None:
        self._words = words
        self.role = role
        self.keys: set[str] = set()

    def has(self, key: str) -> Formula:
        """Whether there is such a tag."""
        self.keys.add(key)
        return self._words.boolean(f"{self.role}.has({key})")

    def value(self, key: str) -> Text:
        """Its value, if there is one."""
        self.keys.add(key)
        return self._words.text(f"{self.role}[{key}]")

    def values(self, tags: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """The values of these tags, by the names of the texts."""
        for key in sorted(self.keys & tags.keys()):
            yield f"{self.role}[{key}]", tags[key]

    def pinned(self, tags: Mapping[str, str]) -> Iterator[Formula]:
        """That these are the keys."""
        for key in sorted(self.keys):
            yield same(self.has(key), key in tags)


@dataclass(frozen=True)
class Looked:
    """A fact that is a mere yes or no to the solver, and how to tell it of a real ask."""

    holds: Formula
    look: Look


class AskedModel:
    """A request of which nothing is known. Times are microseconds since 1970, `duration` and `total` seconds.

    `begins_at` is from when it is asked for, `held_from` when the access would really begin, which can be later if
    somebody has to agree first. `windows` tells for each whether all of the access is within them,
    `budgets` whether enough of each is left. `phases` are the times of the week that matter.
    """

    def __init__(self) -> None:
        words = self.words = Vocabulary()
        self.requester = PrincipalModel(words, "requester")
        self.beneficiary = PrincipalModel(words, "beneficiary")
        self.resource_tags = TagsModel(words, "resource.tags")
        self.entitlement_tags = TagsModel(words, "entitlement.tags")
        self.duration: Number = words.integer("duration")
        self.total: Number = words.integer("total")
        self.at: Number = words.integer("at")
        self.begins_at: Number = words.integer("begins_at")
        self.held_from: Number = words.integer("held_from")
        self.for_self = words.boolean("for_self")
        self.is_extension = words.boolean("is_extension")
        self.break_glass = words.boolean("break_glass")
        self.answers = self.beneficiary.lists["humans"].has(self.requester.text("person"))
        self.phases: dict[str, Number] = {}
        self._times = {getattr(self, name).get_id(): name for name in ("at", "begins_at", "held_from")}
        self.looks: dict[str, Looked] = {}
        self.windows: dict[tuple[Window, ...], Formula] = {}
        self.budgets: dict[Budget, Formula] = {}
        self._texts: dict[str, Callable[[Ask], str]] = {}
        self.resource("name")
        self.entitlement("role")

    def phase(self, time: Number) -> Number:
        """How far into its week, counted from 1970, one of the three times is."""
        name = self._times[time.get_id()]
        return self.phases.setdefault(name, self.words.integer(f"phase of {name}"))

    def is_time(self, value: Number) -> bool:
        """Whether it is one of the three times, and no sum of them."""
        return not isinstance(value, int) and value.get_id() in self._times

    @property
    def principals(self) -> tuple[PrincipalModel, PrincipalModel]:
        """Who asks and who would hold the access."""
        return self.requester, self.beneficiary

    def resource(self, attribute: str) -> Text:
        """An attribute of the resource."""
        self._texts[f"resource.{attribute}"] = lambda ask: str(getattr(ask.resource, attribute))
        return self.words.text(f"resource.{attribute}", NAMES if attribute == "name" else TEXTS)

    def entitlement(self, attribute: str) -> Text:
        """An attribute of the entitlement other than its name, which is made of the resource's and the role."""
        self._texts[f"entitlement.{attribute}"] = lambda ask: str(getattr(ask.entitlement, attribute))
        return self.words.text(f"entitlement.{attribute}", NAMES if attribute == "role" else TEXTS)

    @property
    def justification(self) -> Text:
        """What the requester says it is for."""
        self._texts["justification"] = lambda ask: ask.justification
        return self.words.text("justification")

    def ticket(self, attribute: str) -> Text:
        """System or number of the ticket, empty without one."""
        self._texts[f"ticket.{attribute}"] = lambda ask: str(getattr(ask.ticket, attribute)) if ask.ticket else ""
        return self.words.text(f"ticket.{attribute}")

    def look(self, name: str, look: Look) -> Formula:
        """The yes or no called `name`, which `look` tells of a real ask."""
        if name not in self.looks:
            self.looks[name] = Looked(self.words.boolean(name), look)
        return self.looks[name].holds

    def values(self, ask: Ask) -> dict[str, str]:
        """What every text that rules look at is in `ask`, by name."""
        return {
            **dict(self.requester.values(ask.requester)),
            **dict(self.beneficiary.values(ask.beneficiary)),
            **dict(self.resource_tags.values(ask.resource.tags)),
            **dict(self.entitlement_tags.values(ask.entitlement.tags)),
            **{name: get(ask) for name, get in self._texts.items()},
        }

    def pinned(self, ask: Ask) -> Iterator[Formula]:
        """That the request is `ask`."""
        values = self.values(ask)
        for name, value in values.items():
            text = self.words.text(name)
            yield self.words.equal(text, self.words.written(value))
            for texts, holds in self.words.asked.get(name, {}).items():
                yield same(holds, texts.has(value))
        yield from self.requester.pinned(ask.requester, values)
        yield from self.beneficiary.pinned(ask.beneficiary, values)
        yield from self.resource_tags.pinned(ask.resource.tags)
        yield from self.entitlement_tags.pinned(ask.entitlement.tags)
        yield self.duration == seconds(ask.duration)
        yield self.total == seconds(ask.total_duration)
        yield self.at == microseconds(ask.at)
        yield self.begins_at == microseconds(ask.begins_at)
        yield self.held_from == self.begins_at
        yield self.for_self == ask.for_self
        yield self.is_extension == ask.is_extension
        yield self.break_glass == ask.break_glass
        for looked in self.looks.values():
            yield same(looked.holds, looked.look(ask))
