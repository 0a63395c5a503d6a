"""Exposure by tier and over time: against a plain model that counts minute by minute, and by hand."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lapse.review.figures.exposure import exposure_figures
from lapse.review.figures.model import UNTIERED
from lapse.review.figures.settings import FigureSettings
from support.evidence_rows import evidence

START = datetime(2026, 7, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def at(hours):
    return START + timedelta(hours=hours)


def figures(tables, settings=FigureSettings(), **more):  # noqa: B008  frozen
    with (
        tempfile.TemporaryDirectory() as made,
        evidence(Path(made) / "s", tables, **more) as (engine, snapshot),
    ):
        return exposure_figures(engine, snapshot, settings)[0]


def grant(account, begin, end, *, resource="pg", role="reader", **more):
    return {
        "grant_id": f"gra_{account}_{resource}_{role}_{begin}",
        "beneficiary": account,
        "account": account,
        "entitlement": f"{resource}/{role}",
        "resource": resource,
        "role": role,
        "state": "ended" if end is not None else "active",
        "activated_at": at(begin),
        "ended_at": None if end is None else at(end),
        **more,
    }


def standing(account, *, resource="pg", role="reader", **more):
    return {
        "resource": resource,
        "account": account,
        "role": role,
        "holding": "direct",
        "can_login": True,
        **more,
    }


def use(account, begin, end, *, resource="pg", **more):
    return {"resource": resource, "account": account, "started_at": at(begin), "ended_at": at(end), **more}


def covered(begin, end, *, resource="pg"):
    return {"resource": resource, "from_at": at(begin), "to_at": at(end), "complete": True}


QUARTER_HOURS = 92 * 24


def test_standing_access_counts_for_the_whole_period_and_grants_for_their_time():
    found = figures({"access_observed": [standing("etl")], "grants": [grant("ann", 10, 14), grant("ben", 20, 21)]})
    assert (found.total.standing, found.total.granted) == (QUARTER_HOURS, 5)
    assert found.total.held == QUARTER_HOURS + 5
    assert found.total.score == pytest.approx(5 / (QUARTER_HOURS + 5), abs=1e-4)


def test_hours_by_role_are_those_of_the_tiers(tmp_path):
    tables = {
        "access_observed": [standing("etl", role="admin", since=at(1_000)), standing("bot", role="admin")],
        "grants": [grant("ann", 10, 14), grant("ben", 12, 13)],
        "usage": [use("ann", 10, 11)],
        "coverage": [covered(0, 100)],
    }
    with evidence(tmp_path / "s", tables) as (engine, snapshot):
        total, roles = exposure_figures(engine, snapshot, FigureSettings())
    admin, reader = roles
    assert (admin.role, admin.standing_hours, admin.holders_standing) == ("admin", 2 * QUARTER_HOURS - 1_000, 2)
    assert (admin.used_hours, reader.used_hours) == (None, 1)
    assert (reader.granted_hours, reader.holders_granted) == (5, 2)
    assert total.total.standing == admin.standing_hours


def test_what_overlaps_counts_once():
    twice = figures({"access_observed": [], "grants": [grant("ann", 10, 14), grant("ann", 12, 16)]})
    assert (twice.total.granted, twice.total.held) == (6, 6)
    both = figures({"access_observed": [standing("ann")], "grants": [grant("ann", 10, 14)]})
    assert (both.total.standing, both.total.granted, both.total.held) == (QUARTER_HOURS, 4, QUARTER_HOURS)
    assert both.total.score == 0


def test_a_known_beginning_and_end_of_standing_access_count():
    tables = {
        "access_observed": [standing("etl", since=at(24)), standing("bot")],
        "access_periods": [
            {"resource": "pg", "account": "bot", "role": "reader", "from_at": at(48), "to_at": None},
            {"resource": "pg", "account": "gone", "role": "reader", "from_at": at(-50), "to_at": at(10)},
            {"resource": "pg", "account": "ann", "role": "reader", "from_at": at(100), "to_at": at(103)},
        ],
        "grants": [grant("ann", 100, 103)],
    }
    found = figures(tables)
    assert found.total.standing == (QUARTER_HOURS - 24) + (QUARTER_HOURS - 48) + 10
    assert found.total.granted == 3


def test_the_tier_of_the_entitlement_goes_before_that_of_the_resource():
    tables = {
        "grants": [grant("ann", 0, 1), grant("ann", 0, 2, role="admin"), grant("ann", 0, 4, resource="my")],
        "resources": [{"resource": "pg", "tags": "env=prod;tier=1"}, {"resource": "my", "tags": "env=prod"}],
        "entitlements": [
            {"entitlement": "pg/reader", "resource": "pg", "role": "reader"},
            {"entitlement": "pg/admin", "resource": "pg", "role": "admin", "tags": "tier=0;frontier=9"},
        ],
    }
    found = figures(tables)
    assert [(t.tier, t.hours.granted, t.weight) for t in found.tiers] == [("0", 2, 10), ("1", 1, 3), (UNTIERED, 4, 1)]
    assert found.weighted.granted == 2 * 10 + 1 * 3 + 4
    flat = figures(tables, settings=FigureSettings(weights={}))
    assert flat.weighted == flat.total


def test_use_is_what_was_seen_and_at_most_what_nobody_recorded():
    tables = {
        "grants": [grant("ann", 0, 10)],
        "usage": [use("ann", 1, 3)],
        "coverage": [covered(-5, 4), covered(4, 8)],
    }
    found = figures(tables).total
    assert (found.used_least, found.used_most) == (2, 4)
    blind = figures(tables | {"coverage": []}).total
    assert (blind.used_least, blind.used_most) == (2, 10)
    seen = figures(tables | {"coverage": [covered(-5, 50)]}).total
    assert (seen.used_least, seen.used_most, seen.use_known) == (2, 2, True)


def test_use_outside_of_what_was_held_is_no_use_of_it():
    tables = {
        "grants": [grant("ann", 5, 6)],
        "usage": [use("ann", 0, 5.5), use("bob", 5, 6)],
        "coverage": [covered(0, 9)],
    }
    assert figures(tables).total.used_least == 0.5


def test_a_glimpse_of_use_counts_for_a_minute():
    tables = {"grants": [grant("ann", 5, 6)], "usage": [use("ann", 5.5, 5.5)], "coverage": [covered(0, 9)]}
    assert figures(tables).total.used_least == pytest.approx(1 / 60, abs=1e-3)
    zero = FigureSettings(glimpse=timedelta(0))
    assert figures(tables, settings=zero).total.used_least == 0


def test_use_that_names_no_role_is_certain_only_where_one_role_is_held():
    tables = {
        "access_observed": [standing("etl"), standing("etl", role="writer")],
        "usage": [use("etl", 1, 3)],
        "coverage": [covered(0, QUARTER_HOURS)],
    }
    found = figures(tables).total
    assert (found.used_least, found.used_most) == (0, 4)
    named = figures(tables | {"usage": [use("etl", 1, 3, role="writer")]}).total
    assert (named.used_least, named.used_most) == (2, 2)


def test_nothing_held_has_no_score_and_missing_evidence_is_named():
    found = figures({"resources": [{"resource": "pg"}]})
    assert found.total.score is None
    assert [text.partition(":")[0] for text in found.missing] == [
        "granted hours",
        "standing hours",
        "used hours (their upper bound is all that was held)",
    ]
    assert len(found.over_time) == len(found.buckets) == 14


def test_a_period_that_is_not_over_counts_until_the_population_was_read():
    found = figures({"access_observed": [standing("etl")]}, as_of=START + 10 * DAY)
    assert found.total.standing == 240
    assert found.buckets[-1].end == START + 10 * DAY
    assert figures({"access_observed": [standing("etl")]}, as_of=START - DAY).total.held == 0


def test_a_year_is_given_by_months_and_cut_at_their_beginnings():
    found = figures({"access_observed": [standing("etl")]}, period="2026", as_of=datetime(2027, 1, 5, tzinfo=UTC))
    assert (found.unit, len(found.buckets)) == ("month", 12)
    assert [hours.standing for hours in found.over_time][:3] == [31 * 24, 28 * 24, 31 * 24]


SLOTS = 40
WINDOW = st.tuples(st.integers(-4, SLOTS), st.integers(1, 12)).map(lambda w: (w[0], w[0] + w[1]))
WHO = st.sampled_from(["ann", "ben"])
ROLE = st.sampled_from(["reader", "writer"])
GRANTS = st.lists(st.tuples(WHO, ROLE, WINDOW), max_size=6)
STANDING = st.lists(st.tuples(WHO, ROLE, st.integers(0, SLOTS)), max_size=3, unique_by=lambda s: s[:2])
USES = st.lists(st.tuples(WHO, st.sampled_from(["reader", "writer", None]), WINDOW), max_size=6)
COVERED = st.lists(WINDOW, max_size=3)


def counted(grants, standing_, uses, covered_, end):
    """The same figures, hour by hour."""
    sums = dict.fromkeys(("standing", "granted", "held", "used_least", "used_most"), 0)
    held = {(w, r) for w, r, (a, b) in grants if a < end and b > 0 and max(a, 0) < min(b, end)}
    held |= {(w, r) for w, r, since in standing_ if since < end}
    for hour in range(end):
        for who, role in held:
            is_granted = any((w, r) == (who, role) and a <= hour < b for w, r, (a, b) in grants)
            stands = any((w, r) == (who, role) and since <= hour for w, r, since in standing_)
            if not (is_granted or stands):
                continue
            roles = {r for w, r in held if w == who}
            hits = [named for w, named, (a, b) in uses if w == who and a <= hour < b]
            mine = [named for named in hits if named == role or named not in roles]
            sure = any(named == role or len(roles) == 1 for named in mine)
            blind = not any(a <= hour < b for a, b in covered_)
            sums["standing"] += stands
            sums["granted"] += is_granted
            sums["held"] += 1
            sums["used_least"] += sure
            sums["used_most"] += bool(mine) or blind
    return sums


@settings(max_examples=60)
@given(GRANTS, STANDING, USES, COVERED, st.integers(1, SLOTS))
def test_the_figures_are_those_of_counting_hour_by_hour(grants, standing_, uses, covered_, end):
    tables = {
        "grants": [grant(w, a, b, role=r) | {"grant_id": f"g{n}"} for n, (w, r, (a, b)) in enumerate(grants)],
        "access_observed": [standing(w, role=r, since=at(since)) for w, r, since in standing_],
        "usage": [use(w, a, b, role=r) for w, r, (a, b) in uses],
        "coverage": [covered(a, b) for a, b in covered_],
    }
    found = figures(tables, as_of=at(end)).total
    wanted = counted(grants, standing_, uses, covered_, end)
    assert {name: getattr(found, name) for name in wanted} == wanted


TIER = st.sampled_from(["tier=0", "tier=1", "x=tier=0", None])
ANY_TIME = st.floats(-500, 2_500, allow_nan=False).map(lambda hours: round(hours, 4))


@settings(max_examples=40)
@given(
    st.lists(st.tuples(WHO, ROLE, ANY_TIME, st.floats(0, 900)), max_size=8),
    st.lists(st.tuples(WHO, ROLE, ANY_TIME), max_size=3),
    st.lists(st.tuples(WHO, ANY_TIME, st.floats(0, 300)), max_size=8),
    st.lists(st.tuples(ANY_TIME, st.floats(0, 900)), max_size=3),
    TIER,
    TIER,
)
def test_hours_add_up_over_tiers_and_time_and_bounds_are_ordered(grants, standing_, uses, covered_, one, other):
    tables = {
        "grants": [grant(w, a, a + n, role=r) | {"grant_id": f"g{i}"} for i, (w, r, a, n) in enumerate(grants)],
        "access_observed": [standing(w, role=r, since=at(a)) for w, r, a in standing_],
        "usage": [use(w, a, a + n) for w, a, n in uses],
        "coverage": [covered(a, a + n) for a, n in covered_],
        "resources": [{"resource": "pg", "tags": one}],
        "entitlements": [{"entitlement": "pg/writer", "resource": "pg", "role": "writer", "tags": other}],
    }
    found = figures(tables)
    for name in ("standing", "granted", "held", "used_least", "used_most"):
        total = getattr(found.total, name)
        assert total == pytest.approx(sum(getattr(t.hours, name) for t in found.tiers), abs=0.01)
        assert total == pytest.approx(sum(getattr(h, name) for h in found.over_time), abs=0.05)
        for tier in found.tiers:
            assert getattr(tier.hours, name) == pytest.approx(sum(getattr(h, name) for h in tier.over_time), abs=0.05)
    for hours in (found.total, found.weighted, *found.over_time, *(t.hours for t in found.tiers)):
        assert max(hours.standing, hours.granted) <= hours.held + 1e-9
        assert hours.held <= hours.standing + hours.granted + 0.002
        assert 0 <= hours.used_least <= hours.used_most <= hours.held + 1e-9
        assert hours.score is None or 0 <= hours.score <= 1
