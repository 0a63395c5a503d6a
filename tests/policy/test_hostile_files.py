"""Whatever a file says: one clear sentence with its place, soon, and never a policy that was not meant."""

from __future__ import annotations

import pytest

from lapse.policy import PolicyErrors, evaluate, parse
from lapse.policy.cases import read_cases
from lapse.policy.formatting import format_policy
from support.policy_world import ask, offer, policy

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(f"b{n}: &b{n} [*a, *a, *a]\n" for n in range(9))
TEXTS = [
    (BOMB, "anchors and aliases are not used"),
    ("[" * 5_000, "nested more than 16 deep"),
    ("{a: " * 5_000, "nested more than 16 deep"),
    ("- - - - - - - - - - - - - - - - - - - - a\n", "nested more than 16 deep"),
    ("version: 1\n#" + "x" * 300_000, "262144 at most"),
    ("!!python/object/apply:os.system ['x']", "the tag"),
    ("%YAML 9.9\n---\nversion: 1\n", ""),
    ("version: 1\n\x00", "not YAML"),
    ("\ud800", "not YAML"),
]
READERS = {
    "parse": lambda text: parse({"p.yaml": text}),
    "format": lambda text: format_policy({"p.yaml": text}),
    "cases": lambda text: read_cases({"p.yaml": text}),
}


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(("text", "message"), TEXTS, ids=range(len(TEXTS)))
def test_a_text_that_explodes_is_refused_by_all_who_read_it(read, text, message):
    with pytest.raises(PolicyErrors) as caught:
        READERS[read](text)
    assert any(message in problem.message for problem in caught.value.problems), caught.value.problems


CONDITIONS = [
    ("(" * 1_000 + "true" + ")" * 1_000, "longer than 2000 characters"),
    ("(" * 150 + "true" + ")" * 150, "nested more than"),
    ("[" * 150 + "]" * 150 + ".size() == 1", "nested more than"),
    ("!" * 1_000 + "true", "more than 400 words and signs"),
    ("true ? " * 60 + "true" + " : false" * 60, "is not an expression"),
    ('request.justification.matches("(a{1,1000}){1,1000}")', "repeats too much"),
    ('request.justification.matches("(?=a)b")', "is not a pattern"),
    ("request.justification.matches(request.ticket.number)", "written out"),
    ('request.duration < duration("999999999999999h")', "999999999999999h"),
    ("principal.groups.all(a, principal.groups.all(b, principal.groups.all(c, a == c)))", "nested more than 2 deep"),
]


@pytest.mark.parametrize(("condition", "message"), CONDITIONS, ids=range(len(CONDITIONS)))
def test_a_condition_that_could_take_for_ever_is_refused(condition, message):
    with pytest.raises(PolicyErrors) as caught:
        policy(offer(f"when: '{condition}'"))
    assert any(message in problem.message for problem in caught.value.problems), caught.value.problems


def test_patterns_take_time_in_proportion_to_the_text():
    """The engine's patterns are automata: what explodes elsewhere is answered at once."""
    rules = policy(offer(r"""when: 'request.justification.matches("^(a|aa)+$") || request.justification == "x"'"""))
    assert not evaluate(rules, ask(justification="a" * 3_999 + "b")).allowed
    assert evaluate(rules, ask(justification="a" * 3_999)).allowed


def test_a_sum_that_overflows_is_a_denial():
    rules = policy(offer("when: 'int(request.justification) + 9223372036854775807 > 0'"))
    answer = evaluate(rules, ask(justification="5"))
    assert not answer.allowed
    assert "becomes too large" in answer.reason


@pytest.mark.parametrize("text", ["999999999w", "9" * 60 + "h", "367d", "P999999999W", "1e3h", "-1h", "2h" * 40])
def test_a_duration_that_is_none_is_refused(text):
    with pytest.raises(PolicyErrors):
        policy(offer().replace("2h", f'"{text}"'))
