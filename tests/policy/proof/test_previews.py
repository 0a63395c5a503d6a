"""What a second person reads of a proposal: how answers change, and what is odd; also without a solver."""

import time
from datetime import timedelta

import pytest

from lapse.policy.proof import previews
from support.policy_world import CATALOG, limit, offer, policy

TIME = {"timeout": timedelta(seconds=60), "clock": time.monotonic}


def test_a_difference_is_a_paragraph():
    effect = previews.diff_effect(policy(offer()), policy(offer().replace("2h", "4h")), **TIME)
    assert (effect.missing, effect.equivalent) == ("", False)
    assert effect.lines[:2] == (
        "longer, by offer `read` (changed):",
        "  `ann` (in `developers`) asks for `pg-a/use`, 1h",
    )
    assert effect.lines[-1] == "  now: allowed by `read`: at most 4h, approved by 1 of `owner`"


def test_no_difference_is_proved():
    effect = previews.diff_effect(policy(offer()), policy(offer() + limit("max_duration: 3h")), **TIME)
    assert effect.equivalent
    assert effect.lines == ()


def test_what_is_not_known_is_a_line():
    late = TIME | {"timeout": timedelta(0)}
    effect = previews.diff_effect(policy(offer()), policy(offer().replace("2h", "4h")), **late)
    assert not effect.equivalent
    assert effect.lines[0].startswith("not known: whether anything is newly permitted, by offer `read` (changed)")


def test_very_many_lines_are_cut_short(monkeypatch):
    monkeypatch.setattr(previews, "_MOST_LINES", 1)
    effect = previews.diff_effect(policy(offer()), policy(offer().replace("2h", "4h")), **TIME)
    assert len(effect.lines) == 2
    assert "more lines" in effect.lines[1]


def test_oddities_are_sentences():
    (said,) = previews.oddities(policy(offer()), CATALOG, **TIME)
    assert said.startswith("`read`: 3 of 3 who may ask for `pg-dev/reader` can never get enough approvals: it takes 1")


@pytest.mark.parametrize("what", ["difference", "oddities"])
def test_without_a_solver_it_is_said_that_nobody_looked(monkeypatch, what):
    monkeypatch.setattr(previews, "installed", lambda: False)
    if what == "difference":
        effect = previews.diff_effect(policy(offer()), policy(offer()), **TIME)
        assert "the solver is not installed" in effect.missing
        assert not effect.equivalent
    else:
        (said,) = previews.oddities(policy(offer()), **TIME)
        assert "nobody looked" in said
