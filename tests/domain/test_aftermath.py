"""The review after break-glass: when it is overdue, who is called when, and that it is judged once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.domain.aftermath import Aftermath, Judgement, ReviewCall
from lapse.domain.errors import Refused

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def use(*reviewers):
    return Aftermath(
        id="aft_1",
        request_id="req_1",
        beneficiary="ann",
        entitlement="pg/writer",
        reviewers=reviewers or ("group:dba",),
        created_at=NOON,
        due_at=NOON + DAY,
    )


def test_it_is_overdue_from_the_instant_it_is_due_until_it_is_judged():
    one = use()
    assert [one.overdue(NOON + DAY + step * timedelta(seconds=1)) for step in (-1, 0, 1)] == [False, True, True]
    judged = one.judged(Judgement.NOT_JUSTIFIED, by="bob", at=NOON + 2 * DAY, note="no incident")
    assert not judged.overdue(NOON + 3 * DAY)
    with pytest.raises(Refused, match="aft_1 was judged not justified already, by `bob`"):
        judged.judged(Judgement.JUSTIFIED, by="cat", at=NOON + 3 * DAY, note="was fine")


@pytest.mark.parametrize(
    ("reviewers", "after", "call"),
    [
        (["group:dba"], timedelta(0), None),
        (["group:dba", "oncall:db"], timedelta(0), ReviewCall.USED),
        (["group:dba"], DAY / 2, ReviewCall.HALF),
        (["oncall:db"], DAY / 2, ReviewCall.HALF),
        (["group:dba"], DAY, ReviewCall.OVERDUE),
        (["group:dba"], 9 * DAY, ReviewCall.OVERDUE),
    ],
)
def test_the_call_that_is_due(reviewers, after, call):
    assert use(*reviewers).call_due(NOON + after) is call


@given(st.lists(st.timedeltas(timedelta(0), 3 * DAY), max_size=30).map(sorted))
def test_each_call_is_made_once_and_never_one_from_before(times):
    one, made = use("oncall:db"), []
    for after in times:
        call = one.call_due(NOON + after)
        if call is not None:
            made.append(call)
            one = one.called(call)
    assert made == sorted(set(made), key=list(ReviewCall).index)
    assert use("oncall:db").rotas == ("db",)
