"""The benchmark library: turns, ratios, goals and its two outputs."""

from __future__ import annotations

import json

import pytest

from support.tools import fill_memory, load_tool

bench = load_tool("_bench", "benchmarks")
KEYS = ["name", "value", "unit", "compared_to", "ratio", "spread", "goal", "met"]


def test_sides_take_turns_and_every_other_round_is_reversed():
    order = []
    bench.alternate(3, a=lambda: order.append("a"), b=lambda: order.append("b"))

    assert order == ["a", "b", "b", "a", "a", "b"]


def test_a_ratio_is_taken_in_each_round_and_the_median_is_judged():
    ours, theirs = iter([2.0, 9.0, 4.0]), iter([1.0, 3.0, 2.0])
    rounds = bench.alternate(3, ours=lambda: next(ours), theirs=lambda: next(theirs))

    row = rounds.row("insert", "ours", "theirs", goal=bench.AtMost(2.0))
    assert (row.value, row.ratio, row.spread) == (4.0, 2.0, (2.0, 3.0))
    assert (row.goal, row.met, row.compared_to) == ("ratio at most 2", True, "theirs: 2 s")
    assert not rounds.row("insert", "ours", "theirs", goal=bench.AtLeast(2.5)).met


def test_a_side_that_returns_nothing_is_timed():
    rounds = bench.alternate(2, work=lambda: None)

    assert all(0 <= seconds < 1 for seconds in rounds.measured["work"])


def test_values_alone_are_judged_as_they_are():
    row = bench.row("p99", [30.0, 90.0, 40.0], "ms", goal=bench.AtMost(100))

    assert (row.value, row.spread, row.met, row.ratio) == (40.0, (30.0, 90.0), True, None)


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.0, 1)])
def test_percentiles_are_values_that_were_measured(share, value):
    assert bench.percentile(range(100, 0, -1), share) == value


def test_the_report_is_a_table_and_a_list_of_objects_with_exactly_these_keys(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench, "OUT", tmp_path / "bench-out")
    bench.report("demo", [bench.row("p99", [30.0], "ms", goal=bench.AtMost(100)), bench.row("size", [1.0], "MB")])

    data = json.loads((tmp_path / "bench-out" / "demo.json").read_text(encoding="utf-8"))
    assert [list(one) for one in data] == [KEYS, KEYS]
    assert data[0]["met"] is True
    assert data[1]["goal"] is None
    assert "at most 100" in capsys.readouterr().out


def test_peak_memory_is_that_of_the_work_alone():
    _, small, _ = bench.in_child(fill_memory, 1)
    seconds, large, result = bench.in_child(fill_memory, 200_000_000)

    assert result == 200_000_000
    assert large - small > 150_000_000
    assert seconds > 0
