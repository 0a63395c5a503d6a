"""Find a request for which a formula is true, or know that there is none.

z3 takes what is asked of texts (and of calendars) for mere yes and no. When its answer cannot be, because no text is
like that, it is told why (a lemma, true for ever) and asked again. So an answer that comes out is exact: the texts it
needs exist, and if there is none, there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import z3

from lapse.policy.proof.asked import AskedModel
from lapse.policy.proof.logic import Formula, Number, all_of, any_of, both, implies, no
from lapse.policy.proof.texts import NAMES, TEXTS, Clash, TextSet, TooHard, Wanted, find
from lapse.policy.proof.vocabulary import Text, Vocabulary

Clock = Callable[[], float]
Theory = Callable[["Found"], Iterable[Formula]]
"""Lemmas that what was found does not respect; none if it can be."""

MOST_ROUNDS = 2_000
"""Lemmas after which a question counts as too hard."""

_FEW_ROUNDS = 10
_ALONE = ("resource.", "entitlement.", "justification", "ticket.")
"""Texts that nothing is compared with but where a rule does: that two of them are the same means nothing."""

_MOST_MILLISECONDS = 2**31 - 1


class OutOfTime(Exception):  # noqa: N818  it is an outcome: the answer is not known
    """The time for an answer is over."""


@dataclass
class Found:
    """A request as asked for: what every text is, and what every formula comes to.

    `proposals` are what a theory would rather have.
    """

    model: Any
    texts: dict[str, str] = field(default_factory=dict)
    proposals: list[Formula] = field(default_factory=list)

    def true(self, formula: Formula) -> bool:
        """Whether `formula` is true of it."""
        return formula if isinstance(formula, bool) else z3.is_true(self.model.eval(formula, model_completion=True))

    def number(self, value: Number) -> int:
        """What `value` is."""
        return value if isinstance(value, int) else self.model.eval(value, model_completion=True).as_long()

    def text(self, text: Text) -> str:
        """What `text` is."""
        return text.known if text.known is not None else self.texts[text.name]


class Solver:
    """Answers questions about one `AskedModel`. `background` is what is true of all of them.

    `clock` counts seconds; questions are not looked at beyond `until` on it.
    """

    def __init__(
        self,
        asked: AskedModel,
        background: Iterable[Formula],
        *,
        clock: Clock,
        theories: Sequence[Theory] = (),
        prefer: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._words = asked.words
        self._solver = z3.Solver(ctx=asked.words.context)
        self._clock = clock
        self._theories = theories
        self._prefer = prefer or {}
        self.until = float("inf")
        self.rounds = 0
        self.add(background)

    def add(self, formulas: Iterable[Formula]) -> None:
        """What is true of all requests from now on."""
        self._solver.add([self._term(formula) for formula in formulas if formula is not True])

    def find(self, wanted: Iterable[Formula], rather: Sequence[Formula] = ()) -> Found | None:
        """A request for which all of `wanted` is true, and as many of `rather`, in order, as can be; None if none.

        Raises:
            OutOfTime: there was not time enough to know.
            TooHard: what is asked of texts is.
        """
        asserted = [self._term(formula) for formula in wanted if formula is not True]
        found = self._look(asserted)
        if found is None:
            return None
        for formula in rather:
            more = [*asserted, self._term(formula)]
            better = found if found.true(formula) else self._try(more)
            if better is not None:
                asserted, found = more, better
        return found

    def _try(self, asserted: list[Any]) -> Found | None:
        try:
            return self._look(asserted, _FEW_ROUNDS)
        except (OutOfTime, TooHard):
            return None

    def _look(self, asserted: list[Any], rounds: int = MOST_ROUNDS) -> Found | None:
        learned: list[Formula] = []
        self._solver.push()
        try:
            self._solver.add(asserted)
            for _ in range(rounds):
                model = self._model()
                if model is None:
                    return None
                found = Found(model)
                lemmas = self._lemmas(found)
                if not lemmas:
                    return found
                proposed = self._proposed(found, learned)
                if proposed is not None:
                    return proposed
                self.rounds += 1
                learned += lemmas
                self._solver.add([self._term(lemma) for lemma in lemmas])
            raise TooHard
        finally:
            self._solver.pop()
            self.add(learned)

    def _lemmas(self, found: Found) -> list[Formula]:
        return [*self._texts(found)] or [lemma for theory in self._theories for lemma in theory(found)]

    def _proposed(self, found: Found, learned: list[Formula]) -> Found | None:
        """What a theory proposes instead, if it can be."""
        for proposal in found.proposals:
            self._solver.push()
            try:
                self._solver.add(self._term(proposal))
                for _ in range(_FEW_ROUNDS):
                    model = self._model()
                    if model is None:
                        break
                    better = Found(model)
                    lemmas = self._lemmas(better)
                    if not lemmas:
                        return better
                    learned += lemmas
                    self._solver.add([self._term(lemma) for lemma in lemmas])
            finally:
                self._solver.pop()
        return None

    def _model(self) -> Any:
        left = self.until - self._clock()
        if left <= 0:
            raise OutOfTime
        self._solver.set("timeout", max(1, int(min(left * 1000, _MOST_MILLISECONDS))))
        answer = self._solver.check()
        if answer == z3.unknown:
            raise OutOfTime
        return self._solver.model() if answer == z3.sat else None

    def _term(self, formula: Formula) -> Any:
        return z3.BoolVal(formula, self._words.context) if isinstance(formula, bool) else formula

    def _texts(self, found: Found) -> Iterator[Formula]:
        """Give every text a spelling; or say why the sets it should be in cannot go together."""
        same: dict[tuple[int, str], list[Text]] = {}
        for name, text in self._words.unknown.items():
            alone = name.startswith(_ALONE) and name not in self._words.compared
            same.setdefault((found.number(text.number), name if alone else ""), []).append(text)
        for (number, _), texts in same.items():
            spelling = self._words.spelling(number)
            if spelling is not None:
                yield from self._written(found, texts, spelling)
                found.texts.update({text.name: spelling for text in texts})
                continue
            spelled = self._spelled(found, texts)
            if isinstance(spelled, Clash):
                yield _lemma(self._words, texts, spelled)
            else:
                found.texts.update({text.name: spelled for text in texts})

    def _written(self, found: Found, texts: Sequence[Text], spelling: str) -> Iterator[Formula]:
        """What holds of a text that is written out."""
        written = self._words.written(spelling)
        for text in texts:
            for one, holds in self._words.asked.get(text.name, {}).items():
                if found.true(holds) != one.has(spelling):
                    yield implies(self._words.equal(text, written), holds if one.has(spelling) else no(holds))

    def _spelled(self, found: Found, texts: Sequence[Text]) -> str | Clash:
        asked = [pair for text in texts for pair in self._words.asked.get(text.name, {}).items()]
        inside = frozenset(one for one, holds in asked if found.true(holds))
        outside = frozenset(one for one, holds in asked if one not in inside)
        domain = NAMES if any(text.domain is NAMES for text in texts) else TEXTS
        written = frozenset(self._words.known)
        prefer = [word for text in texts for word in self._prefer.get(text.name, ())]
        spelled = find(Wanted(inside, outside, domain, written), prefer)
        taken = frozenset(found.texts.values())
        if isinstance(spelled, str) and spelled in taken:
            spelled = find(Wanted(inside, outside, domain, written | taken), prefer)
        return spelled


def _lemma(words: Vocabulary, texts: Sequence[Text], clash: Clash) -> Formula:
    """These sets do not go together, for a text that is none of those written out."""
    parts: list[Formula] = []
    involved: dict[str, Text] = {}
    for texts_in, negated in ((clash.inside, False), (clash.outside, True)):
        for one in texts_in:
            text, holds = _asked(words, texts, one)
            involved[text.name] = text
            parts.append(no(holds) if negated else holds)
    named = next((text for text in texts if text.domain is NAMES), None)
    involved.update({named.name: named} if named else {})
    first, *others = involved.values() or texts
    parts += [words.equal(first, other) for other in others]
    unless = any_of(words.equal(first, words.written(word)) for word in clash.unless)
    return implies(both(*parts), unless)


def _asked(words: Vocabulary, texts: Sequence[Text], one: TextSet) -> tuple[Text, Formula]:
    for text in texts:
        if one in words.asked.get(text.name, {}):
            return text, words.asked[text.name][one]
    raise KeyError(one)  # pragma: no cover  the sets come from these texts


__all__ = ["Clock", "Found", "OutOfTime", "Solver", "Theory", "all_of"]
