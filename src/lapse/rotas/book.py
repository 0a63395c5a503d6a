"""`ports.Rotas` over all configured rotas: asks the right one, maps names to principals, remembers the answer shortly.

An answer about now is kept for `keep_for` and no longer: for that long somebody whose shift is over may still decide.
Names are matched exactly: by the rota's own list, else as a principal's name, a mail address, or a full name that only
one person has. Whoever is not found is nobody; a rota that is not reached is nobody at all.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lapse.domain.catalog import Catalog
from lapse.domain.errors import NotFound, Unavailable
from lapse.domain.names import shown
from lapse.ports import Clock
from lapse.rotas.sources import Source

MOST_KEPT = 200
KEEP_FOR = timedelta(seconds=30)
TRY_AGAIN = timedelta(seconds=5)
_STEP = timedelta(seconds=30)


@dataclass(frozen=True, kw_only=True)
class Rota:
    """One rota: where it is, what names in it mean (`people`), and what stands before a name in a title."""

    source: Source
    people: Mapping[str, str] = field(default_factory=dict)
    prefix: str = ""
    keep_for: timedelta = KEEP_FOR


@dataclass(frozen=True, slots=True)
class OnCall:
    """`principals` on call, and names in the rota that nobody has."""

    principals: frozenset[str]
    unknown: tuple[str, ...] = ()


class Book:
    """All rotas. `broken` are those that cannot be used, and why; `trouble` is why it is not known which there are."""

    def __init__(
        self,
        rotas: Mapping[str, Rota],
        clock: Clock,
        catalog: Callable[[], Awaitable[Catalog]],
        broken: Mapping[str, str] | None = None,
        trouble: str = "",
    ) -> None:
        self._rotas, self._clock, self._catalog = dict(rotas), clock, catalog
        self._broken, self._trouble = dict(broken or {}), trouble
        self._kept: OrderedDict[tuple[str, datetime], tuple[OnCall, datetime]] = OrderedDict()
        self._failed: dict[tuple[str, datetime], tuple[Unavailable, datetime]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """All rotas that are configured."""
        return tuple(sorted({*self._rotas, *self._broken}))

    async def on_call(self, rota: str, at: datetime) -> frozenset[str]:
        """The principals on call at `at`; nobody in a gap. Raises `NotFound`, `Unavailable`."""
        return (await self.look(rota, at)).principals

    async def look(self, rota: str, at: datetime) -> OnCall:
        """As `on_call`, with the names that nobody has."""
        key, now = (rota, _step(at)), self._clock.now()
        kept = self._kept.get(key)
        if kept is not None and now < kept[1]:
            return kept[0]
        failed = self._failed.get(key)
        if failed is not None and now < failed[1]:
            raise failed[0]
        return await self._asked(key, rota, at)

    async def _asked(self, key: tuple[str, datetime], rota: str, at: datetime) -> OnCall:
        """Ask and remember; a failure for seconds only, so that many who decide do not each wait for it."""
        now = self._clock.now()
        try:
            found = await self.ask_now(rota, at)
        except Unavailable as error:
            self._failed.pop(key, None)
            self._failed[key] = error, self._clock.now() + TRY_AGAIN
            while len(self._failed) > MOST_KEPT:
                self._failed.pop(next(iter(self._failed)))
            raise
        self._kept[key] = found, now + self._rotas[rota].keep_for
        self._kept.move_to_end(key)
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return found

    async def ask_now(self, rota: str, at: datetime) -> OnCall:
        """As `look`, whatever is remembered."""
        one = self._rotas.get(rota)
        if one is None:
            raise self._missing(rota)
        try:
            people = await one.source.on_call(at)
        except Unavailable as error:
            raise Unavailable(f"the rota `{rota}` cannot be read: {error.message}", hint=error.hint) from None
        return _mapped(people, one, await self._catalog())

    async def refresh(self) -> None:
        """Ask every rota about now and soon, so that who decides need not wait; what fails is asked again then."""
        await asyncio.gather(*(self._ahead(name) for name in self._rotas))

    async def _ahead(self, name: str) -> None:
        now = self._clock.now()
        with suppress(Unavailable):
            for at in (now, now + _STEP):
                await self._asked((name, _step(at)), name, at)

    async def close(self) -> None:
        """Close what the sources hold open."""
        for rota in self._rotas.values():
            await rota.source.close()

    def _missing(self, rota: str) -> NotFound | Unavailable:
        if why := self._broken.get(rota, self._trouble):
            return Unavailable(f"the rota `{shown(rota)}` cannot be used: {why}")
        known = ", ".join(f"`{name}`" for name in self.names)
        hint = f"known are {known}" if known else "add it to `integrations.yaml`"
        return NotFound(f"there is no rota `{shown(rota)}`", hint=hint)


def _step(at: datetime) -> datetime:
    """`at`, rounded down: questions of the same half minute are one."""
    return at - timedelta(seconds=at.timestamp() % _STEP.total_seconds())


def _mapped(people: Iterable[tuple[str, ...]], rota: Rota, catalog: Catalog) -> OnCall:
    by_mail, by_full_name = _index(catalog)
    principals, unknown = set[str](), list[str]()
    for names in people:
        principal = None
        for name in names:
            bare = name.removeprefix(rota.prefix).strip() if rota.prefix else name
            principal = principal or _principal(bare, rota, catalog, (by_mail, by_full_name))
        if principal is None:
            unknown.append(shown(names[0]))
        else:
            principals.add(principal)
    return OnCall(frozenset(principals), tuple(dict.fromkeys(unknown)))


def _principal(name: str, rota: Rota, catalog: Catalog, indexes: tuple[Mapping[str, str], ...]) -> str | None:
    if name in rota.people:
        return rota.people[name]
    if name in catalog.principals:
        return name
    folded = name.casefold()
    return next((index[folded] for index in indexes if folded in index), None)


def _index(catalog: Catalog) -> tuple[dict[str, str], dict[str, str]]:
    """Principals by mail address and by full name; what two different humans have is nobody's."""
    by_mail, by_full_name = dict[str, set[str]](), dict[str, set[str]]()
    for name, principal in catalog.principals.items():
        for index, key in ((by_mail, principal.email), (by_full_name, principal.display_name)):
            if key:
                index.setdefault(key.casefold(), set()).add(catalog.person_of(name) or name)
    return _unique(by_mail), _unique(by_full_name)


def _unique(index: Mapping[str, set[str]]) -> dict[str, str]:
    return {key: next(iter(names)) for key, names in index.items() if len(names) == 1}
