"""The fake's faults are what they say: other rooms' tests rely on them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from fakes.connector import FakeConnector, Fault
from lapse.domain.access import Applied, Assignment, Failed, Removed
from lapse.domain.errors import Unavailable

ENDS = datetime(2030, 1, 1, tzinfo=UTC)
ALICE = Assignment(grant_id="g1", account="alice", native={"role": "reader"}, ends_at=ENDS)
BOB = Assignment(grant_id="g2", account="bob", native={"role": "reader"}, ends_at=ENDS)


@pytest.mark.parametrize(
    ("fault", "happened", "maybe"),
    [
        (Fault.UNREACHABLE, False, True),
        (Fault.NONSENSE, False, True),
        (Fault.NOT_APPLIED, False, False),
        (Fault.APPLIED, True, True),
    ],
)
async def test_a_fault_hits_once_and_the_next_call_works(fault, happened, maybe):
    fake = FakeConnector()
    fake.inject(fault, on="apply")
    (failed,) = await fake.apply([ALICE])
    assert isinstance(failed, Failed)
    assert (fake.holds("alice", "reader"), failed.maybe_applied) == (happened, maybe)
    assert isinstance((await fake.apply([ALICE]))[0], Applied)
    fake.inject(fault, on="remove")
    (failed,) = await fake.remove([ALICE])
    assert (fake.holds("alice", "reader"), failed.maybe_applied) == (not happened, True)
    assert isinstance((await fake.remove([ALICE]))[0], Removed)


async def test_a_fault_may_hit_one_grant_of_many_and_last_until_healed():
    fake = FakeConnector()
    fake.inject(Fault.UNREACHABLE, on="apply", times=None, grants=["g1"])
    for _ in range(2):
        assert [type(o) for o in await fake.apply([ALICE, BOB])] == [Failed, Applied]
    fake.heal()
    assert isinstance((await fake.apply([ALICE]))[0], Applied)
    assert fake.calls == [("apply", ("g1", "g2"))] * 2 + [("apply", ("g1",))]


async def test_a_slow_call_waits_until_it_is_released():
    fake = FakeConnector()
    fake.inject(Fault.SLOW, on="observe")
    reading = asyncio.create_task(fake.observe())
    await asyncio.sleep(0)
    assert not reading.done()
    fake.release()
    assert (await reading).complete
    fake.inject(Fault.UNREACHABLE)
    with pytest.raises(Unavailable):
        await fake.look([ALICE])
