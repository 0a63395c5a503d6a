"""Gateway processes: which are there, their numbers, and what becomes of the sessions of one that is gone.

Called by the gateways' control plane and by what runs beside the API.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from lapse.control.context import Control
from lapse.control.sessions import lose_sessions
from lapse.domain.data import Json, to_data
from lapse.domain.errors import InvalidInput, Refused
from lapse.domain.gateways import BEAT_EVERY, LONGEST_SILENCE, LOST_AFTER, MOST_GATEWAYS, GatewayRun
from lapse.domain.sessions import Session
from lapse.ledger.entry import Entry
from lapse.ports import Transaction

ACTOR = "system:gateway"
LONGEST_NAME = 200


async def register_gateway(control: Control, gateway: str, protocols: Sequence[str] = ()) -> int:
    """A process called `gateway` begins: its number, which no other that is up has. Its sessions of before are lost.

    It takes sessions of `protocols`; of all, if none is named.

    Raises:
        InvalidInput: the name cannot be one.
        Refused: there are as many gateways as there may be.
    """
    if not gateway.isprintable() or not 0 < len(gateway) <= LONGEST_NAME:
        raise InvalidInput("a gateway needs a name that can be printed", hint="e.g. `gw-1/0`")

    async def work(tx: Transaction) -> int:
        now = control.now()
        await lose_sessions(tx, [gateway], now)
        runs = await tx.gateway_runs()
        number = next((run.number for run in runs if run.name == gateway), None) or _free_number(runs)
        for run in runs:
            if run.name == gateway:
                await tx.save_gateway_run(run.over(now))
        await _begin(tx, control, gateway, number, tuple(protocols), now)
        return number

    return await control.store.write(work)


async def beat(control: Control, gateway: str) -> bool:
    """The process called `gateway` is there; whether it was all the time.

    After a long silence another run begins, with the same number: in between nobody knows. A process that was never
    registered, or has ended in order, has none.
    """

    async def work(tx: Transaction) -> bool:
        now, run = control.now(), await _latest_run(tx, gateway)
        if run is None:
            return True
        if run.over_at is None and now - run.last_seen <= LONGEST_SILENCE:
            if now - run.last_seen >= BEAT_EVERY / 2:
                await tx.save_gateway_run(run.seen(now))
            return True
        if run.over_at is None:
            await tx.save_gateway_run(run.over(now))
        await _begin(tx, control, gateway, run.number, run.protocols, now)
        return False

    return await control.store.write(work)


async def end_gateway(control: Control, gateway: str) -> None:
    """The process called `gateway` has ended in order."""

    async def work(tx: Transaction) -> None:
        now = control.now()
        for run in await tx.gateway_runs(name=gateway):
            await tx.save_gateway_run(replace(run.over(now), last_seen=now))
            await tx.append([Entry(type="gateway.ended", at=now, actor=ACTOR, subject=gateway)])

    await control.store.write(work)


async def lose_silent_gateways(control: Control) -> list[Session]:
    """Runs that have been silent for too long are over, and their sessions lost; returns those."""
    before = control.now() - LOST_AFTER

    async def work(tx: Transaction) -> list[Session]:
        now, silent = control.now(), [run for run in await tx.gateway_runs() if run.last_seen < before]
        for run in silent:
            await tx.save_gateway_run(run.over(now))
            after = {"last_seen": to_data(run.last_seen)}
            await tx.append([Entry(type="gateway.lost", at=now, actor=ACTOR, subject=run.name, after=after)])
        return await lose_sessions(tx, {run.name for run in silent}, now)

    if not any(run.last_seen < before for run in await control.store.read(lambda reader: reader.gateway_runs())):
        return []
    return await control.store.write(work)


async def _latest_run(tx: Transaction, gateway: str) -> GatewayRun | None:
    """The run that goes on, or the latest if that was taken for over: not if it ended in order."""
    going_on = await tx.gateway_runs(name=gateway)
    if going_on:
        return going_on[-1]
    known = await tx.gateway_runs(name=gateway, open_only=False)
    latest = known[-1] if known else None
    return latest if latest is not None and latest.over_at != latest.last_seen else None


def _free_number(runs: Sequence[GatewayRun]) -> int:
    taken = {run.number for run in runs}
    number = next((n for n in range(1, MOST_GATEWAYS + 1) if n not in taken), None)
    if number is None:
        raise Refused(f"there are {MOST_GATEWAYS} gateways already")
    return number


async def _begin(
    tx: Transaction, control: Control, gateway: str, number: int, protocols: tuple[str, ...], now: datetime
) -> None:
    run = GatewayRun(
        id=control.new_id("gwr"), name=gateway, number=number, first_seen=now, last_seen=now, protocols=protocols
    )
    await tx.add_gateway_run(run)
    after: dict[str, Json] = {"number": number, "run": run.id, "protocols": list(protocols)}
    await tx.append([Entry(type="gateway.began", at=now, actor=ACTOR, subject=gateway, after=after)])
