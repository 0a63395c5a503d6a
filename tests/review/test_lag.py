"""Expiry lag with cases that have not ended."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lapse.review.figures.model import LagObjective
from lapse.review.lag import Lag, by_resource, expiry_lag
from lapse.review.model import LagQuantile


def test_without_running_cases_the_quantiles_are_those_of_the_sample():
    lag = expiry_lag("pg", [Lag(ms) for ms in range(1, 101)])
    assert (lag.p50, lag.p95, lag.p99) == (LagQuantile(ms=50), LagQuantile(ms=95), LagQuantile(ms=99))
    assert lag.longest == LagQuantile(ms=100)
    assert (lag.ended, lag.not_ended) == (100, 0)


def test_the_worst_cases_do_not_drop_out_because_they_are_still_running():
    # Nine ended within 10 ms, one has been running for an hour: its own lag is at least that.
    lag = expiry_lag("pg", [*[Lag(10)] * 9, Lag(3_600_000, running=True)])
    assert lag.p50 == LagQuantile(ms=10)
    assert lag.p95 == LagQuantile(ms=3_600_000, lower_bound=True)
    assert lag.longest == LagQuantile(ms=3_600_000, lower_bound=True)


def test_a_case_that_is_only_just_due_says_little():
    # One is 1 ms past its end and still running: it tells nothing about the others' tail.
    lag = expiry_lag("pg", [Lag(1, running=True), *[Lag(100)] * 99])
    assert lag.p99 == LagQuantile(ms=100)


def test_nothing_ended_and_nothing_due_has_no_quantiles():
    assert expiry_lag("pg", []).p50 is None
    assert expiry_lag("pg", []).longest is None


def test_early_ends_count_as_on_time():
    lag = expiry_lag("pg", [Lag(-5_000), Lag(20)], early=1)
    assert lag.longest == LagQuantile(ms=20)
    assert lag.early == 1


def test_the_first_figures_are_over_everything():
    overall, my, pg = by_resource({"pg": [Lag(5)], "my": [Lag(7), Lag(9, running=True)]}, {})
    assert (overall.resource, overall.ended, overall.not_ended) == ("", 2, 1)
    assert (my.resource, pg.resource) == ("my", "pg")


LAGS = st.lists(st.builds(Lag, st.integers(0, 5_000), st.booleans(), st.integers(1, 5)), max_size=40)


@given(LAGS)
def test_quantiles_are_ordered_and_every_case_is_in_one_bucket(lags):
    lag = expiry_lag("pg", lags)
    assert sum(b.ended for b in lag.buckets) == lag.ended
    assert sum(b.not_ended for b in lag.buckets) == lag.not_ended
    shown = [q.ms for q in (lag.p50, lag.p95, lag.p99) if q is not None]
    assert shown == sorted(shown)


@given(st.lists(st.integers(0, 5_000), min_size=1, max_size=60))
def test_complete_samples_agree_with_the_plain_quantile(values):
    lag = expiry_lag("pg", [Lag(ms) for ms in values])
    ordered = sorted(values)
    for quantile, percent in ((lag.p50, 50), (lag.p95, 95), (lag.p99, 99)):
        assert quantile.ms == ordered[-(-len(ordered) * percent // 100) - 1]


@given(LAGS, st.integers(0, 5_000))
def test_one_more_case_still_running_never_makes_the_median_better(lags, ms):
    before = expiry_lag("pg", lags).p50
    after = expiry_lag("pg", [*lags, Lag(max([lag.ms for lag in lags], default=0) + ms, running=True)]).p50
    if before is not None and after is not None:
        assert after.ms >= before.ms


WITHIN = LagObjective(within_ms=1_000, share=0.9)


def judged(*lags):
    found = expiry_lag("pg", lags, objective=WITHIN).objective
    return found.reached, found.met


def test_the_objective_is_met_by_enough_endings_in_time():
    assert judged(Lag(1_000, count=9), Lag(1_001)) == (0.9, True)
    assert judged(Lag(1_000, count=8), Lag(1_001, count=2)) == (0.8, False)


def test_access_that_is_still_there_misses_the_objective():
    assert judged(Lag(10, count=8), Lag(60_000, running=True, count=2)) == (0.8, False)


def test_access_that_is_only_just_due_leaves_the_objective_open():
    assert judged(Lag(10, count=8), Lag(500, running=True, count=2)) == (None, None)
    assert judged(Lag(10, count=95), Lag(500, running=True)) == (round(95 / 96, 6), True)


def test_nothing_due_neither_meets_nor_misses_an_objective():
    assert judged() == (None, None)
    assert expiry_lag("pg", [Lag(1)]).objective is None


@given(LAGS, st.integers(0, 6_000), st.floats(0.01, 1))
def test_what_is_met_stays_met_with_more_time(lags, within, share):
    def met(ms):
        return expiry_lag("pg", lags, objective=LagObjective(within_ms=ms, share=share)).objective.met

    if met(within):
        assert met(within + 500)
