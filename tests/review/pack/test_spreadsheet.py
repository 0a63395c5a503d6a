"""CSV that a spreadsheet shows and never executes, and that gives back exactly what went in."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.review.pack.spreadsheet import findings_csv, items_csv, plain_cell, safe_cell
from support.sample_findings import FINDINGS
from support.sample_review import ITEMS


def rows(pieces):
    return list(csv.DictReader(io.StringIO(b"".join(pieces).decode(), newline="")))


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "=cmd|' /C calc'!A0", "\uff1d1", "\n=1", "\xa0=1", "|x"],
)
def test_what_could_be_a_formula_is_shown_as_text(text):
    assert safe_cell(text) == "'" + text


@pytest.mark.parametrize("text", ["", "alice", "a=b", "1.5", "2026-01-01", "ä"])
def test_other_text_stays_as_it_is(text):
    assert safe_cell(text) == text


@given(st.text())
def test_nothing_is_lost(text):
    assert plain_cell(safe_cell(text)) == text


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_any_name_survives_the_file(text):
    (row,) = rows(items_csv([replace(ITEMS[0], account=text)]))
    assert plain_cell(row["account"]) == text
    assert not row["account"].lstrip(" \xa0").startswith(("=", "+", "-", "@", "\t", "\r"))


def test_items_and_findings_are_complete():
    assert [row["id"] for row in rows(items_csv(ITEMS))] == [item.id for item in ITEMS]
    by_fingerprint = {row["fingerprint"]: row for row in rows(findings_csv(FINDINGS))}
    assert set(by_fingerprint) == {finding.fingerprint for finding in FINDINGS}
    assert by_fingerprint[FINDINGS[0].fingerprint]["severity"] == "critical"
    assert '"grant_id": "gr_01JC4N6W"' in by_fingerprint[FINDINGS[0].fingerprint]["evidence"]


def test_what_is_not_there_is_an_empty_cell():
    (row,) = rows(items_csv([replace(ITEMS[1], since=None)]))
    assert (row["since"], row["decision"]) == ("", "")
