"""Work that may compute for minutes, where it holds up no deadline. Called for reviews, replays and proofs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from lapse.bootstrap.app import App, open_app

T = TypeVar("T")


async def apart(app: App, work: Callable[[App], Awaitable[T]]) -> T:
    """Do `work` on `app`; in a server on an app of its own in another thread, with a store and connections of its own.

    What is on record so far is sealed first: the other thread cannot, while a server holds the sequencer's lease.
    """
    if not app.serving:
        await app.sequencer.run_once()
        return await work(app)
    while await app.sequencer.sequence_once():
        pass
    return await asyncio.to_thread(asyncio.run, _elsewhere(app, work))


async def _elsewhere(app: App, work: Callable[[App], Awaitable[T]]) -> T:
    async with open_app(app.home) as own:
        return await work(own)
