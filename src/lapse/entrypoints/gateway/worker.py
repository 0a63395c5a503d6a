"""One gateway process: SIGTERM and SIGINT drain it (a second one cuts what is left), SIGHUP renews its certificate.

One that is supervised says `ready` on standard output, and drains too when its standard input ends: when the process
that looks after it is gone.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from lapse.bootstrap.app import App, open_app
from lapse.bootstrap.gateways.assembly import gateway_of
from lapse.bootstrap.home import Home, Settings
from lapse.bootstrap.logs import Logger, set_up_logs
from lapse.bootstrap.memory import tune_memory
from lapse.bootstrap.threads import tune_threads
from lapse.domain.errors import LapseError
from lapse.gateway.process import GatewayProcess

REFRESH_SECONDS = 2.0
READY = "ready"


def work(home: Home, settings: Settings, *, supervised: bool = False) -> None:
    """Run until told to end, then drain."""
    log = set_up_logs(settings.log_level)
    with _loop() as runner:
        runner.run(_work(home, log, supervised=supervised))


async def _work(home: Home, log: Logger, *, supervised: bool) -> None:
    async with open_app(home) as app:
        refreshing = asyncio.create_task(_keep_targets(app, log))
        try:
            async with gateway_of(app, log) as process:
                with _told_to_end(process, supervised=supervised) as told:
                    tune_memory()
                    tune_threads()
                    if supervised:
                        sys.stdout.write(f"{READY}\n")
                        sys.stdout.flush()
                    await told.wait()
                _hurry_at_the_next_signal(process)
                log.info("ending", gateway=process.context.door.gateway)
        finally:
            refreshing.cancel()
            with suppress(asyncio.CancelledError):
                await refreshing
    log.info("ended")


@contextmanager
def _told_to_end(process: GatewayProcess, *, supervised: bool) -> Iterator[asyncio.Event]:
    """Set when it must end."""
    told, loop = asyncio.Event(), asyncio.get_running_loop()
    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, told.set)
    loop.add_signal_handler(signal.SIGHUP, process.renew)
    if supervised:
        loop.add_reader(sys.stdin.fileno(), _look_at_input, told)
    try:
        yield told
    finally:
        if supervised:
            loop.remove_reader(sys.stdin.fileno())


def _look_at_input(told: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 1_024):
        told.set()
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())


def _hurry_at_the_next_signal(process: GatewayProcess) -> None:
    for one in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(one, process.hurry)


async def _keep_targets(app: App, log: Logger) -> None:
    """Know the targets as they are set up now, in whatever process."""
    while True:
        await asyncio.sleep(REFRESH_SECONDS)
        try:
            await app.targets.refresh(app.store)
        except LapseError as error:
            log.warning("targets not read", reason=error.message)


def _loop() -> asyncio.Runner:
    try:
        import uvloop
    except ImportError:
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)
