"""Hypothesis strategies for every value of the domain, hostile ones included."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
from datetime import UTC, datetime, timedelta
from functools import cache

from hypothesis import strategies as st

import lapse.domain
from lapse.domain.catalog import Catalog
from lapse.domain.lifecycle import Lifecycle
from lapse.domain.looks import KnownChange, KnownFinding
from lapse.domain.principals import Group, Principal, PrincipalKind
from lapse.domain.proposals import Proposal
from lapse.domain.reviews import Finding

# A day from either end of what Python can say, so that every zone can say it too.
FIRST, LAST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
INSTANTS = st.integers(0, (LAST - FIRST) // timedelta(microseconds=1)).map(
    lambda microseconds: FIRST + timedelta(microseconds=microseconds)
)
LENGTHS = st.timedeltas(min_value=timedelta(days=-1_000_000), max_value=timedelta(days=1_000_000))
HONEST_DURATIONS = st.integers(1, 366 * 86_400).map(lambda seconds: timedelta(seconds=seconds))
NAMES = st.from_regex(r"[a-z0-9]([a-z0-9._@+-]{0,12}[a-z0-9])?", fullmatch=True)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@cache
def domain_values() -> tuple[type, ...]:
    """Every dataclass that a module of the domain defines, but the lifecycles, which are no data."""
    found = []
    for module in pkgutil.iter_modules(lapse.domain.__path__, "lapse.domain."):
        for _, kind in inspect.getmembers(importlib.import_module(module.name), dataclasses.is_dataclass):
            if inspect.isclass(kind) and kind.__module__ == module.name and kind is not Lifecycle:
                found.append(kind)
    return tuple(found)


def any_value(kind: type) -> st.SearchStrategy:
    """Values of `kind`, every field drawn (none left at its default)."""
    st.register_type_strategy(datetime, INSTANTS)
    st.register_type_strategy(timedelta, LENGTHS)
    record = st.dictionaries(st.text(max_size=4), JSON, max_size=3)
    free = {Finding: {"evidence": st.lists(record, max_size=2).map(tuple)}, Proposal: {"effects": record}}
    if kind is KnownFinding:
        free[kind] = {"finding": any_value(Finding)}
    if kind is KnownChange:
        free[kind] = {"before": st.none() | any_value(KnownFinding), "after": any_value(KnownFinding)}
    names = [field.name for field in dataclasses.fields(kind)]
    drawn = dict.fromkeys(names, ...) | free.get(kind, {})
    return st.builds(kind, **drawn)


# A small world in which everything can go wrong: few names, so that links meet, loop and miss.
PEOPLE = ("ann", "bob", "cat", "dan", "eve")
IDENTITIES = ("ann-admin", "bob-old", "cat-admin")
MACHINES = ("bot", "cron", "helper")
GROUPS = ("dba", "leads", "night", "loop")
EVERYONE = PEOPLE + IDENTITIES + MACHINES
NOBODY = ("ghost", "")


def organisations() -> st.SearchStrategy[Catalog]:
    """Catalogs with aliases, agents, services, managers, leavers, nested and circular groups, dangling names."""
    return st.builds(
        lambda principals, groups: Catalog(
            principals={one.name: one for one in principals}, groups={one.name: one for one in groups}
        ),
        st.tuples(*(_principals(name) for name in EVERYONE)),
        st.tuples(*(_groups(name) for name in GROUPS)),
    )


def _principals(name: str) -> st.SearchStrategy[Principal]:
    links = st.sampled_from(EVERYONE + NOBODY + ("",) * 6)
    kinds = st.sampled_from(PrincipalKind) if name in MACHINES + IDENTITIES else st.just(PrincipalKind.PERSON)
    return st.builds(
        Principal,
        name=st.just(name),
        kind=kinds,
        alias_of=links if name in IDENTITIES else st.just(""),
        sponsor=links if name in MACHINES else st.just(""),
        owner=links if name in MACHINES else st.just(""),
        manager=links,
        active=st.sampled_from((True, True, True, False)),
    )


def _groups(name: str) -> st.SearchStrategy[Group]:
    return st.builds(
        Group,
        name=st.just(name),
        members=st.lists(st.sampled_from((*EVERYONE, "ghost")), max_size=4).map(tuple),
        groups=st.lists(st.sampled_from((*GROUPS, "missing")), max_size=2).map(tuple),
    )
