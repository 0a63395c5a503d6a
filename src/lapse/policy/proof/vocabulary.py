"""Texts as the solver sees them: numbers. What is asked of a text (a pattern, a beginning) is a set of numbers.

Texts that are written out have negative numbers, one each; any other number is a text that is none of them. Which
sets can go together the solver learns from `texts`, when it gets it wrong (`solver`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lapse.policy.proof.logic import Formula, Number, boolean, choose, constant, integer, new_context, relation
from lapse.policy.proof.texts import NAMES, TEXTS, Domain, TextSet


@dataclass(frozen=True, eq=False)
class Text:
    """A text: written out (`known`), or unknown with a name of its own. `number` is what the solver knows it by."""

    name: str
    number: Number
    domain: Domain = TEXTS
    known: str | None = None


@dataclass(frozen=True, eq=False)
class Members:
    """A list of texts, of which only matters what is in it. `asked` are the texts it was asked about."""

    name: str
    holds: Any
    asked: dict[str, Text] = field(default_factory=dict)
    _made: dict[str, Formula] = field(default_factory=dict)

    def has(self, text: Text) -> Formula:
        """Whether `text` is in it."""
        if text.name not in self._made:
            self.asked[text.name] = text
            self._made[text.name] = self.holds(text.number)
        return self._made[text.name]


class Vocabulary:
    """All texts and sets of texts of one problem. `asked` has by text what was asked of it."""

    def __init__(self) -> None:
        self.context = new_context()
        self.known: dict[str, Text] = {}
        self.unknown: dict[str, Text] = {}
        self.asked: dict[str, dict[TextSet, Formula]] = {}
        self.compared: set[str] = set()
        self._relations: dict[TextSet, Any] = {}
        self._written: dict[int, str] = {}
        self._booleans: dict[str, Formula] = {}
        self._integers: dict[str, Number] = {}

    def written(self, text: str) -> Text:
        """`text` itself."""
        found = self.known.get(text)
        if found is None:
            number = -1 - len(self.known)
            found = Text(f'"{text}"', constant(number, self.context), known=text)
            self.known[text] = found
            self._written[number] = text
        return found

    def spelling(self, number: int) -> str | None:
        """The text that is written out and has this number."""
        return self._written.get(number)

    def text(self, name: str, domain: Domain = TEXTS) -> Text:
        """The unknown text called `name`."""
        found = self.unknown.get(name)
        if found is None:
            found = self.unknown[name] = Text(name, integer(name, self.context), domain)
        return found

    def either(self, condition: Formula, yes: Text, otherwise: Text) -> Text:
        """One of two texts."""
        number = choose(condition, yes.number, otherwise.number)
        name = f"choice-{number.get_id()}" if not isinstance(condition, bool) else ""
        domain = NAMES if yes.domain is NAMES is otherwise.domain else TEXTS
        return self.unknown.setdefault(name, Text(name, number, domain)) if name else (yes if condition else otherwise)

    def is_in(self, text: Text, texts: TextSet) -> Formula:
        """Whether `text` is one of `texts`."""
        if text.known is not None:
            return texts.has(text.known)
        if texts.everything:
            return True
        if texts.only is not None:
            return self.equal(text, self.written(texts.only))
        asked = self.asked.setdefault(text.name, {})
        if texts not in asked:
            if texts not in self._relations:
                self._relations[texts] = relation(f"set-{len(self._relations)}", self.context)
            asked[texts] = self._relations[texts](text.number)
        return asked[texts]

    def equal(self, one: Text, other: Text) -> Formula:
        """Whether both are the same text."""
        if one.known is not None and other.known is not None:
            return one.known == other.known
        return True if one is other else one.number == other.number

    def compare(self, one: Text, other: Text) -> Formula:
        """As `equal`, where a rule asks it: of two that are both unknown it is kept that they were `compared`."""
        if one.known is None and other.known is None:
            self.compared.update((one.name, other.name))
        return self.equal(one, other)

    def members(self, name: str) -> Members:
        """The unknown list called `name`."""
        return Members(name, relation(name, self.context))

    def boolean(self, name: str) -> Formula:
        """The unknown yes or no called `name`."""
        if name not in self._booleans:
            self._booleans[name] = boolean(name, self.context)
        return self._booleans[name]

    def integer(self, name: str) -> Number:
        """The unknown whole number called `name`."""
        if name not in self._integers:
            self._integers[name] = integer(name, self.context)
        return self._integers[name]
