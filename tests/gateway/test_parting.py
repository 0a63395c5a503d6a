"""Sessions that are cut together: their targets are left one by one."""

from __future__ import annotations

from lapse.gateway.parting import HEAD_START, Parting


async def test_a_session_that_is_cut_alone_parts_at_once():
    assert Parting(0.5).turn() == 0.0


async def test_of_many_the_others_part_one_by_one_after_a_head_start():
    parting = Parting(0.5)
    first, second, third = parting.turn(), parting.turn(), parting.turn()
    assert first == 0.0
    assert HEAD_START - 0.1 < second <= HEAD_START
    assert 0.5 - 0.1 < third - second <= 0.5
