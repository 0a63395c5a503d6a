"""Answers: a use case's value as JSON, with the headers that keep it safe; errors as problems."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from lapse.domain.data import to_data
from lapse.entrypoints.api.operations import Download, Lines, Listing, Operation
from lapse.entrypoints.api.problems import PROBLEM_JSON, Problem

SAFE_HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def encoded(value: Any) -> bytes:
    """A domain value as JSON bytes."""
    return msgspec.json.encode(to_data(value))


def answer(request: Request, operation: Operation, value: Any) -> Response:
    """The answer to a call that went well."""
    if isinstance(value, Download):
        headers = {"Content-Disposition": f'attachment; filename="{value.filename}"', "Cache-Control": "no-store"}
        return Response(value.content, media_type=value.media_type, headers={**SAFE_HEADERS, **headers})
    if isinstance(value, Lines):
        headers = {**SAFE_HEADERS, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(_lines(value), operation.status, headers, operation.media_type)
    body = encoded(value)
    if operation.writes or operation.secret:
        return json_response(body, operation.status, {"Cache-Control": "no-store"})
    if isinstance(value, Listing):
        return json_response(body, headers={"Cache-Control": "no-store", **_next_link(request, value)})
    return _with_etag(request, body)


async def _lines(value: Lines) -> AsyncIterator[bytes]:
    async for item in value.items:
        yield encoded(item) + b"\n"


def json_response(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON with the safe headers."""
    return Response(body, status, {**SAFE_HEADERS, **(headers or {})}, "application/json")


def kept_response(status: int, body: bytes) -> Response:
    """The answer that the same call got before."""
    headers = {**SAFE_HEADERS, "Cache-Control": "no-store", "Idempotency-Replayed": "true"}
    return Response(body, status, headers, PROBLEM_JSON if status >= HTTPStatus.BAD_REQUEST else "application/json")


def problem_response(problem: Problem) -> Response:
    """A problem with the safe headers."""
    headers = {**SAFE_HEADERS, "Cache-Control": "no-store", **problem.headers}
    if problem.retry:
        headers["Retry-After"] = "1"
    return Response(problem.body(), problem.status, headers, PROBLEM_JSON)


def _with_etag(request: Request, body: bytes) -> Response:
    """A strong validator over what is sent (RFC 9110, section 8.8.3), so that polling is cheap."""
    tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    known = {part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")}
    if known & {tag, "*"}:
        return Response(status_code=304, headers={**SAFE_HEADERS, **headers})
    return json_response(body, headers=headers)


def _next_link(request: Request, listing: Listing[Any]) -> dict[str, str]:
    """The next page as a link (RFC 8288)."""
    if listing.next is None:
        return {}
    kept = [(name, value) for name, value in request.query_params.multi_items() if name != "after"]
    query = urlencode([*kept, ("after", listing.next)])
    return {"Link": f'<{request.url.path}?{query}>; rel="next"'}
