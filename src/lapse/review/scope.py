"""Step 1, scope: which resources and which period a review is about.

Called by every stage and by the edges that read a scope from a person. Periods are half-open: `start` belongs
to the period, `end` is the first instant after it, both UTC.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from lapse.domain.catalog import Catalog
from lapse.domain.data import Json
from lapse.domain.errors import InvalidInput
from lapse.domain.names import check_name, shown
from lapse.domain.resources import Resource
from lapse.policy.problems import nearest

_YEAR = re.compile(r"(\d{4})", re.ASCII)
_QUARTER = re.compile(r"(\d{4})-[Qq]([1-4])", re.ASCII)
_MONTH = re.compile(r"(\d{4})-(\d\d)", re.ASCII)
_AND = " and "
_DAYS = re.compile(r"(\d{4}-\d\d-\d\d)\.\.(\d{4}-\d\d-\d\d)", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """The time under review: `start` <= t < `end`; `text` is how the person wrote it."""

    text: str
    start: datetime
    end: datetime

    def contains(self, at: datetime) -> bool:
        """Whether `at` is inside."""
        return self.start <= at < self.end


def parse_period(text: str) -> Period:
    """Read `2026`, `2026-Q3`, `2026-07` or `2026-07-01..2026-09-30` (both days included).

    Raises:
        InvalidInput: none of these, no such date, or an end before its start.
    """
    clean = text.strip() if len(text) <= 40 else ""  # noqa: PLR2004  longer than any period
    try:
        start, end = _bounds(clean)
    except (ValueError, OverflowError):
        raise _not_a_period(text) from None
    if end <= start:
        raise InvalidInput(f"the period `{shown(text)}` ends before it starts", hint="swap the two days")
    return Period(text=clean, start=start, end=end)


def _bounds(text: str) -> tuple[datetime, datetime]:
    if match := _YEAR.fullmatch(text):
        return _month(int(match[1]), 1), _month(int(match[1]) + 1, 1)
    if match := _QUARTER.fullmatch(text):
        year, first = int(match[1]), 3 * int(match[2]) - 2
        return _month(year, first), _month(year, first + 3)
    if match := _MONTH.fullmatch(text):
        year, month = int(match[1]), int(match[2])
        return _month(year, month), _month(year, month + 1)
    if match := _DAYS.fullmatch(text):
        return _day(match[1]), _day(match[2]) + timedelta(days=1)
    raise ValueError(text)


def _month(year: int, month: int) -> datetime:
    """The first instant of a month; month 13 is January of the next year, other overflows are errors."""
    carry = month == 13  # noqa: PLR2004  the month after December
    return datetime(year + carry, 1 if carry else month, 1, tzinfo=UTC)


def _day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _not_a_period(text: str) -> InvalidInput:
    return InvalidInput(
        f"`{shown(text)}` is not a period",
        hint="write it as `2026`, `2026-Q3`, `2026-07` or `2026-07-01..2026-09-30`",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewScope:
    """What one review covers. `selector` is `all`, or terms joined by ` and ` that must all hold.

    A term is `resource:NAME,…`, `tag:KEY=VALUE` or `principal:NAME,group:NAME,…`; the last limits items and findings to
    what these people hold.

    `thresholds` overrides detector parameters: `{"L6": {"tolerance_seconds": 60}}`; what is not named there
    keeps the detector's default. `frameworks` limits the clauses shown, none means all.
    """

    selector: str
    period: Period
    review_id: str = ""
    frameworks: tuple[str, ...] = ()
    thresholds: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)

    def covers(self, resource: Resource) -> bool:
        """Whether `resource` is in scope."""
        return all(_covers(term, resource) for term in self.selector.split(_AND))

    @property
    def people(self) -> tuple[tuple[str, ...], ...]:
        """For each term about people the parties it names; the people in scope are in one of each."""
        terms = (term.partition(":")[::2] for term in self.selector.split(_AND))
        return tuple(tuple(rest.split(",")) for kind, rest in terms if kind == "principal")

    def resources_of(self, catalog: Catalog) -> tuple[str, ...]:
        """Names of the resources in scope, sorted.

        Raises:
            InvalidInput: the catalog has none; a review of nothing would look like a clean one.
        """
        names = tuple(sorted(r.name for r in catalog.resources.values() if self.covers(r)))
        if not names:
            raise InvalidInput(
                f"no resource is in scope `{shown(self.selector)}`",
                hint=_nearest_term(self.selector, catalog)
                or "`lapse target list` shows the resources, `all` covers every one",
            )
        return names

    def check_people(self, catalog: Catalog) -> None:
        """See that the people it names are there: a review of nobody would look like a clean one.

        Raises:
            InvalidInput: one of them is neither a principal nor a group.
        """
        known = {*catalog.principals, *(f"group:{name}" for name in catalog.groups)}
        for party in (party for term in self.people for party in term):
            if party not in known:
                raise InvalidInput(
                    f"`{shown(party)}` in the scope is nobody in the catalog",
                    hint=_close(party, known) or "`lapse catalog show` lists who is there",
                )

    def check_begun(self, now: datetime) -> None:
        """See that there is something to look back at.

        Raises:
            InvalidInput: the period has not begun.
        """
        if self.period.start >= now:
            raise InvalidInput(
                f"the period `{shown(self.period.text)}` has not begun",
                hint="a review looks back: name one that has, such as last quarter",
            )


def parse_scope(
    selector: str,
    period: str,
    *,
    review_id: str = "",
    frameworks: Iterable[str] = (),
    thresholds: Mapping[str, Mapping[str, Json]] | None = None,
) -> ReviewScope:
    """The scope a person wrote, e.g. `tag:env=prod` and `2026-Q3`.

    Raises:
        InvalidInput: the selector or the period cannot be read.
    """
    return ReviewScope(
        selector=_checked_selector(selector.strip()),
        period=parse_period(period),
        review_id=review_id,
        frameworks=tuple(frameworks),
        thresholds=thresholds or {},
    )


def _nearest_term(selector: str, catalog: Catalog) -> str:
    """What one of the terms was meant to be, if that can be guessed."""
    tags = {f"{key}={value}" for resource in catalog.resources.values() for key, value in resource.tags.items()}
    for term in selector.split(_AND):
        kind, _, rest = term.partition(":")
        known = {"resource": set(catalog.resources), "tag": tags}.get(kind, set())
        for name in rest.split(","):
            if known and name not in known and (close := _close(name, known)):
                return close
    return ""


def _close(name: str, known: Iterable[str]) -> str:
    hint = nearest(name, known)
    return hint if hint.startswith("did you mean") else ""


def _covers(term: str, resource: Resource) -> bool:
    kind, _, rest = term.partition(":")
    if kind in {"all", "principal"}:
        return True
    if kind == "resource":
        return resource.name in rest.split(",")
    key, _, value = rest.partition("=")
    return resource.tags.get(key) == value


def _checked_selector(text: str) -> str:
    terms = [term.strip() for term in text.split(_AND)]
    for term in terms:
        _check_term(term, alone=len(terms) == 1)
    return _AND.join(terms)


def _check_term(term: str, *, alone: bool) -> None:
    kind, colon, rest = term.partition(":")
    if term == "all" and alone:
        return
    if kind == "resource" and colon:
        for name in rest.split(","):
            check_name(name, what="resource name")
        return
    if kind == "principal" and colon:
        for party in rest.split(","):
            check_name(party.removeprefix("group:"), what="name of a principal")
        return
    key, equals, value = rest.partition("=")
    if kind == "tag" and key and equals and value and len(term) <= 256:  # noqa: PLR2004  two names
        return
    raise InvalidInput(
        f"`{shown(term)}` is not a scope",
        hint="write `all`, or `resource:NAME`, `tag:KEY=VALUE` and `principal:NAME` joined by ` and `",
    )
