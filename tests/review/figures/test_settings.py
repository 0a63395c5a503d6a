"""What a review may set about its figures."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lapse.domain.catalog import Catalog
from lapse.domain.errors import InvalidInput
from lapse.review.figures.settings import FigureSettings, read_settings, settings_of
from lapse.review.scope import ReviewScope, parse_period
from lapse.review.terms import ReviewTerms, check_terms


def test_without_anything_set_the_defaults_hold():
    assert settings_of(ReviewScope(selector="all", period=parse_period("2026"))) == FigureSettings()
    assert [FigureSettings().weight(tier) for tier in ("0", "1", "2", "3", "untiered")] == [10, 3, 1, 1, 1]


def test_each_can_be_set_by_itself():
    found = read_settings({"objective_seconds": 5, "objective_percent": 95, "weight:0": 50, "weight:shop": 2.5})
    assert (found.objective, found.objective_share) == (timedelta(seconds=5), 0.95)
    assert (found.weight("0"), found.weight("1"), found.weight("shop")) == (50, 3, 2.5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"objective": 5},
        {"objective_seconds": -1},
        {"objective_percent": 101},
        {"glimpse_seconds": "1m"},
        {"weight:0": True},
        {"weight:0": -2},
    ],
)
def test_what_makes_no_sense_is_refused_when_the_review_is_started(wrong):
    with pytest.raises(InvalidInput, match="of the figures cannot be"):
        check_terms(ReviewTerms(thresholds={"figures": wrong}), Catalog())


def test_a_review_may_set_figures_and_detectors():
    check_terms(
        ReviewTerms(thresholds={"figures": {"objective_seconds": 5}, "L5": {"objective_seconds": 5}}), Catalog()
    )
