"""Sets of texts that rules ask about (patterns, beginnings, lengths), and a text that is in some and not in others.

Everything conditions and patterns ask of one text is a row of steps: a character out of some, once or any number of
times. So whether a text can meet several of them at once is decided exactly, and a text that does is found. Called by
`solver`, which lets z3 treat each as a mere yes or no.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

MOST_STATES = 20_000
"""States looked at before a question about texts counts as too hard."""

_SPACES = frozenset(chr(code) for code in range(0x110000) if chr(code).isspace())
_KELVIN = "\u212a"
_ALNUM = "abcdefghijklmnopqrstuvwxyz0123456789"
_NAME_CHARS = _ALNUM + "-._@+"
_TEXT_CHARS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 -._@+/:éøπ"


class TooHard(Exception):  # noqa: N818  it is an outcome: the answer is not known
    """The question about texts takes too many states; the answer is not known."""


@dataclass(frozen=True, slots=True)
class Step:
    """One character out of `chars` (with `other`, out of all but those); with `many` any number of them."""

    chars: frozenset[str]
    other: bool = False
    many: bool = False

    def takes(self, char: str) -> bool:
        """Whether `char` is such a one."""
        return (char in self.chars) != self.other


ANY = Step(frozenset(), other=True)
ANYTHING = Step(frozenset(), other=True, many=True)
_BLANKS = Step(_SPACES, many=True)
_MARK = Step(_SPACES, other=True)


@dataclass(frozen=True, slots=True)
class TextSet:
    """All texts that go along `steps` from beginning to end. Two with the same steps are the same set."""

    steps: tuple[Step, ...]
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash(self.steps))

    def __hash__(self) -> int:
        return self._hash

    def has(self, text: str) -> bool:
        """Whether `text` is in it."""
        return _has(self, text)

    @property
    def start(self) -> int:
        """Where one stands before the first character: a bit for each step that may come next."""
        return _skip(self.steps, 1)

    def after(self, here: int, char: str) -> int:
        """Where one stands after `char`."""
        there, at_end = 0, len(self.steps)
        while here:
            at = (here & -here).bit_length() - 1
            here &= here - 1
            if at < at_end and self.steps[at].takes(char):
                there |= 1 << (at if self.steps[at].many else at + 1)
        return _skip(self.steps, there)

    def accepts(self, here: int) -> bool:
        """Whether the text may end here."""
        return bool(here >> len(self.steps) & 1)

    @property
    def only(self) -> str | None:
        """The one text in it, if it is written out."""
        if all(len(step.chars) == 1 and not step.other and not step.many for step in self.steps):
            return "".join(next(iter(step.chars)) for step in self.steps)
        return None

    @property
    def everything(self) -> bool:
        """Whether it surely has all texts."""
        return bool(self.steps) and all(step == ANYTHING for step in self.steps)


@lru_cache(maxsize=65536)
def _has(texts: TextSet, text: str) -> bool:
    here = texts.start
    for char in text:
        here = texts.after(here, char)
        if not here:
            return False
    return texts.accepts(here)


def _skip(steps: Sequence[Step], here: int) -> int:
    """With the steps that may be left out: any number can be none."""
    todo = here
    while todo:
        at = (todo & -todo).bit_length() - 1
        todo &= todo - 1
        if at < len(steps) and steps[at].many and not here >> (at + 1) & 1:
            here |= 1 << (at + 1)
            todo |= 1 << (at + 1)
    return here


def _literally(text: str) -> tuple[Step, ...]:
    return tuple(Step(frozenset(char)) for char in text)


@lru_cache(maxsize=8192)
def wildcard(pattern: str) -> TextSet:
    """What `pattern` (with `*` and `?`) matches."""
    return TextSet(tuple({"*": ANYTHING, "?": ANY}.get(char) or Step(frozenset(char)) for char in pattern))


@lru_cache(maxsize=8192)
def beginning(text: str) -> TextSet:
    """Texts that start with `text`."""
    return TextSet((*_literally(text), ANYTHING))


@lru_cache(maxsize=8192)
def ending(text: str) -> TextSet:
    """Texts that end with `text`."""
    return TextSet((ANYTHING, *_literally(text)))


@lru_cache(maxsize=8192)
def containing(text: str) -> TextSet:
    """Texts with `text` somewhere in them."""
    return TextSet((ANYTHING, *_literally(text), ANYTHING))


@lru_cache(maxsize=8192)
def exactly(text: str) -> TextSet:
    """`text` alone."""
    return TextSet(_literally(text))


@lru_cache(maxsize=8192)
def at_least_long(count: int) -> TextSet:
    """Texts of at least `count` characters."""
    return TextSet((*[ANY] * count, ANYTHING))


@lru_cache(maxsize=8192)
def at_least_long_stripped(count: int) -> TextSet:
    """Texts that have at least `count` (one or more) characters once blanks around them are gone."""
    if count == 1:
        return TextSet((_BLANKS, _MARK, ANYTHING))
    return TextSet((_BLANKS, _MARK, *[ANY] * (count - 2), ANYTHING, _MARK, _BLANKS))


@lru_cache(maxsize=8192)
def spelled(name: str) -> TextSet:
    """Texts that are `name` once blanks around them and differences of case are gone (`strip`, `lower`)."""
    letters = (Step(frozenset({char, char.upper()} | ({_KELVIN} if char == "k" else set()))) for char in name)
    return TextSet((_BLANKS, *letters, _BLANKS))


@dataclass(frozen=True, slots=True)
class Domain:
    """Which texts there can be at all: `name` for those that `check_name` takes, else any printable line."""

    name: bool

    @property
    def chars(self) -> str:
        """Characters to write examples with, the plainest first."""
        return _NAME_CHARS if self.name else _TEXT_CHARS

    def next(self, state: int, char: str) -> int | None:
        """0 before the first character, 1 where the text may end, 2 where it may not; None if there is no such."""
        if not self.name:
            return 1 if char.isprintable() else None
        if char in _ALNUM:
            return 1
        return 2 if state and char in _NAME_CHARS else None

    def ends(self, state: int) -> bool:
        """Whether the text may end in this state."""
        return state == 1 or (state == 0 and not self.name)


NAMES, TEXTS = Domain(name=True), Domain(name=False)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A text that is in all of `inside` and in none of `outside`, nor one of `avoid`."""

    inside: frozenset[TextSet]
    outside: frozenset[TextSet]
    domain: Domain = TEXTS
    avoid: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Clash:
    """Why there is no such text: these alone cannot be together, unless the text is one of `unless`."""

    inside: frozenset[TextSet]
    outside: frozenset[TextSet]
    unless: frozenset[str]


