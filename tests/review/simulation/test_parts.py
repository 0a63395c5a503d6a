"""The parts of a simulation: sizes, chance, working hours, turnover and what a company looks like."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from lapse.domain.errors import InvalidInput
from lapse.review.simulation import Size, simulate
from lapse.review.simulation.agenda import Agenda
from lapse.review.simulation.chance import Chance, lognormal, poisson, ranked
from lapse.review.simulation.clocks import SITES, answers_at, at_work, moment_of, opens_next
from lapse.review.simulation.names import area_names, people_names
from lapse.review.simulation.organization import catalog_of, groups_of
from lapse.review.simulation.people import hire_all

MONDAY = date(2026, 3, 2)


@pytest.mark.parametrize(
    ("size", "says"),
    [
        (Size(people=49, days=100, seed=1), "a world of 49 people cannot be made"),
        (Size(people=100, days=91, seed=1), "a world of 91 days cannot be made"),
        (Size(people=100, days=100, seed=-1), "`-1` is no seed"),
        (Size(people=20_000, days=1_000, seed=1), "too many for one machine"),
        (Size(people=100, days=100, seed=1, last_day=date(1999, 1, 1)), "too far away"),
    ],
)
def test_a_size_that_cannot_be_made_is_refused_in_a_sentence(size, says):
    with pytest.raises(InvalidInput, match=says):
        size.checked()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "mine").write_text("x")
    with pytest.raises(InvalidInput, match="is not empty"):
        simulate(Size(people=50, days=92, seed=1), tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["mine"]


def test_streams_do_not_depend_on_one_another():
    one, other = Chance(7), Chance(7)
    other.stream("b").random()
    assert one.stream("a").random() == other.stream("a").random()
    assert one.stream("a") is one.stream("a")


def test_draws_have_the_means_and_medians_that_they_are_asked_for():
    stream = Chance(1).stream("draws")
    assert sum(poisson(stream, 3.0) for _ in range(4_000)) / 4_000 == pytest.approx(3.0, rel=0.05)
    drawn = sorted(lognormal(stream, 40.0, 1.5) for _ in range(4_001))
    assert drawn[2_000] == pytest.approx(40.0, rel=0.12)
    assert sorted(dict(ranked(stream, "abc")).values()) == [1 / 3, 1 / 2, 1.0]


def test_most_work_is_done_in_working_hours():
    stream = Chance(2).stream("work")
    hours = [moment_of(stream, SITES[0], MONDAY).astimezone(SITES[0].zone).hour for _ in range(2_000)]
    assert 0.68 < sum(10 <= hour < 18 for hour in hours) / 2_000 < 0.78


def test_nobody_answers_before_work_begins_but_who_is_on_call():
    night = datetime(2026, 3, 1, 2, tzinfo=UTC)
    morning = opens_next(SITES[0], night)
    assert morning == datetime(2026, 3, 2, 8, tzinfo=UTC)
    assert at_work(SITES[0], morning)
    stream = Chance(1).stream("answers")
    assert all(answers_at(stream, SITES[0], night, on_call=False) > morning for _ in range(99))
    waits = sorted(answers_at(stream, SITES[0], night, on_call=True) - night for _ in range(999))
    assert timedelta(minutes=38) < waits[499] < timedelta(minutes=58)


def test_what_is_planned_is_done_in_order_and_nothing_after_the_end():
    done = []
    start = datetime(2026, 1, 1, tzinfo=UTC)
    agenda = Agenda(now=start)
    agenda.at(start + timedelta(hours=2), lambda: done.append("second"))
    agenda.at(start + timedelta(hours=1), lambda: (done.append("first"), agenda.at(start, lambda: done.append("then"))))
    agenda.at(start + timedelta(hours=9), lambda: done.append("never"))
    agenda.run_until(start + timedelta(hours=3))
    assert done == ["first", "then", "second"]
    assert agenda.now == start + timedelta(hours=3)


def test_names_are_distinct():
    names = people_names(Chance(1).stream("names"))
    assert len({next(names) for _ in range(9_000)}) == 9_000
    assert len(set(area_names(90))) == 90


@pytest.mark.parametrize("people", [50, 400, 3_000])
def test_every_area_has_people_who_may_ask_and_enough_who_may_decide(people):
    staff = hire_all(Chance(people), people)
    catalog = catalog_of(staff)
    assert abs(len(staff.persons) - people) <= people * 0.05
    for area in staff.areas.values():
        assert set(groups_of(staff, area)) <= set(catalog.groups)
    for area in staff.product:
        approvers = catalog.persons_in(f"group:{area.group('approvers')}")
        assert len(approvers) >= 4
        assert approvers & set(catalog.groups[area.group("dev")].members)
    finance = (set(catalog.groups[f"finance-{side}"].members) for side in ("makers", "checkers"))
    assert set.intersection(*finance) == set()
