"""Since when and until when access was held, put together from events that gave and took it.

Guarantee: events in any order give the same periods, in bounded memory: they wait in a temporary file to be put in
order of time. What is held in several ways at once is one period, until the last way is gone. Called by sources of
logs.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple, TypeAlias

MOST_HELD = 500_000
"""Pairs of account and role that are followed at a time."""
_MOST_AT_ONCE = 1_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ITSELF = ""
Pair: TypeAlias = tuple[str, str]
"""Account, role."""


class Period(NamedTuple):
    """`account` held `role` from `since` until `until` (None: still), given `by`.

    `known` is false where nothing shows when it was given: then `since` is as early as anything is known.
    """

    account: str
    role: str
    since: datetime
    until: datetime | None
    by: str
    known: bool = True


class _Change(NamedTuple):
    at: datetime
    act: str
    name: str
    role: str
    by: str
    pairs: list[Pair]


class Changes:
    """Events that gave and took access. Must be closed."""

    def __init__(self, most: int = MOST_HELD) -> None:
        self._most = most
        # An empty name is a file of SQLite's own in the temporary folder, which nobody else sees.
        self._file = sqlite3.connect("", isolation_level=None)
        self._file.execute("PRAGMA synchronous = OFF")
        self._file.execute(
            "CREATE TABLE changes (at INTEGER, act TEXT, name TEXT, role TEXT, given_by TEXT, pairs TEXT)"
        )

    def give(self, at: datetime, account: str, role: str, by: str = "") -> None:
        """`account` was given `role`."""
        self._add(_Change(at, "give", account, role, by, []))

    def take(self, at: datetime, account: str, role: str) -> None:
        """`role` was taken from `account`."""
        self._add(_Change(at, "take", account, role, "", []))

    def drop(self, at: datetime, account: str) -> None:
        """`account` is no more, and so is all that it held."""
        self._add(_Change(at, "drop", account, "", "", []))

    def vanish(self, at: datetime, role: str) -> None:
        """`role` is no more, whoever held it."""
        self._add(_Change(at, "vanish", "", role, "", []))

    def settle(self, at: datetime, account: str, prefix: str, roles: Iterable[str], by: str = "") -> None:
        """Of the roles that begin with `prefix`, `account` has exactly `roles` from now on."""
        self._add(_Change(at, "settle", account, prefix, by, [(account, role) for role in roles]))

    def bind(self, at: datetime, binding: str, pairs: Iterable[Pair], by: str = "") -> None:
        """The object `binding` gives exactly `pairs` from now on."""
        self._add(_Change(at, "bind", binding, "", by, list(pairs)))

    def unbind(self, at: datetime, binding: str, pairs: Iterable[Pair] = (), since: datetime | None = None) -> None:
        """`binding` is no more. What it gave, and since when, counts where nothing before says so."""
        self._add(_Change(at, "unbind", binding, since.isoformat() if since else "", "", list(pairs)))

    def sweep(self, at: datetime, prefix: str) -> None:
        """Every binding whose name begins with `prefix` is no more."""
        self._add(_Change(at, "sweep", prefix, "", "", []))

    def held(self, begin: datetime | None) -> Held:
        """What the changes come to. `begin` is since when anything is known."""
        return Held(self._in_order(), begin, self._most)

    def close(self) -> None:
        """Forget everything."""
        self._file.close()

    def _add(self, change: _Change) -> None:
        row = ((change.at - _EPOCH) // _MICROSECOND, *change[1:5], json.dumps(change.pairs))
        self._file.execute("INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?)", row)

    def _in_order(self) -> Iterator[_Change]:
        for at, act, name, role, by, pairs in self._file.execute("SELECT * FROM changes ORDER BY at, rowid"):
            known = [(account, held) for account, held in json.loads(pairs)]
            yield _Change(_EPOCH + at * _MICROSECOND, act, name, role, by, known)


class _Holding(NamedTuple):
    since: datetime
    by: str
    ways: set[str]


class Held:
    """Who holds what while the changes go by.

    Once `periods` is through, `left_out` counts what was given beyond what can be followed, and `unseen` the bindings
    that went away though nothing shows what they gave.
    """

    def __init__(self, changes: Iterator[_Change], begin: datetime | None, most: int) -> None:
        self.left_out = self.unseen = 0
        self._changes, self._begin, self._most = changes, begin, most
        self._of: dict[str, dict[str, _Holding]] = {}
        self._holders: dict[str, set[str]] = {}
        self._bound: dict[str, set[Pair]] = {}
        self._ended: set[Pair] = set()
        self._size = 0
        self._acts: Mapping[str, Callable[[_Change], Iterator[Period]]] = {
            "give": self._give,
            "take": self._take,
            "drop": self._drop,
            "vanish": self._vanish,
            "settle": self._settle,
            "bind": self._bind,
            "unbind": self._unbind,
            "sweep": self._sweep,
        }

    def periods(self) -> Iterator[Period]:
        """Every period that has ended, in order, and then those that go on."""
        for _, same in groupby(self._changes, key=attrgetter("at")):
            for change in self._sorted(list(same)):
                yield from self._acts[change.act](change)
        for account, roles in self._of.items():
            for role, holding in roles.items():
                yield Period(account, role, holding.since, None, holding.by)

    def _sorted(self, waiting: list[_Change]) -> Iterator[_Change]:
        """Of changes of one moment, first comes the one that makes a difference."""
        while waiting:
            few = len(waiting) <= _MOST_AT_ONCE
            place = next((place for place, one in enumerate(waiting) if self._matters(one)), 0) if few else 0
            yield waiting.pop(place)

    def _matters(self, change: _Change) -> bool:
        holds = change.role in self._of.get(change.name, {})
        return {"give": not holds, "take": holds, "unbind": change.name in self._bound}.get(change.act, True)

    def _give(self, change: _Change) -> Iterator[Period]:
        self._begin_one((change.name, change.role), _ITSELF, change)
        yield from ()

    def _take(self, change: _Change) -> Iterator[Period]:
        pair = (change.name, change.role)
        if change.role in self._of.get(change.name, {}):
            yield from self._end_one(pair, _ITSELF, change.at)
        elif pair not in self._ended:
            self._remember(pair)
            yield Period(*pair, min(self._begin or change.at, change.at), change.at, "", known=False)

    def _drop(self, change: _Change) -> Iterator[Period]:
        for role in list(self._of.get(change.name, {})):
            for way in list(self._of[change.name][role].ways):
                yield from self._end_one((change.name, role), way, change.at)

    def _vanish(self, change: _Change) -> Iterator[Period]:
        for account in sorted(self._holders.get(change.role, ())):
            for way in list(self._of[account][change.role].ways):
                yield from self._end_one((account, change.role), way, change.at)

    def _settle(self, change: _Change) -> Iterator[Period]:
        wanted = {role for _, role in change.pairs}
        for role in [role for role in self._of.get(change.name, {}) if role.startswith(change.role)]:
            if role not in wanted:
                yield from self._end_one((change.name, role), _ITSELF, change.at)
        for role in sorted(wanted):
            self._begin_one((change.name, role), _ITSELF, change)

    def _bind(self, change: _Change) -> Iterator[Period]:
        wanted, before = set(change.pairs), self._bound.get(change.name, set())
        for pair in sorted(before - wanted):
            yield from self._end_one(pair, change.name, change.at)
        self._bound[change.name] = {pair for pair in sorted(wanted) if self._begin_one(pair, change.name, change)}

    def _unbind(self, change: _Change) -> Iterator[Period]:
        if change.name in self._bound:
            for pair in sorted(self._bound.pop(change.name)):
                yield from self._end_one(pair, change.name, change.at)
        elif change.pairs:
            since = datetime.fromisoformat(change.role) if change.role else self._begin or change.at
            for account, role in sorted(set(change.pairs)):
                yield Period(account, role, min(since, change.at), change.at, "", known=bool(change.role))
        else:
            self.unseen += 1

    def _sweep(self, change: _Change) -> Iterator[Period]:
        for name in [name for name in self._bound if name.startswith(change.name)]:
            yield from self._unbind(change._replace(name=name))

    def _begin_one(self, pair: Pair, way: str, change: _Change) -> bool:
        """Whether the holding is followed."""
        account, role = pair
        known = self._of.get(account, {}).get(role)
        if known is not None:
            known.ways.add(way)
            return True
        if self._size >= self._most:
            self.left_out += 1
            return False
        roles = self._of.setdefault(account, {})
        roles[role] = _Holding(change.at, change.by, {way})
        self._holders.setdefault(role, set()).add(account)
        self._size += 1
        return True

    def _end_one(self, pair: Pair, way: str, at: datetime) -> Iterator[Period]:
        account, role = pair
        holding = self._of.get(account, {}).get(role)
        if holding is None:
            return
        holding.ways.discard(way)
        if holding.ways:
            return
        del self._of[account][role]
        if not self._of[account]:
            del self._of[account]
        self._holders[role].discard(account)
        self._size -= 1
        self._remember(pair)
        yield Period(account, role, holding.since, at, holding.by)

    def _remember(self, pair: Pair) -> None:
        if len(self._ended) < self._most:
            self._ended.add(pair)
