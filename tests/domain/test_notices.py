from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from lapse.domain.notices import LONGEST_PAUSE, Attempt, Notice, NoticeKind, Posting, PostingState

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)
NOTICE = Notice(kind=NoticeKind.DECIDED, subject="req_1", to=("ann",), text="approved", at=NOW)
POSTING = Posting(id="not_1", notice=NOTICE, due_at=NOW)
FAILED = Attempt(error="down")


def test_who_takes_a_notice_puts_its_next_try_off():
    taken = POSTING.taken(NOW + DAY)
    assert (taken.due_at, taken.attempts, taken.version) == (NOW + DAY, 1, 1)


def test_a_try_that_reached_every_place_closes_it():
    after = POSTING.tried(Attempt(sent={"log": NOW}, complete=True), at=NOW, give_up_after=DAY)
    assert (after.state, after.closed_at, dict(after.sent)) == (PostingState.SENT, NOW, {"log": NOW})


def test_a_place_that_refused_it_makes_it_failed_even_if_others_took_it():
    attempt = Attempt(sent={"log": NOW}, refused={"mail:x": "no such mailbox"}, complete=True)
    assert POSTING.tried(attempt, at=NOW, give_up_after=DAY).state is PostingState.FAILED


def test_a_notice_for_nobody_who_can_be_reached_has_failed():
    assert POSTING.tried(Attempt(error="no address", complete=True), at=NOW, give_up_after=DAY).state == "failed"


def test_a_notice_that_no_way_carries_is_done():
    assert POSTING.tried(Attempt(complete=True), at=NOW, give_up_after=DAY).state is PostingState.SENT


@given(st.integers(min_value=1, max_value=100_000))
def test_pauses_grow_up_to_an_hour_and_what_is_old_is_given_up(attempts):
    posting = Posting(id="not_1", notice=NOTICE, due_at=NOW, attempts=attempts)
    after = posting.tried(FAILED, at=NOW, give_up_after=DAY)
    assert timedelta(0) < after.due_at - NOW <= LONGEST_PAUSE
    assert posting.tried(FAILED, at=NOW + DAY, give_up_after=DAY).state is PostingState.FAILED


@given(st.lists(st.sets(st.sampled_from("abcd"))))
def test_what_a_place_took_is_never_forgotten(tries):
    posting, expected = POSTING, set()
    for number, places in enumerate(tries):
        attempt = Attempt(sent=dict.fromkeys(places, NOW), error="down")
        posting = posting.taken(NOW + DAY).tried(attempt, at=NOW, give_up_after=DAY)
        expected |= places
        assert set(posting.sent) == expected
        assert posting.version == 2 * (number + 1)
