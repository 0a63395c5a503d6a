"""What a command works with: where lapse is, who acts, how to print, and the API, served or in process.

With a server running, calls go to it over HTTP. Without one, the same API runs inside this process on the embedded
store, and after every change it does once what a server does all the time. Imports nothing heavy until it is used.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from lapse import __version__
from lapse.bootstrap.home import Home, find_home
from lapse.domain.errors import (
    Conflict,
    Corrupt,
    InvalidInput,
    LapseError,
    NotFound,
    Refused,
    Unavailable,
)

if TYPE_CHECKING:
    import asyncio

    import httpx

IN_PROCESS = "http://lapse"
WAIT_FOR_LOCK = 30.0
"""Seconds that a command waits for others on the same home, one after the other."""

LONGEST_CALL = 3_600.0
"""Seconds: a step of a review over millions of rows takes minutes."""
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_ERRORS: Mapping[str, type[LapseError]] = {
    **{kind.code: kind for kind in (InvalidInput, NotFound, Refused, Conflict, Unavailable, Corrupt)},
    **dict.fromkeys(("malformed", "too-large", "not-json", "method-not-allowed"), InvalidInput),
    "not-authenticated": Refused,
}


class Embedded(Protocol):
    """The API in this process."""

    @property
    def asgi(self) -> Any:
        """The ASGI application."""
        ...

    async def settle(self) -> None:
        """Enforce and seal what is due now."""
        ...


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What the command line is given by the program's entry: functions that import what they need when called."""

    embedded: Callable[[Home], AbstractAsyncContextManager[Embedded]]
    serve: Callable[[Home, str | None], None]
    gateway: Callable[[Home, int | None, bool], int]
    demo: Callable[[bool], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What every command takes, as it was given; empty is not given."""

    home: str = ""
    url: str = ""
    token: str = ""
    acting: str = ""
    json: bool = False

    def over(self, wider: Options) -> Options:
        """These, and what only the wider ones give."""
        return Options(
            home=self.home or wider.home,
            url=self.url or wider.url,
            token=self.token or wider.token,
            acting=self.acting or wider.acting,
            json=self.json or wider.json,
        )


@dataclass(kw_only=True)
class Session:
    """One run of one command."""

    options: Options
    parts: Parts
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    @property
    def home(self) -> Home:
        """The home folder, whether or not it exists."""
        return find_home(self.options.home or None, self.environment)

    @property
    def json(self) -> bool:
        """Whether to print data instead of sentences."""
        return self.options.json

    @property
    def token(self) -> str:
        """The token that was given, else that of the environment, else that of the home folder."""
        return self.options.token or self.environment.get("LAPSE_TOKEN", "") or self.home.token()

    @property
    def remote(self) -> str:
        """The URL of a server that was named, or an empty string."""
        return (self.options.url or self.environment.get("LAPSE_URL", "")).rstrip("/")

    @contextmanager
    def api(self, *, acting: str | None = None) -> Iterator[Api]:
        """The API, as the caller or (`acting`) as a local user."""
        import asyncio

        who = self.options.acting if acting is None else acting
        with asyncio.Runner() as runner:
            stack = AsyncExitStack()
            api = runner.run(self._connect(stack, who, runner))
            try:
                yield api
            finally:
                runner.run(stack.aclose())

    async def _connect(self, stack: AsyncExitStack, who: str, runner: asyncio.Runner) -> Api:
        import httpx

        from lapse.entrypoints.cli.in_process import in_process

        url = self.remote or running_server(self.home)
        embedded = None
        transport: httpx.AsyncBaseTransport | None = None
        if not url:
            try:
                embedded = await self._embed(stack)
                transport = in_process(embedded.asgi)
            except _ServerCameUp as server:
                url = server.url
        client = httpx.AsyncClient(
            base_url=(url or IN_PROCESS) + "/api/v1",
            headers=self._headers(url, who),
            transport=transport,
            timeout=httpx.Timeout(LONGEST_CALL, connect=5),
            trust_env=not _is_loopback(url),
            # Without TLS there is nothing to verify, and loading the certificates takes longer than the call.
            verify=url.startswith("https:"),
        )
        await stack.enter_async_context(client)
        return Api(client=client, runner=runner, embedded=embedded)

    async def _embed(self, stack: AsyncExitStack) -> Embedded:
        """Work on the store directly; another command that does so is waited for, a server that starts is used."""
        import asyncio

        from lapse.storage.instance_lock import Taken

        self.home.require()
        deadline = time.monotonic() + WAIT_FOR_LOCK
        while True:
            try:
                return await stack.enter_async_context(self.parts.embedded(self.home))
            except Taken:
                url = running_server(self.home)
                if url:
                    raise _ServerCameUp(url) from None
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.05)

    def _headers(self, url: str, who: str) -> dict[str, str]:
        headers = {"User-Agent": f"lapse-cli/{__version__}", "Accept": "application/json"}
        if who:
            return headers | {"Lapse-As": who}
        if self.token and url.startswith("http://") and not _is_loopback(url):
            raise Refused("a token is not sent to another machine without TLS", hint="use an https:// URL")
        return headers | ({"Authorization": f"Bearer {self.token}"} if self.token else {})


class _ServerCameUp(Exception):  # noqa: N818  not an error
    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url


@dataclass(frozen=True, kw_only=True)
class Api:
    """Calls to the API. What it refuses is raised as the error that it was."""

    client: httpx.AsyncClient
    runner: asyncio.Runner
    embedded: Embedded | None

    @property
    def served(self) -> bool:
        """Whether a server answers; without one, nothing happens once this command is over."""
        return self.embedded is None

    def get(self, path: str, **query: Any) -> Any:
        """Read."""
        return self._call("GET", path, query=query)

    def pages(self, path: str, limit: int, **query: Any) -> list[Any]:
        """At most `limit` items of a listing, from as many pages as it takes."""
        items: list[Any] = []
        after: str | None = None
        while len(items) < limit:
            page = self.get(path, limit=min(limit - len(items), 500), after=after, **query)
            items += page["items"]
            after = page["next"]
            if after is None:
                break
        return items

    def post(self, path: str, body: Mapping[str, Any] | None = None, **query: Any) -> Any:
        """Do something."""
        return self._call("POST", path, body=body or {}, query=query)

    def put(self, path: str, body: Mapping[str, Any], **query: Any) -> Any:
        """Replace something."""
        return self._call("PUT", path, body=body, query=query)

    def delete(self, path: str) -> Any:
        """Take something away."""
        return self._call("DELETE", path)

    def download(self, path: str, **query: Any) -> bytes:
        """A file."""
        return self.runner.run(self._send("GET", path, None, query)).content

    def stream(self, path: str, body: Mapping[str, Any], on_line: Callable[[Any], None]) -> None:
        """Do something that answers line by line, each a JSON value that goes to `on_line` when it comes."""
        self.runner.run(self._stream(path, body, on_line))

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        import asyncio

        self.runner.run(asyncio.sleep(seconds))

    def _call(
        self, method: str, path: str, *, body: Mapping[str, Any] | None = None, query: Mapping[str, Any] | None = None
    ) -> Any:
        answer = self.runner.run(self._send(method, path, body, query or {}))
        return json.loads(answer.content) if answer.content else None

    async def _stream(self, path: str, body: Mapping[str, Any], on_line: Callable[[Any], None]) -> None:
        import httpx

        try:
            async with self.client.stream("POST", path, json=body) as answer:
                await _spell_out(answer, on_line)
        except httpx.HTTPError as error:
            raise self._unavailable(error) from None

    def _unavailable(self, error: Exception) -> Unavailable:
        where = f"{self.client.base_url.scheme}://{self.client.base_url.netloc.decode()}"
        reason = str(error) or type(error).__name__
        return Unavailable(f"the server at {where} does not answer: {reason}", hint="is `lapse serve` up?")

    async def _send(
        self, method: str, path: str, body: Mapping[str, Any] | None, query: Mapping[str, Any]
    ) -> httpx.Response:
        import httpx

        parameters = {name: _spelled(value) for name, value in query.items() if value not in (None, "", ())}
        try:
            answer = await self.client.request(method, path, json=body, params=parameters)
        except httpx.HTTPError as error:
            raise self._unavailable(error) from None
        if answer.is_error:
            raise _error_of(answer)
        if self.embedded is not None and method != "GET":
            await self.embedded.settle()
        return answer


async def _spell_out(answer: httpx.Response, on_line: Callable[[Any], None]) -> None:
    if answer.is_error:
        await answer.aread()
        raise _error_of(answer)
    async for line in answer.aiter_lines():
        on_line(json.loads(line))


def running_server(home: Home) -> str:
    """The URL of the server that runs on this home folder, or an empty string."""
    try:
        found = json.loads(home.server_file.read_text(encoding="utf-8"))
        url, pid = str(found["url"]), int(found["pid"])
        os.kill(pid, 0)
    except PermissionError:
        return url
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return url


def quoted(part: str) -> str:
    """A name as one part of a path."""
    from urllib.parse import quote

    return quote(part, safe="")


def _spelled(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return list(value) if isinstance(value, (list, tuple)) else value


def _is_loopback(url: str) -> bool:
    return not url or (urlsplit(url).hostname or "") in _LOOPBACK


def _error_of(answer: httpx.Response) -> LapseError:
    try:
        problem = json.loads(answer.content)
        code, detail = str(problem["code"]), str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        return Unavailable(f"what answers at {answer.url.host} is not lapse (status {answer.status_code})")
    if problem.get("errors"):
        return FileErrors(detail, problem["errors"])
    if code == "internal":
        return LapseError(f"{detail} ({problem.get('instance', 'no id')})", hint="its log has the details")
    return _ERRORS.get(code, LapseError)(detail, hint=str(problem.get("hint", "")))


class FileErrors(InvalidInput):
    """Something is wrong with files; each problem has file, line, column and message."""

    def __init__(self, detail: str, problems: list[Mapping[str, Any]]) -> None:
        super().__init__(detail)
        self.problems = problems
