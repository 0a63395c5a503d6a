"""Formatting changes how a policy looks and nothing else."""

from __future__ import annotations

from dataclasses import replace
from textwrap import dedent

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lapse.policy import PolicyErrors, parse
from lapse.policy.formatting import format as format_module
from lapse.policy.formatting import format_policy
from lapse.policy.formatting.pieces import comments_in
from support.any_policy import LIMIT_LISTS, OFFER_LISTS, policy
from support.tools import ROOT


def formatted(text):
    return format_policy({"p.yaml": text})["p.yaml"]


def meaning(text):
    rules = parse({"p.yaml": text})
    return [replace(rule, line=0) for rule in (*rules.offers, *rules.limits, *rules.facts, *rules.claims)]


UGLY = """\
# about the file
version:   1   # the language

limits:    # they bind
    # before the first rule
    - max_duration:    2h  # short
      name: a    # its name


      # about the condition
      when: >-   # folded
            request.duration >
              duration("1h")

      entitlements: [
         "a/b",   # the first
         c/d
      ]
    # before the second
    -
      name: b
      description: "some long
        text"
      max_total: 3h
      approvals: [ {from: owner,quorum: 2,   name: x} ]
      # at the end of the second
# between
facts:
- {subset: group:a, of: group:b}
- disjoint:
  - group:a
  - group:b # and this
# at the end
"""
NEAT = """\
# about the file
version: 1  # the language

limits:  # they bind
  # before the first rule
  - name: a  # its name
    entitlements:
      - "a/b"  # the first
      - c/d
    # about the condition
    # folded
    when: >-
      request.duration >
        duration("1h")
    max_duration: 2h  # short

  # before the second
  - name: b
    description: "some long
      text"
    max_total: 3h
    approvals: [{name: x, quorum: 2, from: owner}]
    # at the end of the second

# between
facts:
  - {subset: group:a, of: group:b}
  - disjoint:
      - group:a
      - group:b  # and this
# at the end
"""


def test_a_file_gets_one_layout_and_keeps_its_comments():
    assert formatted(UGLY) == NEAT
    assert meaning(formatted(UGLY)) == meaning(UGLY)
    assert formatted(formatted(UGLY)) == formatted(UGLY)


def test_what_is_neat_stays_as_it_is():
    for path in sorted(ROOT.glob("examples/policy/*.yaml")):
        if not path.name.endswith(".test.yaml"):
            assert formatted(path.read_text()) == path.read_text(), "run `lapse policy fmt examples/policy`"


CASES = [
    ("long lines are opened", "approvals: [{from: [" + ", ".join(f"person-{n:02d}" for n in range(12)) + "]}]"),
    ("a text in quotes keeps them", 'description: "its #1: \\"x\\""'),
    ("a literal text", "description: |\n      two\n        lines\n\n      and more"),
    ("a folded text", "description: >-\n          some\n          words"),
    ("an empty line in a text", 'description: "some\n\n\n          words"'),
    ("a plain text on two lines", "description: some\n          words"),
    ("a kept end", "description: |+\n      kept\n\n\n"),
]


@pytest.mark.parametrize(("_what", "line"), CASES)
def test_values_are_not_touched(_what, line):
    text = f"version: 1\nlimits:\n  - name: a\n    max_total: 2h\n    {line}\n"
    assert meaning(formatted(text)) == meaning(text)
    assert formatted(formatted(text)) == formatted(text)


def test_rules_stand_apart_and_keys_have_their_order():
    text = "limits: [{max_total: 2h, name: a}, {max_total: 2h, name: b}]\nversion: 1\n"
    assert formatted(text) == "version: 1\n\nlimits: [{name: a, max_total: 2h}, {name: b, max_total: 2h}]\n"
    text = "limits:\n- max_total: 2h\n  name: a\n- max_total: 2h\n  name: b\nversion: 1\n"
    assert formatted(text) == dedent("""\
        version: 1

        limits:
          - name: a
            max_total: 2h

          - name: b
            max_total: 2h
        """)


def test_comments_beside_dashes_and_brackets_stay_with_what_follows():
    text = (
        "version: 1\nlimits:\n  -  # first\n    name: a  # one\n    max_total:  # so long\n      2h\n"
        "    entitlements: [  # these\n      a/b,\n\n      c/d  # last\n      # none\n    ]\n\n\n\n  # b\n"
        "  - {name: b,  # two\n     max_total: 2h}\n"
    )
    assert formatted(text) == dedent("""\
        version: 1

        limits:
          # first
          - name: a  # one
            entitlements:
              # these
              - a/b

              - c/d  # last
              # none
            max_total: 2h  # so long

          # b
          - name: b  # two
            max_total: 2h
        """)


def test_what_is_no_policy_is_refused():
    for text in ("", "version: 1\n", "version: 1\nlimits: [{name: a}]\n", "{", "version: 1\nlimits: &x []\n"):
        with pytest.raises(PolicyErrors):
            formatted(text)


def test_a_layout_that_would_change_anything_is_refused(monkeypatch):
    def lied(change):
        monkeypatch.setattr(format_module, "lay_out", change)
        with pytest.raises(PolicyErrors) as caught:
            formatted("version: 1\nlimits: [{name: a, max_total: 2h}]  # note\n")
        return caught.value.problems[0].message

    say = "this file cannot be formatted: "
    assert lied(lambda *_: "version: 1\nlimits: [{name: a, max_total: 3h}]  # note\n") == (
        f"{say}the rule `a` would mean something else"
    )
    assert lied(lambda *_: "version: 1\nlimits: [{name: a, max_total: 2h}]\n") == f"{say}a comment would be lost"
    assert "it would have errors" in lied(lambda *_: "version: 1\nlimits: []  # note\n")
    texts = iter(range(9))
    assert "change each time" in lied(
        lambda *_: f"version: 1\nlimits: [{{name: a, max_total: 2h}}]  # note\n#{next(texts)}\n".replace("#0", "")
    )


@settings(max_examples=40, deadline=None)
@given(OFFER_LISTS, LIMIT_LISTS)
def test_any_policy_keeps_its_meaning(offers, limits):
    assume(offers or limits)
    text = policy(offers, limits).files["p.yaml"]
    assert meaning(formatted(text)) == meaning(text)
    assert formatted(formatted(text)) == formatted(text)


COMMENTS = st.lists(
    st.tuples(st.integers(0, 40), st.sampled_from(["above", "end", "blank"]), st.integers(0, 8)), max_size=12
)


@settings(max_examples=40, deadline=None)
@given(COMMENTS)
def test_comments_anywhere_are_kept(comments):
    """Comments and blank lines between any lines of a policy, and at the end of any."""
    lines = NEAT.splitlines()
    for number, (place, kind, indent) in enumerate(comments):
        at = place % len(lines)
        if kind == "end" and lines[at].strip() and "#" not in lines[at] and not lines[at].startswith("      "):
            lines[at] += f"  # end {number}"
        elif kind == "above":
            lines.insert(at, " " * indent + f"# above {number}")
        elif kind == "blank":
            lines.insert(at, "")
    text = "\n".join(lines) + "\n"
    try:
        before = meaning(text)
    except PolicyErrors:  # a comment inside a text ends it
        return
    after = formatted(text)
    assert meaning(after) == before
    assert sorted(comments_in(after)) == sorted(comments_in(text))
    assert formatted(after) == after
