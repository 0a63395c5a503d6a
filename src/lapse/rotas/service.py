"""A rota that a web service knows: one GET, and where in the JSON those on call stand.

The URL may hold `{at}` (the instant, RFC 3339) if the service can be asked about other times than now.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus

from lapse.domain.errors import Unavailable
from lapse.domain.times import format_time
from lapse.ports import Clock
from lapse.web.answers import MISSING, decoded, text_at
from lapse.web.answers import at as value_at
from lapse.web.client import WebClient
from lapse.web.urls import UrlTemplate

MOST_PEOPLE = 200
NOW_IS = timedelta(minutes=2)
"""An instant this near is `now` to a service that knows no other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """`people` points to a list; in each element each of `names` points to a name or address (`""`: it is one)."""

    url: UrlTemplate
    people: str = ""
    names: tuple[str, ...] = ("",)


class Service:
    """Asks at every call: what is remembered, and for how long, is up to `book`."""

    def __init__(self, asking: Asking, client: WebClient, clock: Clock) -> None:
        self._asking, self._client, self._clock = asking, client, clock

    async def on_call(self, at: datetime) -> list[tuple[str, ...]]:
        """Whom the service names."""
        asking = self._asking
        if "at" not in asking.url.names and abs(at - self._clock.now()) > NOW_IS:
            raise Unavailable("this rota only knows who is on call now", hint="give its URL an `{at}`")
        answer = await self._client.get(asking.url.fill(at=format_time(at)))
        if answer.status != HTTPStatus.OK:
            raise Unavailable(f"the rota's server answers with status {answer.status}")
        return self._read(answer.body)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    def _read(self, body: bytes) -> list[tuple[str, ...]]:
        found = value_at(decoded(body), self._asking.people)
        if found is MISSING or not isinstance(found, list):
            raise Unavailable(f"its answer has no list at `{self._asking.people}`")
        if len(found) > MOST_PEOPLE:
            raise Unavailable(f"it names more than {MOST_PEOPLE} persons")
        return [self._names(one) for one in found]

    def _names(self, one: object) -> tuple[str, ...]:
        """What one element says of a person; an element that says nothing makes the whole answer doubtful."""
        pointers = self._asking.names
        names = [str(one) if not pointer and isinstance(one, str) else text_at(one, pointer) for pointer in pointers]
        known = tuple(name for name in names if name)
        if not known:
            raise Unavailable(f"its answer names nobody at `{', '.join(pointers)}`")
        return known
