"""The API in process on a fake store and a fake target, and a client that holds every answer against the OpenAPI."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from jsonschema import Draft202012Validator

from fakes.connector import FakeConnector
from fakes.store import FakeStore
from lapse.bootstrap.app import App, open_app
from lapse.bootstrap.home import Home, Settings, write_settings
from lapse.control.tokens import issue_token
from lapse.domain.actors import Scope, system_actor
from lapse.entrypoints.api.app import create_api
from lapse.entrypoints.api.openapi import document
from support.clock import HandClock
from support.world import CATALOG, POLICY

BASE = "http://127.0.0.1:7380/api/v1"
SECRET_DSN = "postgresql://lapse:hunter2@db.example.com/app"


class Office:
    """A running API with its parts at hand, and a client for each person."""

    def __init__(self, app: App, target: FakeConnector, clock: HandClock) -> None:
        self.app, self.target, self.clock = app, target, clock
        self.bugs: list[Exception] = []
        self.asgi = create_api(app, on_bug=lambda _id, error: self.bugs.append(error))
        self.tokens: dict[str, str] = {}

    def client(self, who: str = "", *, token: str = "", **options: Any) -> Checked:
        """A client that acts as a local user, or with a token, or as nobody."""
        headers = {"Lapse-As": who} if who else {"Authorization": f"Bearer {token}"} if token else {}
        transport = httpx.ASGITransport(self.asgi, client=options.pop("peer", ("127.0.0.1", 4711)))
        return Checked(transport=transport, base_url=options.pop("base_url", BASE), headers=headers, **options)

    @property
    def admin(self) -> Checked:
        """The administrator's client."""
        return self.client(token=self.tokens["root"])

    async def token(self, who: str, *scopes: Scope, life: timedelta = timedelta(days=1)) -> str:
        """A token of `who`."""
        control = self.app.control
        _, secret = await issue_token(control, system_actor("test"), who, scopes, life=life)
        self.tokens[who] = secret
        return secret

    async def ask(self, who: str = "alice", what: str = "pg-prod/reader", duration: str = "2h") -> dict[str, Any]:
        """A request, as it is answered."""
        body = {"entitlement": what, "duration": duration, "justification": "incident 4711 in billing"}
        return (await self.client(who).post("/requests", json=body)).raise_for_status().json()

    async def approve(self, request_id: str, who: str = "bob") -> dict[str, Any]:
        """A vote, as it is answered."""
        answer = await self.client(who).post(f"/requests/{request_id}/decisions", json={"verdict": "approve"})
        return answer.raise_for_status().json()

    async def active_grant(self) -> dict[str, Any]:
        """A grant of alice's that is active on the target."""
        request = await self.ask()
        await self.approve(request["id"])
        await self.app.settle()
        (grant,) = (await self.client("alice").get("/grants")).json()["items"]
        assert grant["state"] == "active"
        return grant


class Checked(httpx.AsyncClient):
    """Every answer has a status and a body that the OpenAPI document promises."""

    async def request(self, method: str, url: Any, **options: Any) -> httpx.Response:
        answer = await super().request(method, url, **options)
        check_answer(method, answer)
        return answer


def check_answer(method: str, answer: httpx.Response) -> None:
    """Compare an answer with the document."""
    operation = _operation(method, answer.request.url.path)
    if operation is None or answer.status_code == httpx.codes.NOT_MODIFIED:
        return
    promised = operation["responses"].get(str(answer.status_code), operation["responses"]["default"])
    if "$ref" in promised:
        assert answer.headers["content-type"] == "application/problem+json", answer.text
        promised = document()["components"]["responses"]["Problem"]
    ((media_type, content),) = promised["content"].items()
    assert answer.headers["content-type"] == media_type
    if "schema" in content:
        schema = {**content["schema"], "components": document()["components"]}
        Draft202012Validator(schema).validate(json.loads(answer.content))


def _operation(method: str, path: str) -> dict[str, Any] | None:
    for template, methods in document()["paths"].items():
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template))
        if re.fullmatch(pattern, path) and method.lower() in methods:
            return methods[method.lower()]
    return None


@asynccontextmanager
async def open_office(
    folder: Path, *, local_users: bool = True, policy: str = POLICY, integrations: str = ""
) -> AsyncIterator[Office]:
    """An API with a catalog, a policy and a target."""
    home = Home(folder / "home")
    home.path.mkdir(mode=0o700)
    write_settings(home, Settings(local_users=local_users))
    if integrations:
        (home.path / "integrations.yaml").write_text(integrations)
    clock = HandClock()
    target = FakeConnector(clock=clock)
    async with open_app(home, clock=clock, connect=lambda *_: target, store=FakeStore()) as app:
        office = Office(app, target, clock)
        await office.token("root", Scope.ADMIN, Scope.AUDIT)
        await app.store.write(lambda tx: tx.replace_catalog(CATALOG))
        (await office.admin.put("/policy", json={"files": {"policy.yaml": policy}})).raise_for_status()
        (await office.admin.put("/targets/pg-prod", json={"dsn": SECRET_DSN})).raise_for_status()
        yield office
        assert not office.bugs
