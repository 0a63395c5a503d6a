"""The API as an ASGI application: every operation of `routes`, wrapped in the same steps.

One call: who acts, what it brings, has it been answered before, the use case, the answer. Every error on the way
becomes a problem; what nobody expected is logged under an id, and the caller sees only that id.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from lapse.bootstrap.app import App
from lapse.domain.actors import Actor
from lapse.domain.errors import LapseError
from lapse.entrypoints.api.acting import acting
from lapse.entrypoints.api.answering import answer, encoded, json_response, kept_response, problem_response
from lapse.entrypoints.api.idempotency import ClaimingStore, Keyed, Replies, keyed
from lapse.entrypoints.api.operations import Call, Operation
from lapse.entrypoints.api.problems import Problem, problem_of
from lapse.entrypoints.api.reading import read_body, read_bytes, read_path, read_query
from lapse.entrypoints.api.routes import OPERATIONS

PREFIX = "/api/v1"
NOBODY = Actor(name="nobody")

OnBug = Callable[[str, Exception], None]


def create_api(app: App, *, on_bug: OnBug = lambda _id, _error: None) -> Starlette:
    """The ASGI application of `app`. `on_bug` is told errors that nobody expected, with the id the caller saw."""
    replies = Replies(app)
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in OPERATIONS:
        by_path.setdefault(operation.path, {})[operation.method] = operation
    routes = [
        Route(path, _Endpoint(app, methods, replies, on_bug), methods=list(methods))
        for path, methods in by_path.items()
    ]
    return Starlette(routes=routes, exception_handlers={HTTPException: _http_problem})


@dataclass(frozen=True)
class _Endpoint:
    """All operations on one path, as an ASGI application."""

    app: App
    operations: Mapping[str, Operation]
    replies: Replies
    on_bug: OnBug

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        operation = self.operations["GET" if request.method == "HEAD" else request.method]
        response = await self._guarded(request, operation)
        await response(scope, receive, send)

    async def _guarded(self, request: Request, operation: Operation) -> Response:
        try:
            return await self._answered(request, operation)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as error:  # noqa: BLE001  a caller must never see a traceback
            problem = problem_of(error)
            if problem is None:
                instance = f"urn:lapse:bug:{secrets.token_hex(6)}"
                self.on_bug(instance, error)
                problem = Problem(code="internal", detail="something went wrong inside lapse", instance=instance)
            return problem_response(problem)

    async def _answered(self, request: Request, operation: Operation) -> Response:
        actor = NOBODY if operation.public else await acting(self.app, request)
        raw = await read_bytes(request, operation.limit)
        call = Call(
            app=self.app,
            control=self.app.control,
            actor=actor,
            path=read_path(request),
            query=read_query(request, operation.query),
            body=read_body(request, raw, operation),
        )
        key = keyed(request, actor, raw) if operation.writes and not operation.secret else None
        if key is None:
            return answer(request, operation, await operation.handler(call))
        return await self._once(key, operation, call)

    async def _once(self, key: Keyed, operation: Operation, call: Call) -> Response:
        async with self.replies.alone(key):
            earlier = await self.replies.find(key)
            if earlier is not None:
                return kept_response(earlier.status, bytes(earlier.body))
            store = ClaimingStore(self.app.store, self.app.clock, key)
            try:
                value = await operation.handler(replace(call, control=replace(call.control, store=store)))
            except LapseError as error:
                problem = problem_of(error)
                if store.claimed and problem is not None:
                    await self.replies.keep(key, problem.status, problem.body())
                raise
            body = encoded(value)
            await self.replies.keep(key, operation.status, body)
            return json_response(body, operation.status, {"Cache-Control": "no-store"})


async def _http_problem(request: Request, error: Exception) -> Response:
    """What the router itself refuses: unknown paths and methods."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    code = {404: "not-found", 405: "method-not-allowed", 400: "malformed"}.get(status, "internal")
    detail = {
        "not-found": "there is nothing at this path",
        "method-not-allowed": f"{request.method[:20]} is not possible here",
    }.get(code, "the call could not be read")
    hint = f"{PREFIX}/openapi.json lists what there is"
    return problem_response(Problem(code=code, detail=detail, hint=hint, headers=headers))


AsgiApp = Callable[[Any, Any, Any], Awaitable[None]]
