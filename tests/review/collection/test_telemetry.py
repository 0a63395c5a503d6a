"""What gateways answer for: windows of complete coverage, and what is left open because nobody can know."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from lapse.domain.gateways import GatewayRun
from lapse.ledger.entry import Entry
from lapse.review.collection.telemetry import OnlyWindows, coverage_rows, serving

START = datetime(2030, 1, 1, tzinfo=UTC)


def at(minutes):
    return START + timedelta(minutes=minutes)


def a_run(name, begin, seen, over=None, **more):
    """From `begin` to `seen`; `over` is when lapse learned that it is over: the same minute is an end in order."""
    over_at = None if over is None else at(over)
    return GatewayRun(
        id=f"gwr_{name}_{begin}", name=name, number=1, first_seen=at(begin), last_seen=at(seen), over_at=over_at, **more
    )


def windows(runs, only, now=1_000):
    rows = coverage_rows("pg-prod", runs, [(at(a), at(b)) for a, b in only], at(now))
    return [
        (
            (row["from_at"] - START) / timedelta(minutes=1),
            (row["to_at"] - START) / timedelta(minutes=1),
            row["complete"],
        )
        for row in rows
    ]


def said(resource, minutes, kind="change", **after):
    return Entry(
        type=f"catalog.resource.{kind}",
        at=at(minutes),
        actor="root",
        subject=f"resource:{resource}",
        after=after or None,
    )


def test_a_run_covers_from_its_beginning_to_when_it_was_heard_of_last():
    assert windows([a_run("a", 10, 50)], [(0, 1_000)]) == [(10, 50, True)]


def test_one_that_is_up_covers_up_to_now():
    assert windows([a_run("a", 10, 50)], [(0, 1_000)], now=50.25) == [(10, 50.25, True)]


def test_use_past_the_gateway_is_not_known_where_the_catalog_permits_it():
    assert windows([a_run("a", 0, 100, 100)], [(20, 30), (60, 1_000)]) == [
        (0, 20, False),
        (20, 30, True),
        (30, 60, False),
        (60, 100, True),
    ]


def test_between_runs_that_ended_in_order_nothing_could_be_used():
    runs = [a_run("a", 0, 50, 50), a_run("b", 10, 60, 60), a_run("a", 70, 90, 90)]
    assert (60, 70, True) in windows(runs, [(0, 1_000)])


def test_after_a_run_that_fell_silent_nobody_knows_until_its_name_is_back():
    lost = [a_run("a", 0, 50, 52), a_run("b", 60, 90, 90)]
    assert windows(lost, [(0, 1_000)]) == [(0, 50, True), (60, 90, True)]
    back = [a_run("a", 0, 50, 52), a_run("a", 60, 90, 90), a_run("b", 95, 99, 99)]
    assert windows(back, [(0, 1_000)]) == [(0, 50, True), (60, 90, True), (95, 99, True), (90, 95, True)]


def test_a_gateway_covers_what_it_speaks():
    runs = [a_run("a", 5, 9, protocols=("ssh",)), a_run("b", 0, 9, protocols=("postgresql",)), a_run("c", 2, 9)]
    assert [run.name for run in serving(runs, "postgresql")] == ["b", "c"]
    assert serving(runs, "") == []  # of what gateways cannot speak they record nothing


def test_the_ledger_says_since_when_there_is_no_way_past_the_gateway():
    only = OnlyWindows()
    for entry in (
        said("pg-prod", 0, "add", gateway={"only": False}, owner="olga"),
        said("pg-prod", 10, gateway={"only": True}),
        said("pg-prod", 15, owner="bob"),
        said("pg-prod", 20, gateway={"only": True, "sessions": 5}),
        said("pg-prod", 30, gateway={"only": False}),
        said("pg-prod", 40, gateway={"only": True}),
        said("pg-prod", 50, "remove"),
        said("pg-prod", 60, "add", gateway={"only": True}),
        said("web-1", 60, "add", gateway={"only": False}),
    ):
        only.note(entry)
    assert only.of("pg-prod", at(70)) == [(at(10), at(30)), (at(40), at(50)), (at(60), at(70))]
    assert only.of("web-1", at(70)) == []


moments = st.integers(0, 60)


@st.composite
def some_runs(draw):
    runs = []
    for number in range(draw(st.integers(0, 5))):
        begin = draw(moments)
        seen = begin + draw(moments)
        runs.append(
            a_run(draw(st.sampled_from("ab")) + str(number % 2), begin, seen, seen + draw(st.sampled_from([0, 1])))
        )
    return serving(runs, "postgresql")


@given(some_runs(), st.lists(st.tuples(moments, moments), max_size=3))
def test_nothing_is_complete_outside_of_only_nor_while_a_silent_gateway_may_have_sessions(runs, pairs):
    only, end = [], 0
    for begin, length in sorted(pairs):
        only.append((max(begin, end), end := max(begin, end) + length))
    found = windows(runs, only)
    assert all(begin < until for begin, until, _ in found)
    for begin, until, complete in found:
        middle = (begin + until) / 2
        assert complete is any(a <= middle <= b for a, b in only)
        up = any(run.first_seen <= at(middle) <= run.last_seen for run in runs)
        begun = [run for run in runs if run.first_seen <= at(middle)]
        in_order = all(
            run.over_at == run.last_seen
            or any(later.name == run.name for later in begun if later.first_seen > run.first_seen)
            for run in begun
        )
        assert up or in_order