def find(wanted: Wanted, prefer: Iterable[str] = ()) -> str | Clash:
    """A text as `wanted`, one of `prefer` if it fits; or why there is none. `TooHard` if that takes too long."""
    prefer = tuple(prefer)
    for text in prefer:
        if _fits(text, wanted):
            return text
    used: set[TextSet] = set()
    unless: set[str] = set()
    while True:
        found = _shortest(wanted.inside, [*used, *map(exactly, unless)], wanted.domain)
        if found is None:
            return _smaller(wanted, used, unless)
        broken = next((one for one in wanted.outside if one.has(found)), None)
        if broken is not None:
            used.add(broken)
        elif found in wanted.avoid:
            unless.add(found)
        else:
            return next((text for text in _with_sentences(found, prefer) if _fits(text, wanted)), found)


def _with_sentences(found: str, prefer: Iterable[str]) -> Iterator[str]:
    """What was found with words around it, where words are preferred: so it can say something, too."""
    for text in prefer:
        if " " in text:
            yield from (f"{found} {text}", f"{text} {found}", f"{text}{found}")


def _fits(text: str, wanted: Wanted) -> bool:
    if text in wanted.avoid or not _in_domain(text, wanted.domain):
        return False
    return all(one.has(text) for one in wanted.inside) and not any(one.has(text) for one in wanted.outside)


def _in_domain(text: str, domain: Domain) -> bool:
    state: int | None = 0
    for char in text:
        state = domain.next(state or 0, char)
        if state is None:
            return False
    return domain.ends(state or 0)


def _smaller(wanted: Wanted, used: set[TextSet], unless: set[str]) -> Clash:
    """Two of `inside` that exclude one another say more than all of them."""
    if not used and not unless:
        for one, other in _pairs(sorted(wanted.inside, key=repr)):
            if disjoint(one, other, wanted.domain):
                return Clash(frozenset({one, other}), frozenset(), frozenset())
    return Clash(wanted.inside, frozenset(used), frozenset(unless))


def _pairs(items: Sequence[TextSet]) -> Iterator[tuple[TextSet, TextSet]]:
    for at, one in enumerate(items):
        for other in items[at + 1 :]:
            yield one, other


@lru_cache(maxsize=65536)
def disjoint(one: TextSet, other: TextSet, domain: Domain = TEXTS) -> bool:
    """Whether no text is in both."""
    for here, there in ((one, other), (other, one)):
        text = here.only
        if text is not None:
            return not there.has(text)
    if _differ(one.steps, other.steps) or _differ(one.steps[::-1], other.steps[::-1]):
        return True
    return _shortest({one, other}, (), domain) is None


def _differ(one: Sequence[Step], other: Sequence[Step]) -> bool:
    """Whether the texts differ in their fixed beginning."""
    for left, right in zip(one, other, strict=False):
        if left.many or right.many or left.other or right.other:
            return False
        if not left.chars & right.chars:
            return True
    return False


def _shortest(inside: Iterable[TextSet], outside: Iterable[TextSet], domain: Domain) -> str | None:
    """The first text in order of length that is in all of `inside` and none of `outside`."""
    yes, no = list(inside), list(outside)
    chars = _alphabet([*yes, *no], domain)
    start = (0, *(one.start for one in (*yes, *no)))
    seen, queue = {start}, deque([("", start)])
    while queue:
        text, state = queue.popleft()
        if domain.ends(state[0]) and _accepted(yes, no, state[1:]):
            return text
        for char in chars:
            after = _after(yes, no, state, char, domain)
            if after is not None and after not in seen:
                seen.add(after)
                queue.append((text + char, after))
        if len(seen) > MOST_STATES:
            raise TooHard
    return None


def _accepted(yes: Sequence[TextSet], no: Sequence[TextSet], state: tuple[int, ...]) -> bool:
    return all(one.accepts(at) for one, at in zip(yes, state, strict=False)) and not any(
        one.accepts(at) for one, at in zip(no, state[len(yes) :], strict=True)
    )


def _after(
    yes: Sequence[TextSet], no: Sequence[TextSet], state: tuple[int, ...], char: str, domain: Domain
) -> tuple[int, ...] | None:
    kind = domain.next(state[0], char)
    if kind is None:
        return None
    there = [one.after(at, char) for one, at in zip((*yes, *no), state[1:], strict=True)]
    return (kind, *there) if all(there[: len(yes)]) else None


def _alphabet(sets: Iterable[TextSet], domain: Domain) -> list[str]:
    """Every character that some step tells apart, and a few that none does."""
    told = {char for one in sets for step in one.steps for char in step.chars if len(step.chars) < len(_SPACES)}
    spaces = {" "} if any(step.chars == _SPACES for one in sets for step in one.steps) else set()
    others = [char for char in domain.chars if char not in told][:2]
    return [*others, *sorted(told | spaces)]
