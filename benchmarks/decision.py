"""An answer of the policy with 1,000 rules and 100,000 persons, beside cedarpy and regopy with the same rules.

All three must give the same yes or no to every question that is timed, or there is no report. Whatever can be prepared
is prepared for all: parsed rules, the question in each one's own form. Times are those of the thread on the processor,
so that what else runs on the machine does not count; one row says what the clock on the wall showed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from _bench import AtMost, Rounds, Row, percentile, report, row
from _decision import asks, company, lapse_text, rules, rules_of_others
from _rivals import Cedar, Rego

from lapse.domain.catalog import Catalog
from lapse.policy import Ask, Policy, ask_for, decide, evaluate, parse

RULES, ROUNDS = 1_000, 9
ASKS, ASKS_OF_REGO, ASKS_OF_ALL_RULES = 1_000, 40, 20
GROWTH = (10, 100, 1_000, 10_000)
MOST_IN_FILE = 1_000
LEAST_SHARE = 0.2


def main() -> None:
    """Measure everything and report it."""
    catalog = company()
    built, _ = _each(lambda one: bool(ask_for(catalog, **one)), [*asks(1)])
    rows = [row("look-ups of the directory, built once", built, "ms")]
    rows += _answers(catalog, rules(RULES))
    rows += _growth(catalog)
    report("decision", rows)


def _answers(catalog: Catalog, found: Sequence[Any]) -> list[Row]:
    policy, cedar, rego = parse({"p.yaml": lapse_text(found)}), Cedar(found), Rego(found)
    built, _ = _each(lambda one: bool(one.index), [policy])
    p50: dict[str, list[float]] = {}
    p99: dict[str, list[float]] = {}
    for turn in range(ROUNDS):
        given = list(asks(ASKS, seed=turn))
        wanted = [ask_for(catalog, **one) for one in given]
        sides: dict[str, tuple[Callable[[Any], bool], Sequence[Any]]] = {
            "lapse": (partial(_allowed, policy), wanted),
            "on the wall": (partial(_allowed, policy), wanted),
            "with directory": (lambda one: decide(policy, ask_for(catalog, **one)).allowed, given),
            "cedarpy": (cedar.allows, [*map(cedar.prepared, wanted)]),
            "regopy": (rego.allows, [*map(rego.prepared, wanted[:ASKS_OF_REGO])]),
            "every rule": (lambda ask: evaluate(policy, ask).allowed, wanted[:ASKS_OF_ALL_RULES]),
        }
        answers = {}
        for name in sides if turn % 2 == 0 else reversed(sides):
            clock = time.perf_counter if name == "on the wall" else time.thread_time
            times, answers[name] = _each(*sides[name], clock)
            p50.setdefault(name, []).append(percentile(times, 0.5))
            p99.setdefault(name, []).append(percentile(times, 0.99))
        _refuse_to_compare_different(answers, wanted)
    rounds = Rounds(p50)
    return [
        row("index of 1,000 rules, built once", built, "ms"),
        row("answer to a question, p50", p50["lapse"], "ms", goal=AtMost(0.2)),
        row("answer to a question, p99", p99["lapse"], "ms", goal=AtMost(1)),
        row("answer to a question, p99, by the clock on the wall", p99["on the wall"], "ms"),
        row("question from the directory and its answer, p50", p50["with directory"], "ms", goal=AtMost(0.2)),
        row("question from the directory and its answer, p99", p99["with directory"], "ms", goal=AtMost(1)),
        rounds.row("answer to a question, p50", "lapse", "cedarpy", unit="ms", goal=AtMost(0.25)),
        rounds.row("answer to a question, p50", "lapse", "regopy", unit="ms"),
        row("answer that tells of every rule, p50", p50["every rule"], "ms"),
    ]


def _refuse_to_compare_different(answers: Mapping[str, Sequence[bool]], wanted: Sequence[Ask]) -> None:
    ours = answers["lapse"]
    for name, theirs in answers.items():
        for ask, mine, other in zip(wanted, ours, theirs, strict=False):
            if mine != other:
                raise RuntimeError(f"lapse says {mine}, {name} {other}, to {ask}")
    if not LEAST_SHARE < sum(ours) / len(ours) < 1 - LEAST_SHARE:
        raise RuntimeError(f"{sum(ours)} of {len(ours)} are allowed: almost always the same answer compares nothing")


def _growth(catalog: Catalog) -> list[Row]:
    """The same questions to the rules that concern them, among ever more that do not."""
    own = rules(19)
    policies = {f"{count:,} more": _joined([own, *_chunks(rules_of_others(count))]) for count in GROWTH}
    measured: dict[str, list[float]] = {name: [] for name in policies}
    for turn in range(ROUNDS):
        wanted = [ask_for(catalog, **one) for one in asks(ASKS, seed=turn, team=0)]
        answers = []
        for name in policies if turn % 2 == 0 else reversed(policies):
            times, answer = _each(partial(_allowed, policies[name]), wanted)
            measured[name].append(percentile(times, 0.5))
            answers.append(answer)
        if any(answer != answers[0] for answer in answers) or len(set(answers[0])) == 1:
            raise RuntimeError("rules about something else changed an answer, or all answers are the same")
    rounds, (fewest, *others) = Rounds(measured), policies
    return [
        rounds.row(f"with {name} rules about something else", name, fewest, unit="ms", goal=AtMost(1.25))
        for name in others
    ]


def _allowed(policy: Policy, ask: Ask) -> bool:
    return decide(policy, ask).allowed


def _chunks(found: Sequence[Any]) -> list[Sequence[Any]]:
    return [found[start : start + MOST_IN_FILE] for start in range(0, len(found), MOST_IN_FILE)]


def _joined(parts: Sequence[Sequence[Any]]) -> Policy:
    """One policy of all, also of more rules than a policy may have."""
    policies = [parse({"p.yaml": lapse_text(part)}) for part in parts]
    return replace(
        policies[0],
        offers=tuple(offer for policy in policies for offer in policy.offers),
        limits=tuple(limit for policy in policies for limit in policy.limits),
    )


def _each(
    work: Callable[[Any], bool], given: Sequence[Any], clock: Callable[[], float] = time.thread_time
) -> tuple[list[float], list[bool]]:
    """How long `work` took for each, in milliseconds, and what it said."""
    times, answers = [], []
    for one in given:
        started = clock()
        answers.append(work(one))
        times.append(1_000 * (clock() - started))
    return times, answers


if __name__ == "__main__":
    main()
