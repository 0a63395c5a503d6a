"""The table of pages: which handler answers which path, and who may open it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from lapse.domain.actors import Scope
from lapse.entrypoints.web.visits import Handler


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page or action. `public`: without a sign-in. `scopes`: one of them is needed; empty for anybody signed in."""

    method: str
    path: str
    handler: Handler
    public: bool = False
    scopes: frozenset[Scope] = frozenset()


@dataclass(frozen=True)
class Pages:
    """The pages of one module, gathered by its decorators."""

    found: list[Page] = field(default_factory=list)

    def get(self, path: str, *scopes: Scope, public: bool = False) -> Callable[[Handler], Handler]:
        """A page that shows something."""
        return self._add("GET", path, scopes, public=public)

    def post(self, path: str, *scopes: Scope, public: bool = False) -> Callable[[Handler], Handler]:
        """A form that does something."""
        return self._add("POST", path, scopes, public=public)

    def _add(self, method: str, path: str, scopes: tuple[Scope, ...], *, public: bool) -> Callable[[Handler], Handler]:
        def added(handler: Handler) -> Handler:
            one = Page(method=method, path=path, handler=handler, public=public, scopes=frozenset(scopes))
            self.found.append(one)
            return handler

        return added
