"""`lapse serve`: the API over HTTP and everything that runs beside it, in one process, until it is told to end.

It holds the home folder's lock for as long as it lives, and says in `server.json` where it answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol

import uvicorn

from lapse.bootstrap.app import App, open_app
from lapse.bootstrap.gateways.assembly import gateway_beside
from lapse.bootstrap.gateways.settings import parse_address
from lapse.bootstrap.home import Home, read_settings
from lapse.bootstrap.logs import Logger, set_up_logs
from lapse.bootstrap.memory import tune_memory
from lapse.bootstrap.running import running
from lapse.bootstrap.setup import refuse_foreign_ledger
from lapse.bootstrap.threads import tune_threads
from lapse.domain.errors import Unavailable
from lapse.entrypoints.api.app import AsgiApp, OnBug, create_api
from lapse.entrypoints.api.routes import OPERATIONS
from lapse.gateway.process import GatewayProcess
from lapse.storage.instance_lock import acquire

SHUTDOWN_SECONDS = 20
_BESIDE = frozenset(one.path for one in OPERATIONS if not one.path.startswith("/api/"))
"""What the API has outside of its own path: how those who run it ask whether it is well."""


class CreatePages(Protocol):
    """Makes the web pages of an app, as `entrypoints.web.create_web` does."""

    def __call__(self, app: App, *, on_bug: OnBug) -> AsgiApp:
        """Make them."""


def serve(home: Home, listen: str | None = None, *, pages: CreatePages | None = None) -> None:
    """Serve until SIGTERM or SIGINT: the API, and `pages` at every other path.

    Raises:
        Refused: another server runs on this home folder.
        Unavailable: the address is in use, or the store cannot be opened.
    """
    settings = read_settings(home)
    log = set_up_logs(settings.log_level)
    with acquire(home.lock_for(settings)):
        address = parse_address(listen) if listen else settings.address
        with _listening(*address) as listener, contextlib.suppress(KeyboardInterrupt), _loop() as runner:
            runner.run(_serve(home, listener, log, pages))


async def _serve(home: Home, listener: socket.socket, log: Logger, pages: CreatePages | None) -> None:
    def on_trouble(subject: str, text: str) -> None:
        log.warning("trouble", subject=subject, what=text)

    def on_bug(instance: str, error: Exception) -> None:
        log.error("bug", id=instance, exc_info=error)

    async with open_app(home, on_trouble=on_trouble) as opened:
        app = replace(opened, serving=True)
        await refuse_foreign_ledger(app)
        server = _Server(_configuration(_in_front(app, on_bug, pages)))
        url = _url(listener)
        async with running(app, log), gateway_beside(app, log) as gateway:
            with _announced(home, url, app.gateways), _renewals(gateway):
                tune_memory()
                tune_threads()
                log.info("serving", url=url, home=str(home.path), local_users=app.settings.local_users)
                await server.serve(sockets=[listener])
            if gateway is not None:
                _hurry_at_the_next_signal(gateway)
            log.info("ending")
    log.info("ended")


@contextmanager
def _renewals(gateway: GatewayProcess | None) -> Iterator[None]:
    """SIGHUP reads the gateway's certificate again; without a gateway it changes nothing, and ends nothing."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, gateway.renew if gateway is not None else int)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)


def _hurry_at_the_next_signal(gateway: GatewayProcess) -> None:
    """Sessions drain from now on; whoever asks again does not want to wait."""
    for one in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(one, gateway.hurry)


class _Server(uvicorn.Server):
    """Ends in order on SIGTERM and SIGINT, and leaves it to the caller to finish what runs beside it.

    uvicorn's own way raises the signal again as soon as the API has ended, and takes the enforcer down with it.
    """

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop serving at the first signal, and drop what is still open at the second."""
        loop = asyncio.get_running_loop()
        for one in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(one, self.handle_exit, one, None)
        try:
            yield
        finally:
            for one in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(one)


def _in_front(app: App, on_bug: OnBug, pages: CreatePages | None) -> AsgiApp:
    """What is the API's to the API, and everything else to the pages, if there are any."""
    api = create_api(app, on_bug=on_bug)
    if pages is None:
        return api
    web = pages(app, on_bug=on_bug)

    async def front(scope: Any, receive: Any, send: Any) -> None:
        of_api = scope["type"] != "http" or scope["path"].startswith("/api/") or scope["path"] in _BESIDE
        await (api if of_api else web)(scope, receive, send)

    return front


def _configuration(served: AsgiApp) -> uvicorn.Config:
    return uvicorn.Config(
        served,
        loop="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        h11_max_incomplete_event_size=64 << 10,
    )


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    try:
        listener = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=512
        )
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise Unavailable(
            f"cannot listen on {host}:{port}: {reason}", hint="set `listen` in lapse.toml, or use --listen"
        ) from None
    with listener:
        yield listener


@contextmanager
def _announced(home: Home, url: str, gateways: Mapping[str, str]) -> Iterator[None]:
    """Tell commands on this machine where server and gateway are; the file appears whole, and goes with the server."""
    fresh = home.server_file.with_suffix(".new")
    fresh.write_text(json.dumps({"url": url, "pid": os.getpid(), "gateways": dict(gateways)}) + "\n", encoding="utf-8")
    fresh.replace(home.server_file)
    try:
        yield
    finally:
        home.server_file.unlink(missing_ok=True)


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  compared, not bound
    return f"http://[{local}]:{port}" if ":" in local else f"http://{local}:{port}"


def _loop() -> asyncio.Runner:
    try:
        import uvloop
    except ImportError:
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)
