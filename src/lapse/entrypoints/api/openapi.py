"""The OpenAPI 3.1 document, made from the operations and the types they take and answer.

`docs/openapi.json` is this document; `python -m lapse.entrypoints.api.openapi` prints it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from lapse import __version__
from lapse.entrypoints.api.operations import Download, Lines, Listing, NoQuery, Operation
from lapse.entrypoints.api.problems import KINDS, PROBLEM_JSON

_REF = "#/components/schemas/{name}"
_PARAMETER = re.compile(r"\{(\w+)\}")
_COMMON_PROBLEMS = (
    "malformed",
    "not-authenticated",
    "refused",
    "not-found",
    "conflict",
    "invalid-input",
    "unavailable",
)


@cache
def document() -> dict[str, Any]:
    """The whole document."""
    from lapse.entrypoints.api.routes import OPERATIONS

    types = list(dict.fromkeys(kind for operation in OPERATIONS for kind in _types(operation)))
    schemas, components = msgspec.json.schema_components(types, schema_hook=_schema_of, ref_template=_REF)
    by_type = dict(zip(types, schemas, strict=True))
    return {
        "openapi": "3.1.1",
        "info": _info(),
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": _paths(OPERATIONS, by_type),
        "components": {
            "schemas": components | {"Problem": _problem_schema()},
            "responses": {"Problem": _problem_response("An error")},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "`lapse token create`"}},
        },
    }


def _info() -> dict[str, Any]:
    return {
        "title": "lapse",
        "version": __version__,
        "summary": "Just-in-time access that ends on time, and the security review that proves it did.",
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    }


def _types(operation: Operation) -> Iterator[Any]:
    if operation.body is not None:
        yield operation.body
    if operation.query is not NoQuery:
        yield from get_type_hints(operation.query, include_extras=True).values()
    if operation.answer not in {None, Download, Lines}:
        yield _item_type(operation.answer)


def _item_type(answer: Any) -> Any:
    return get_args(answer)[0] if get_origin(answer) is Listing else answer


def _paths(operations: Sequence[Operation], by_type: dict[Any, Any]) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, by_type)
    return paths


def _operation(operation: Operation, by_type: dict[Any, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.text.partition(". ")[0].rstrip("."),
        "description": operation.text,
        "parameters": [*_path_parameters(operation), *_query_parameters(operation, by_type), *_headers(operation)],
        "responses": _responses(operation, by_type),
    }
    if operation.body is not None:
        content = {"application/json": {"schema": by_type[operation.body]}}
        required = any(field.required for field in msgspec.structs.fields(operation.body))
        described["requestBody"] = {"required": required, "content": content}
    if operation.public:
        described["security"] = []
    return described


def _path_parameters(operation: Operation) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(operation.path)
    ]


def _query_parameters(operation: Operation, by_type: dict[Any, Any]) -> list[dict[str, Any]]:
    if operation.query is NoQuery:
        return []
    hints = get_type_hints(operation.query, include_extras=True)
    return [
        {"name": field.name, "in": "query", "required": field.required, "schema": by_type[hints[field.name]]}
        for field in msgspec.structs.fields(operation.query)
    ]


def _headers(operation: Operation) -> list[dict[str, Any]]:
    if not operation.writes or operation.secret:
        return []
    text = "Any text of up to 200 characters: the same call with the same key is carried out once."
    schema = {"type": "string", "minLength": 1, "maxLength": 200}
    return [{"name": "Idempotency-Key", "in": "header", "required": False, "description": text, "schema": schema}]


def _responses(operation: Operation, by_type: dict[Any, Any]) -> dict[str, Any]:
    answers: dict[str, Any] = {str(operation.status): _success(operation, by_type)}
    if operation.public:
        return answers | {"default": {"$ref": "#/components/responses/Problem"}}
    statuses = sorted({KINDS[code].status for code in _COMMON_PROBLEMS})
    return answers | {
        **{str(status): {"$ref": "#/components/responses/Problem"} for status in statuses},
        "default": {"$ref": "#/components/responses/Problem"},
    }


def _success(operation: Operation, by_type: dict[Any, Any]) -> dict[str, Any]:
    if operation.answer is Download:
        return {"description": "The file", "content": {operation.media_type: {}}}
    if operation.answer is Lines:
        return {"description": "JSON values, one a line", "content": {operation.media_type: {}}}
    schema = by_type[_item_type(operation.answer)] if operation.answer is not None else {"type": "null"}
    if get_origin(operation.answer) is Listing:
        schema = _listing(schema)
    return {"description": "Done", "content": {"application/json": {"schema": schema}}}


def _listing(item: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["items", "next"],
        "properties": {
            "items": {"type": "array", "items": item},
            "next": {"type": ["string", "null"], "description": "`after` of the next page; null on the last"},
        },
    }


def _problem_schema() -> dict[str, Any]:
    text, number = {"type": "string"}, {"type": "integer"}
    return {
        "description": "RFC 9457",
        "type": "object",
        "required": ["type", "title", "status", "detail", "code", "retry"],
        "properties": {
            "type": {"type": "string", "format": "uri-reference"},
            "title": text,
            "status": number,
            "detail": text,
            "code": {"enum": sorted(KINDS)},
            "retry": {"type": "boolean"},
            "hint": text,
            "instance": text,
            "errors": {"type": "array", "items": {"type": "object"}},
        },
    }


def _problem_response(description: str) -> dict[str, Any]:
    schema = {"$ref": _REF.format(name="Problem")}
    return {"description": description, "content": {PROBLEM_JSON: {"schema": schema}}}


def _schema_of(kind: type) -> dict[str, Any]:
    """Types msgspec has no schema for."""
    raise NotImplementedError(kind)


def text() -> str:
    """The document as kept in `docs/openapi.json`."""
    return json.dumps(document(), indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
