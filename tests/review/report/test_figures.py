"""Figures, trend, roles and proposals on the page: said in full, with what is not known said as that."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from lapse.policy.effects import DiffEffect, Effects
from lapse.review.figures.model import ExposureFigures, Hours, LagObjective, TimeBucket
from lapse.review.report import ReportFacts, render_report, words
from lapse.review.report.figure_charts import tier_chart, time_chart
from lapse.review.report.figure_view import effects_words, objective_words, roles_view, shortened, trend_rows
from lapse.review.roles.model import RoleState
from support.sample_figures import FIGURES, MADE, QUARTER, ROLES
from support.sample_review import sample_result

FACTS = ReportFacts(title="Q3", made_at=MADE, made_by="olga", product_version="0.1.0")


class Text(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.parts = []
        self.feed(page)

    def handle_data(self, data):
        self.parts.append(data)


def words_of(result):
    return re.sub(r"\s+", " ", "".join(Text(render_report(result, FACTS)).parts))


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return sample_result(tmp_path_factory.mktemp("snapshot"))


def test_the_score_stands_with_its_definition_and_what_it_does_not_say(result):
    text = words_of(result)
    assert "Zero-standing score0.19 of 1" in text.replace("> ", ">")
    assert "The score is 1 \N{MINUS SIGN} standing hours / all privileged hours held" in text
    assert "It does not say whether what was granted was needed" in text
    assert "score 0.01, weight 10" in text
    assert "1,089 h to 2,321 h" in text


def test_what_was_not_collected_is_said_beside_the_figures(result):
    figures = replace(FIGURES, missing=("standing hours: there is no evidence in `access_observed`",))
    text = words_of(replace(result, audit=replace(result.audit, figures=figures)))
    assert "Not in these figures: standing hours: there is no evidence in access_observed" in text


def test_columns_stay_inside_the_picture_and_stand_on_one_another():
    chart = time_chart(FIGURES)
    assert all(part.x >= 0 and part.x + part.width <= 100.001 for part in chart.parts)
    assert all(chart.top - 0.01 <= part.y and part.y + part.height <= chart.base + 0.5 for part in chart.parts)
    standing = [part for part in chart.parts if part.kind == "standing"]
    granted = [part for part in chart.parts if part.kind == "granted"]
    assert all(abs(g.y + g.height - s.y) < 0.02 for s, g in zip(standing, granted, strict=True))
    assert [label.anchor for label in chart.labels] == ["start", "middle", "end"]


def test_one_column_or_nothing_held_is_no_course():
    one = TimeBucket(start=QUARTER, end=MADE)
    assert time_chart(ExposureFigures(unit="week", buckets=(one,), over_time=(Hours(held=3.0),))) is None
    assert time_chart(ExposureFigures(unit="week", buckets=(one, one), over_time=(Hours(), Hours()))) is None
    assert tier_chart(ExposureFigures(unit="week")).rows == ()


def test_known_use_has_no_hatched_bar():
    known = replace(FIGURES.tiers[0], hours=Hours(standing=10, held=10, used_least=4, used_most=4, score=0.0))
    [row] = tier_chart(replace(FIGURES, tiers=(known,))).rows
    assert [(bar.kind, bar.text) for bar in row.bars][2:] == [("used", "4 h used")]


def test_the_trend_has_this_review_with_its_own_decisions_and_what_was_not_kept(result):
    first, before, now = trend_rows(result)
    assert (first.change, before.change, now.change, now.tone) == ("", "", "+0.05, better", "better")
    assert (first.standing, round(now.standing, 1), now.now) == (None, 5.0, True)
    assert now.decided == "2 revoke, 1 keep, 7 undecided"
    assert "not kept" in words_of(result)
    assert "There is no earlier review to compare with." in words_of(replace(result, trend=result.trend[-1:]))


@pytest.mark.parametrize(
    ("objective", "said"),
    [
        (LagObjective(within_ms=60_000, share=0.99, reached=0.9814, met=False), "missed, 98.1 % did"),
        (LagObjective(within_ms=60_000, share=0.99, reached=1.0, met=True), "met, 100 % did"),
        (LagObjective(within_ms=60_000, share=0.99), "not known"),
    ],
)
def test_the_objective_is_met_missed_or_not_known(result, objective, said):
    lag = replace(result.workflows.lag[0], objective=objective)
    assert objective_words(lag) == ("99 % within 1 min", said)
    assert objective_words(replace(lag, objective=None)) == ("", "")


def test_roles_are_counted_by_what_came_of_them_and_unknown_ones_by_reason(result):
    view = roles_view(ROLES)
    assert dict(view.states)[RoleState.UNKNOWN] == 2
    assert view.unknown == (("nothing says that every use is on record", 2),)
    many = roles_view(replace(ROLES, checks=ROLES.checks[:1] * 50))
    assert (len(many.proposals), many.hidden) == (40, 10)
    text = words_of(result)
    assert 'REVOKE DELETE, TRUNCATE ON TABLE "public"."orders" FROM "orders_writer";' in text
    assert "pg-billing / reader: 0 of 9" in text


def test_a_proposal_says_what_it_would_do_or_why_that_is_not_known(result):
    standing, shorter, unused = result.adjustments.proposals
    assert effects_words(standing) == ()
    assert effects_words(shorter) == (
        ("Its answers", "permits nothing new"),
        ("Claims", "1 proved, 1 unknown"),
        ("On the past", "261 requests: 88 shortened; 1,391 h of 2,604 h less held"),
        ("Warnings", "1 warning"),
    )
    assert effects_words(unused)[0][1].startswith("not computed: there was no time")
    blind = replace(shorter, effects=Effects(diff=DiffEffect(missing="no solver"), replay_missing="no ledger"))
    assert effects_words(blind)[:1] == (("Its answers", "not known: no solver"),)
    assert effects_words(blind)[2] == ("On the past", "not known: no ledger")
    text = words_of(result)
    assert "- max_duration: 8h + max_duration: 2h" in text
    assert "Looked at and left as it is: shorter maximum (1)" in text


def test_long_texts_are_cut_and_say_so():
    assert shortened("a\n" * 100) == ("\n".join(["a"] * 80), 20)


def test_words_of_figures():
    assert words.hours_between(3, 3) == "3 h"
    assert words.hours_between(3, 12.5) == "3 h to 12.5 h"
    assert [words.score(x) for x in (None, 0, 0.999, 1)] == [words.NONE, "0.00", "0.99", "1.00"]
    assert words.sentence("it is so") == "It is so."
    assert words.sentence("`a` is so.") == "`a` is so."
    assert words.sentence("") == ""
