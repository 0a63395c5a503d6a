"""A ticket system that answers over HTTP: one GET, and where in the JSON the state stands.

Jira's and GitHub's issue APIs are such mappings; `recipes` has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from lapse.domain.errors import InvalidInput, Unavailable
from lapse.policy.values import TicketStatus
from lapse.tickets.found import NOWHERE, Found, MisunderstoodError
from lapse.tickets.numbers import NumberForm
from lapse.web.answers import decoded, text_at
from lapse.web.client import WebClient
from lapse.web.urls import UrlTemplate

_GONE = frozenset(
    {
        HTTPStatus.NOT_FOUND,
        HTTPStatus.GONE,
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.REQUEST_URI_TOO_LONG,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    }
)
"""No such ticket, or a number that cannot be one: a requester chooses it, so it must not look like an outage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """Where an answer says what: JSON pointers. A ticket is open if its `state` is one of `open_states`.

    `state_name` is how the state is called for people, if that is not `state` itself.
    """

    url: UrlTemplate
    state: str
    open_states: frozenset[str]
    state_name: str = ""
    title: str = ""
    assignee: str = ""
    numbers: NumberForm = NumberForm.TEXT


class HttpSource:
    """Looks tickets up by a `Mapping`."""

    def __init__(self, mapping: Mapping, client: WebClient) -> None:
        self._mapping, self._client = mapping, client

    async def find(self, number: str) -> Found:
        """The ticket; what could be no number there is unknown without a call."""
        mapping = self._mapping
        if not mapping.numbers.fits(number):
            return NOWHERE
        try:
            url = mapping.url.fill(number=number)
        except InvalidInput:
            return NOWHERE
        answer = await self._client.get(url)
        if answer.status in _GONE:
            return NOWHERE
        if answer.status != HTTPStatus.OK:
            raise MisunderstoodError(_meaning(answer.status))
        try:
            return self._read(answer.body)
        except Unavailable as error:
            raise MisunderstoodError(error.message) from None

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    def _read(self, body: bytes) -> Found:
        mapping, value = self._mapping, decoded(body)
        state = text_at(value, mapping.state)
        if not state:
            raise Unavailable(f"its answer says no state at `{mapping.state}`")
        is_open = state.casefold() in mapping.open_states
        return Found(
            status=TicketStatus.OPEN if is_open else TicketStatus.CLOSED,
            state=text_at(value, mapping.state_name) or state,
            title=text_at(value, mapping.title, longest=200),
            assignee=text_at(value, mapping.assignee),
        )


def _meaning(status: int) -> str:
    match status:
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return f"it does not accept our credentials (status {status})"
        case HTTPStatus.TOO_MANY_REQUESTS:
            return "it was asked too often (status 429)"
        case _:
            return f"it answers with status {status}"
