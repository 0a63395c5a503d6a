from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.domain.catalog import Catalog
from lapse.domain.data import from_data, to_data
from lapse.domain.errors import InvalidInput
from lapse.domain.principals import Group, Principal
from lapse.domain.resources import Resource
from lapse.review.scope import ReviewScope, parse_period, parse_scope


def day(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026", "2026-01-01", "2027-01-01"),
        ("2026-Q3", "2026-07-01", "2026-10-01"),
        ("2026-q4", "2026-10-01", "2027-01-01"),
        ("2026-12", "2026-12-01", "2027-01-01"),
        ("2024-02", "2024-02-01", "2024-03-01"),
        ("2026-07-01..2026-09-30", "2026-07-01", "2026-10-01"),
        ("2026-07-01..2026-07-01", "2026-07-01", "2026-07-02"),
    ],
)
def test_periods_are_half_open(text, start, end):
    period = parse_period(text)
    assert (period.start, period.end) == (day(start), day(end))
    assert period.contains(period.start)
    assert not period.contains(period.end)


@pytest.mark.parametrize(
    "text",
    ["", "26", "2026-Q5", "2026-13", "2026-00", "0000", "9999", "2026-02-30..2026-03-01", "x" * 99, "2026-Q3\n1"],
)
def test_what_is_no_period_says_how_to_write_one(text):
    with pytest.raises(InvalidInput, match="is not a period") as caught:
        parse_period(text)
    assert "2026-Q3" in caught.value.hint


def test_a_period_that_ends_before_it_starts_is_refused():
    with pytest.raises(InvalidInput, match="ends before it starts"):
        parse_period("2026-09-30..2026-07-01")


@given(st.text(max_size=50))
def test_any_text_is_a_period_or_refused(text):
    try:
        period = parse_period(text)
    except InvalidInput:
        return
    assert period.start < period.end


RESOURCES = Catalog(
    resources={
        "pg-prod": Resource(name="pg-prod", connector="postgresql", tags={"env": "prod"}),
        "pg-test": Resource(name="pg-test", connector="postgresql", tags={"env": "test"}),
    }
)


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("all", ("pg-prod", "pg-test")),
        ("tag:env=prod", ("pg-prod",)),
        ("resource:pg-test", ("pg-test",)),
        (" all ", ("pg-prod", "pg-test")),
        ("resource:pg-test,pg-prod", ("pg-prod", "pg-test")),
        ("tag:env=prod and resource:pg-prod,pg-test", ("pg-prod",)),
        ("principal:ann and tag:env=test", ("pg-test",)),
    ],
)
def test_a_selector_names_resources(selector, names):
    assert parse_scope(selector, "2026").resources_of(RESOURCES) == names


@pytest.mark.parametrize("selector", ["", "everything", "tag:", "tag:env", "tag:=x", "resource:", "resource:A B"])
def test_what_is_no_selector_is_refused(selector):
    with pytest.raises(InvalidInput):
        parse_scope(selector, "2026")


def test_a_scope_without_resources_is_refused_because_it_would_look_clean():
    with pytest.raises(InvalidInput, match="no resource is in scope"):
        parse_scope("tag:env=prd", "2026").resources_of(RESOURCES)


def test_a_scope_is_data():
    scope = parse_scope("all", "2026-Q3", review_id="r", thresholds={"L5": {"objective_seconds": 5}})
    assert from_data(ReviewScope, to_data(scope)) == scope


def test_a_selector_names_people_too():
    scope = parse_scope("tag:env=prod and principal:ann,group:dba", "2026")
    assert scope.people == (("ann", "group:dba"),)
    assert parse_scope("all", "2026").people == ()


@pytest.mark.parametrize("selector", ["all and tag:env=prod", "principal:", "resource:a,,b"])
def test_terms_that_make_no_sense_together_are_refused(selector):
    with pytest.raises(InvalidInput):
        parse_scope(selector, "2026")


@pytest.mark.parametrize(
    ("selector", "hint"),
    [
        ("tag:env=prd", "did you mean `env=prod`?"),
        ("resource:pg-prd", "did you mean `pg-prod`?"),
        ("tag:zone=eu", "`lapse target list` shows the resources, `all` covers every one"),
    ],
)
def test_a_scope_of_nothing_says_what_was_meant(selector, hint):
    with pytest.raises(InvalidInput) as refused:
        parse_scope(selector, "2026").resources_of(RESOURCES)
    assert refused.value.hint == hint


def test_a_scope_of_people_who_are_not_there_is_refused_because_it_would_look_clean():
    catalog = Catalog(principals={"hal": Principal(name="hal")}, groups={"dba": Group(name="dba", members=("hal",))})
    parse_scope("principal:hal,group:dba", "2026").check_people(catalog)
    with pytest.raises(InvalidInput, match="`hall` in the scope is nobody in the catalog") as refused:
        parse_scope("principal:hall", "2026").check_people(catalog)
    assert refused.value.hint == "did you mean `hal`?"


def test_a_period_that_has_not_begun_cannot_be_reviewed():
    scope = parse_scope("all", "2026-Q3")
    scope.check_begun(datetime(2026, 7, 2, tzinfo=UTC))
    with pytest.raises(InvalidInput, match="the period `2026-Q3` has not begun"):
        scope.check_begun(datetime(2026, 7, 1, tzinfo=UTC))
