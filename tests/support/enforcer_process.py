"""An enforcer in a process of its own, which can be told to die (SIGKILL) at a named step.

    python -m support.enforcer_process STORE_URL RESOURCE TARGET_DSN [STEP]

Gives alice a grant of `pg/reader` for two seconds if the store has none yet; works until no grant is scheduled, live
or ending any more, and exits with 0.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime, timedelta

from lapse.connectors import connect
from lapse.domain.grants import ENDING, LIVE, Grant, GrantState
from lapse.enforcement.clock import SystemClock
from lapse.enforcement.enforcer import Enforcer
from lapse.enforcement.parts import Parts
from lapse.ports import Page, Transaction
from lapse.storage.opening import open_store

UNFINISHED = LIVE | ENDING | {GrantState.SCHEDULED}


async def give_a_grant(tx: Transaction) -> None:
    if await tx.grants(Page(limit=1)):
        return
    now = datetime.now(UTC)
    grant = Grant(
        id="gra_1",
        request_id="req_1",
        beneficiary="alice",
        entitlement="pg/reader",
        starts_at=now,
        duration=timedelta(seconds=2),
        policy_version="v",
        created_at=now,
    )
    await tx.add_grants([grant])


async def main(store_url: str, resource: str, dsn: str, deadly_step: str = "") -> None:
    store = await open_store(store_url)
    connector = connect("postgresql", resource, dsn)
    await store.write(give_a_grant)

    def on_step(name: str) -> None:
        if name == deadly_step:
            os.kill(os.getpid(), signal.SIGKILL)

    parts = Parts(
        store=store,
        clock=SystemClock(),
        connector=lambda _resource: connector,
        new_id=lambda prefix: f"{prefix}_{os.getpid()}",
        on_step=on_step,
        on_trouble=lambda subject, text: sys.stderr.write(f"{subject}: {text}\n"),
    )
    enforcer, stop = Enforcer(parts), asyncio.Event()
    running = asyncio.create_task(enforcer.run(stop))
    while await store.read(lambda reader: reader.grants(Page(limit=1), states=UNFINISHED)):
        await asyncio.sleep(0.02)
    stop.set()
    await running
    await connector.close()
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
