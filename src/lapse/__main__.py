"""The program `lapse`: puts the command line together with what it starts. Everything heavy is imported when used."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from lapse.bootstrap.home import Home
from lapse.entrypoints.cli.main import run
from lapse.entrypoints.cli.session import Embedded, Parts


def main() -> None:
    """Run the command that the arguments name; the exit codes are in docs/cli.md."""
    sys.exit(run(sys.argv[1:], Parts(embedded=embedded, serve=serve, gateway=gateway, demo=demo)))


@dataclass(frozen=True)
class _Embedded:
    """The API in this process, on the store of a home folder."""

    app: Any
    asgi: Any

    async def settle(self) -> None:
        """Enforce and seal what is due now."""
        await self.app.settle()


@asynccontextmanager
async def embedded(home: Home) -> AsyncIterator[Embedded]:
    """Open the store, alone, and put the API on it.

    Raises:
        Refused: a server or another command works on the store.
    """
    from lapse.bootstrap.app import open_app
    from lapse.bootstrap.home import read_settings
    from lapse.entrypoints.api.app import create_api
    from lapse.storage.instance_lock import acquire

    def on_trouble(subject: str, text: str) -> None:
        sys.stderr.write(f"lapse: {subject}: {text}\n")

    def on_bug(_instance: str, error: Exception) -> None:
        raise error

    with acquire(home.lock_for(read_settings(home))):
        async with open_app(home, on_trouble=on_trouble) as app:
            yield _Embedded(app, create_api(app, on_bug=on_bug))


def serve(home: Home, listen: str | None) -> None:
    """Run the server."""
    from lapse.entrypoints.api.server import serve as run_server
    from lapse.entrypoints.web import create_web

    run_server(home, listen, pages=create_web)


def gateway(home: Home, workers: int | None, supervised: bool) -> int:
    """Run gateways."""
    from lapse.entrypoints.gateway import run_gateway

    return run_gateway(home, workers, supervised=supervised)


def demo(keep: bool) -> int:
    """Run the demo."""
    from lapse.entrypoints.demo import run_demo

    return run_demo(keep=keep)


if __name__ == "__main__":
    main()
