"""Items: what is one question, which are made up, what an auditor draws."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.domain.errors import InvalidInput
from lapse.domain.reviews import ItemDecision, ItemVote, Line, Reviewers, Usage
from lapse.review.items.canaries import attention, canaries, disguised
from lapse.review.items.grouping import grouped
from lapse.review.items.holdings import INHERITED, Holding
from lapse.review.items.sampling import sample
from support.reviews import KEEP, REVOKE, an_item

AT = datetime(2026, 10, 1, tzinfo=UTC)
ASKED = (Reviewers(line=Line.OWNER, persons=("olga",)),)


def held(item, **facts):
    return Holding(
        holding=item.holding, resource=item.resource, account=item.account, role=item.role, principal=item.principal,
        window_from=AT, window_to=AT, covered=False, **facts,
    )  # fmt: skip


def groups(*pairs):
    items, holdings = [item for item, _ in pairs], [held(item, **facts) for item, facts in pairs]
    return [one.group for one in grouped(items, holdings, [()] * len(items))]


def test_the_same_held_alike_on_resources_alike_is_one_question():
    one = an_item("a", resource="pg-1")
    two = replace(one, id="itm_b", resource="pg-2")
    alike = {"owner": "olga", "tags": "env=prod"}
    first, second = groups((one, alike), (two, alike))
    assert first == second != ""


@pytest.mark.parametrize(
    ("change", "facts"),
    [
        ({"role": "other"}, {}), ({"usage": Usage.USED}, {}), ({"recommendation": KEEP}, {}),
        ({"holding": "grant"}, {}), ({"principal": "eve"}, {}), ({}, {"owner": "ben"}), ({}, {"tags": "env=test"}),
    ],
)  # fmt: skip
def test_whatever_matters_makes_it_another_question(change, facts):
    one = an_item("a")
    alike = {"owner": "olga", "tags": "env=prod"}
    assert groups((one, alike), (replace(one, id="itm_b", **change), alike | facts)) == ["", ""]


def test_what_is_held_through_one_role_is_one_question():
    one = an_item("a", holding=INHERITED, role="x")
    two = replace(one, id="itm_b", role="y", recommendation=KEEP)
    other = replace(one, id="itm_c", role="z")
    first, second, third = groups((one, {"via": ("app",)}), (two, {"via": ("app", "base")}), (other, {"via": ("ops",)}))
    assert first == second != ""
    assert third == ""


def made(number, seed=1):
    items = [replace(an_item(f"i{n}"), asked=ASKED) for n in range(4)]
    return canaries(items, {"dave"}, number, seed, AT)


def test_canaries_are_like_real_items_of_people_who_are_not_there():
    found = made(4)
    assert all(item.canary and item.asked == ASKED and item.resource == "pg-prod" for item in found)
    assert len({item.account for item in found} | {"dave"}) == 5
    assert [item.recommendation for item in found] == [REVOKE, KEEP, REVOKE, KEEP]
    assert found == made(4)
    assert [item.id for item in found] != [item.id for item in made(4, seed=2)]
    assert canaries([], set(), 3, 1, AT) == []


@pytest.mark.parametrize(
    ("coverage", "usage"),
    [("complete, 2026-07-01 to 2026-10-01", Usage.UNUSED), ("not complete, 2026-07-01 to 2026-10-01", Usage.UNKNOWN)],
)
def test_of_a_canary_is_known_what_is_known_of_others(coverage, usage):
    found = canaries([replace(an_item("a"), asked=ASKED, usage_coverage=coverage)], set(), 2, 1, AT)
    assert {(one.usage, one.since) for one in found} == {(usage, None)}


def test_a_canary_looks_carried_out_like_any_other_before_the_seal():
    taken = made(1)[0].voted(ItemVote(decision=REVOKE, by="olga", at=AT), 1)
    seen = disguised(taken)
    assert (seen.canary, seen.carried_out_at) == (False, AT)
    assert seen.outcome == f"catalog: `{taken.account}` is no member of `app_writer`, direct or nested"
    power = disguised(replace(taken, role="(superuser)"))
    assert (power.carried_out_at, power.outcome[:20]) == (None, "not managed by lapse")
    assert disguised(made(1)[0]).outcome == ""


def test_attention_is_how_many_were_caught():
    def said(item, decision, **more):
        return item.voted(ItemVote(decision=decision, by="olga", at=AT, **more), 1)

    one, two, three, four = made(4)
    found = attention([said(one, REVOKE), said(two, KEEP), said(three, KEEP, by_default=True), four, an_item("real")])
    assert (found.planted, found.caught, found.missed, found.undecided) == (4, 1, 1, 2)
    assert found.missed_by == ("olga",)


@given(st.integers(1, 12), st.text(min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_a_sample_depends_on_the_seed_alone(size, seed, chance):
    items = [an_item(f"i{n}") for n in range(9)]
    shuffled = items[:]
    chance.shuffle(shuffled)
    drawn = sample(shuffled, size, seed)
    assert drawn == sample(items, size, seed)
    assert len(drawn) == min(size, 9)
    assert sample(items, min(size + 1, 9), seed)[: len(drawn)] == drawn


@pytest.mark.parametrize(("size", "seed"), [(0, "x"), (3, "")])
def test_a_sample_needs_a_size_and_a_seed(size, seed):
    with pytest.raises(InvalidInput):
        sample([], size, seed)


def test_a_vote_of_an_earlier_stage_decides_nothing_yet():
    item = replace(an_item("a"), asked=ASKED * 2)
    first = item.voted(ItemVote(decision=KEEP, by="olga", at=AT), 2)
    assert (first.decision, first.stage, first.asking) == (None, 1, 1)
    last = first.voted(ItemVote(decision=ItemDecision.SHORTEN, by="ben", at=AT, stage=1, until=AT + timedelta(1)), 2)
    assert (last.decision, last.until) == (ItemDecision.SHORTEN, AT + timedelta(1))
