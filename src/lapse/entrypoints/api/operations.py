"""One `Operation` for each thing the API does: its path, what it takes, what it answers, and the function behind it.

The routes, the checks of what comes in and the OpenAPI document are all made from these values, so they agree.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from lapse.bootstrap.app import App
from lapse.control.context import Control
from lapse.domain.actors import Actor
from lapse.ports import Page

T = TypeVar("T")
MEBIBYTE = 1 << 20


class Body(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """A JSON body. What is not named in it is refused."""


class Query(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """Query parameters. What is not named in it is refused."""


class Paging(Query, frozen=True, kw_only=True):
    """`limit` rows after the row with id `after`."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50
    after: str | None = None

    def page(self, *, newest_first: bool = True) -> Page:
        """One row more than asked for, to see whether there are more."""
        return Page(limit=self.limit + 1, after=self.after or None, newest_first=newest_first)


class NoQuery(Query, frozen=True, kw_only=True):
    """No query parameters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call: who acts, on what, with what. `control` is what use cases are given."""

    app: App
    control: Control
    actor: Actor
    path: Mapping[str, str]
    query: Any
    body: Any


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """A page of a listing; `next` is the `after` of the next page, None on the last."""

    items: Sequence[T]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Download:
    """An answer that is a file."""

    content: bytes
    media_type: str
    filename: str


@dataclass(frozen=True, slots=True)
class Lines:
    """An answer that comes as JSON values, one a line, while it is being worked out (application/x-ndjson)."""

    items: AsyncIterator[Any]


def page_of(rows: Sequence[T], paging: Paging) -> Listing[T]:
    """The rows that were asked for, and where the next page begins."""
    shown = rows[: paging.limit]
    return Listing(shown, str(getattr(shown[-1], "id")) if len(rows) > len(shown) else None)  # noqa: B009  any row has an id


Handler = Callable[[Call], Awaitable[Any]]


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method on one path. `secret` answers are never kept, neither by caches nor for idempotency."""

    method: str
    path: str
    handler: Handler
    tag: str
    answer: Any
    body: type[Body] | None = None
    query: type[Query] = NoQuery
    status: int = 200
    public: bool = False
    secret: bool = False
    limit: int = MEBIBYTE
    media_type: str = "application/json"

    @property
    def name(self) -> str:
        """The operation's id: the handler's name."""
        return self.handler.__name__

    @property
    def text(self) -> str:
        """What it does: the handler's docstring."""
        return " ".join((self.handler.__doc__ or "").split())

    @property
    def writes(self) -> bool:
        """Whether it changes anything."""
        return self.method != "GET"


@dataclass
class Routes:
    """Collects the operations of one part of the API."""

    tag: str
    operations: list[Operation] = field(default_factory=list)

    def get(self, path: str, answer: Any, **more: Any) -> Callable[[Handler], Handler]:
        """Register a reading operation."""
        return self._register("GET", path, answer, more)

    def post(self, path: str, answer: Any, **more: Any) -> Callable[[Handler], Handler]:
        """Register an operation that does something."""
        return self._register("POST", path, answer, more)

    def put(self, path: str, answer: Any, **more: Any) -> Callable[[Handler], Handler]:
        """Register an operation that replaces something."""
        return self._register("PUT", path, answer, more)

    def delete(self, path: str, answer: Any, **more: Any) -> Callable[[Handler], Handler]:
        """Register an operation that takes something away."""
        return self._register("DELETE", path, answer, more)

    def _register(self, method: str, path: str, answer: Any, more: Mapping[str, Any]) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            self.operations.append(
                Operation(method=method, path=path, handler=handler, tag=self.tag, answer=answer, **more)
            )
            return handler

        return register
