"""What this is: health, readiness, the OpenAPI document, and the kinds of problems."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lapse import __version__
from lapse.domain.data import Json
from lapse.entrypoints.api.operations import Call, Routes
from lapse.entrypoints.api.problems import KINDS, ProblemError

ROUTES = Routes("about")


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """That the process answers."""

    status: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemKind:
    """What a kind of problem means."""

    code: str
    status: int
    title: str
    meaning: str


@ROUTES.get("/healthz", Health, public=True)
async def healthz(call: Call) -> Health:
    """The process answers."""
    del call
    return Health(status="ok", version=__version__)


@ROUTES.get("/readyz", Health, public=True)
async def readyz(call: Call) -> Health:
    """The store answers too."""
    await call.app.store.read(lambda reader: reader.active_policy())
    return Health(status="ready", version=__version__)


@ROUTES.get("/api/v1/openapi.json", Mapping[str, Json], public=True)
async def openapi(call: Call) -> Mapping[str, Json]:
    """This document."""
    del call
    from lapse.entrypoints.api.openapi import document

    return document()


@ROUTES.get("/api/v1/schemas/{schema}", Mapping[str, Json], public=True)
async def show_schema(call: Call) -> Mapping[str, Json]:
    """The JSON Schema of a kind of file, for editors: `policy.json` or `policy-cases.json`."""
    from lapse.policy.schema import cases_schema, policy_schema

    schemas = {"policy.json": policy_schema, "policy-cases.json": cases_schema}
    found = schemas.get(call.path["schema"])
    if found is None:
        raise ProblemError("not-found", "there is no such schema", hint=f"there are {', '.join(schemas)}")
    return found()


@ROUTES.get("/api/v1/problems/{code}", ProblemKind, public=True)
async def show_problem(call: Call) -> ProblemKind:
    """What a kind of problem means."""
    kind = KINDS.get(call.path["code"])
    if kind is None:
        raise ProblemError("not-found", "there is no such kind of problem")
    return ProblemKind(code=call.path["code"], status=kind.status, title=kind.title, meaning=kind.meaning)
