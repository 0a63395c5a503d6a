"""Reads what a call brings: query and JSON body, bounded and typed; unknown fields are refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_origin, get_type_hints
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import Request

from lapse.domain.errors import InvalidInput
from lapse.domain.names import is_printable, shown
from lapse.entrypoints.api.operations import Body, Operation, Query
from lapse.entrypoints.api.problems import ProblemError

LONGEST_QUERY = 8_192
LONGEST_PART = 300


def read_path(request: Request) -> Mapping[str, str]:
    """The variable parts of the path; `NotFound` for what could be no name."""
    for value in request.path_params.values():
        if len(value) > LONGEST_PART or not is_printable(value):
            raise ProblemError("not-found", f"there is nothing called `{shown(value)}`")
    return request.path_params


def read_query(request: Request, kind: type[Query]) -> Query:
    """The query parameters as `kind`."""
    raw = request.scope["query_string"]
    if len(raw) > LONGEST_QUERY:
        raise ProblemError("malformed", "the query is too long")
    hints = get_type_hints(kind)
    found: dict[str, Any] = {}
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError:
        raise ProblemError("malformed", "the query is not percent-encoded UTF-8") from None
    for name, value in pairs:
        many = get_origin(hints.get(name)) is tuple
        if name in found and not many:
            raise InvalidInput(f"the query names `{shown(name)}` twice")
        found[name] = (*found.get(name, ()), value) if many else value
    try:
        return msgspec.convert(found, kind, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"the query is not right: {_sentence(error)}") from None


async def read_bytes(request: Request, limit: int) -> bytes:
    """The body, refused as soon as it is longer than `limit` bytes."""
    declared = request.headers.get("content-length", "0")
    if declared.isascii() and declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        chunks.append(chunk)
    return b"".join(chunks)


def read_body(request: Request, raw: bytes, operation: Operation) -> Body | None:
    """The body as the operation's type; None where it takes none."""
    if operation.body is None:
        if raw.strip() not in {b"", b"{}"}:
            raise InvalidInput("this call takes no body")
        return None
    media_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise ProblemError("not-json", f"`{shown(media_type)}` is not accepted", hint="send application/json")
    try:
        return msgspec.json.decode(raw or b"{}", type=operation.body)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"the body is not right: {_sentence(error)}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProblemError("malformed", f"the body is not JSON: {_sentence(error)}") from None


def _sentence(error: Exception) -> str:
    """The decoder's message in our words: what is wrong, and with which member."""
    said = shown(str(error).replace("Object ", "it ").replace("'", "`"), longest=200)
    what, _, where = said.partition(" - at `$")
    member = where.rstrip("`").lstrip(".")
    text = f"`{member}` {what[:1].lower()}{what[1:]}" if member else f"{what[:1].lower()}{what[1:]}"
    return text.replace("` expected", "`: expected").replace("` invalid", "`: invalid").replace("` it", "`: it")


def _too_large(limit: int) -> ProblemError:
    return ProblemError("too-large", f"the body is larger than {limit:,} bytes", headers={"Connection": "close"})
