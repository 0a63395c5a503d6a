"""One thing in policy files is changed, and every other character stays."""

from __future__ import annotations

import difflib
from textwrap import dedent

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lapse.policy import parse
from lapse.policy.editing import (
    CannotEdit,
    add_offer,
    add_to_rule,
    add_to_stage,
    offer_text,
    remove_offer,
    set_value,
)
from lapse.policy.formatting import format_policy
from support.any_policy import LIMIT_LISTS, OFFER_LISTS, policy
from support.tools import ROOT

POLICY = dedent("""\
    # The policy of a small company.
    version: 1

    offers:
      # Reading is harmless.
      - name: read   # as it says
        entitlements: "pg-*/reader"
        to: group:dev
        max_duration: 8h  # a day's work
        auto_approve: true

      # Changing is not.
      - name: change
        entitlements: ["pg-*/writer"]
        to: [group:dev]
        max_duration: "PT2H"
        max_total: 4h
        approvals:
          - from: owner
            quorum: 1
          - {name: second, from: [group:leads, group:dba]}
        # said at the end of change

      - {name: short, entitlements: x/y, to: anyone, max_duration: 1h, auto_approve: true}

    limits:
      - name: cap
        max_duration: 9h
    """)
FILES = {"policy.yaml": POLICY}
ODD = {"a.yaml": POLICY.replace("small", "sm\u2028all")}
ONE_LINE = "{name: a, entitlements: x/y, to: anyone, max_duration: 1h, auto_approve: true}"


def changed(files, after):
    """The lines that differ, as a diff has them."""
    lines = []
    for name in sorted({*files, *after}):
        pair = (files.get(name, "").splitlines(), after.get(name, "").splitlines())
        lines += [line for line in difflib.unified_diff(*pair, lineterm="", n=0) if line[:2] not in {"--", "++", "@@"}]
    return lines


def test_one_value_is_changed_and_its_comment_stays():
    after = set_value(FILES, "read", "max_duration", "2h")
    assert changed(FILES, after) == ["-    max_duration: 8h  # a day's work", "+    max_duration: 2h  # a day's work"]
    assert changed(FILES, set_value(FILES, "change", "max_duration", "90m"))[1] == "+    max_duration: 90m"
    assert "max_duration: 30m, auto" in set_value(FILES, "short", "max_duration", "30m")["policy.yaml"]
    assert changed(FILES, set_value(FILES, "cap", "max_duration", "3h"))[1] == "+    max_duration: 3h"


def test_a_value_is_changed_and_a_key_added_below_it_at_once():
    after = set_value(FILES, "read", "max_duration", "2h", below=("max_total", "8h"))
    assert changed(FILES, after)[1:] == ["+    max_duration: 2h  # a day's work", "+    max_total: 8h"]
    flow = set_value(FILES, "short", "max_duration", "30m", below=("max_total", "1h"))
    assert "max_duration: 30m, max_total: 1h, auto" in flow["policy.yaml"]


def test_a_key_is_added_below_another():
    after = add_to_rule(FILES, "read", "max_total", "8h", after="max_duration")
    assert changed(FILES, after) == ["+    max_total: 8h"]
    flow = add_to_rule(FILES, "short", "max_total", "8h", after="max_duration")
    assert "max_duration: 1h, max_total: 8h, auto_approve" in flow["policy.yaml"]
    below = add_to_rule(FILES, "change", "pending_timeout", "4h", after="approvals")
    assert changed(FILES, below) == ["+    pending_timeout: 4h"]
    assert parse(below).offers[1].pending_timeout.total_seconds() == 4 * 3600


def test_a_key_is_added_to_a_stage():
    after = add_to_stage(FILES, "change", 0, "remind_after", "30m")
    assert changed(FILES, after) == ["+        remind_after: 30m"]
    after = add_to_stage(FILES, "change", 1, "escalate", "[{after: 1h, to: owner}]")
    assert "{name: second, from: [group:leads, group:dba], escalate: [{after: 1h, to: owner}]}" in after["policy.yaml"]


@pytest.mark.parametrize(
    ("name", "gone"),
    [
        (
            "read",
            [
                "-  # Reading is harmless.",
                "-  - name: read   # as it says",
                '-    entitlements: "pg-*/reader"',
                "-    to: group:dev",
                "-    max_duration: 8h  # a day's work",
                "-    auto_approve: true",
                "-",
            ],
        ),
        ("short", ["-", "-  - {name: short, entitlements: x/y, to: anyone, max_duration: 1h, auto_approve: true}"]),
    ],
)
def test_an_offer_is_removed_with_what_is_said_about_it(name, gone):
    assert sorted(changed(FILES, remove_offer(FILES, name))) == sorted(gone)


def test_what_is_said_about_the_next_offer_stays_with_it():
    text = remove_offer(FILES, "change")["policy.yaml"]
    assert "Changing is not" not in text
    assert "said at the end of change" not in text
    assert "auto_approve: true\n\n  - {name: short" in text


def test_the_last_offer_takes_the_key_or_the_file_with_it():
    one = {"a.yaml": f"version: 1\noffers:\n  - {ONE_LINE}\n"}
    with pytest.raises(CannotEdit, match="the only rule"):
        remove_offer(one, "a")
    both = one | {"b.yaml": one["a.yaml"].replace("name: a", "name: b")}
    assert remove_offer(both, "a") == {"b.yaml": both["b.yaml"]}
    limits = {"a.yaml": one["a.yaml"] + "# caps\nlimits:\n  - {name: cap, max_duration: 1h}\n"}
    assert remove_offer(limits, "a") == {"a.yaml": "version: 1\n# caps\nlimits:\n  - {name: cap, max_duration: 1h}\n"}


def test_an_offer_like_another_is_added_behind_the_last():
    like = offer_text(FILES, "change")
    lines = like.like({"name": "more", "entitlements": "pg-x/admin", "max_duration": "30m"}, {"to", "approvals"})
    after = add_offer(FILES, "policy.yaml", "more", lines)
    new = parse(after).offers[-1]
    assert (new.name, new.needs.max_duration.total_seconds()) == ("more", 1800)
    assert new.needs.stages == parse(FILES).offers[1].needs.stages
    assert [line for line in changed(FILES, after) if line[0] == "-"] == []
    assert "\n\n  - name: more\n" in after["policy.yaml"]


def test_a_file_without_a_line_break_at_its_end_is_extended():
    files = {"a.yaml": f"version: 1\noffers:\n- {ONE_LINE}"}
    lines = offer_text(files, "a").like({"name": "b"}, {"entitlements", "to", "max_duration", "auto_approve"})
    assert [offer.name for offer in parse(add_offer(files, "a.yaml", "b", lines)).offers] == ["a", "b"]


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda: set_value(FILES, "none", "max_duration", "1h"), "no rule `none`"),
        (lambda: set_value(FILES, "change", "approvals", "1h"), "no single value"),
        (lambda: set_value(FILES, "read", "max_duration", "never"), "would have errors"),
        (
            lambda: set_value(FILES, "read", "max_duration", "2h\n  - name: evil"),
            "would have errors",
        ),
        (lambda: add_to_rule(FILES, "read", "to", "anyone", after="max_duration"), "cannot be added"),
        (lambda: add_to_stage(FILES, "change", 7, "quorum", "2"), "no such stage"),
        (lambda: remove_offer(FILES, "cap"), "no rule `cap`"),
        (
            lambda: set_value(ODD, "read", "max_duration", "1h"),
            "line breaks",
        ),
    ],
)
def test_what_cannot_be_done_exactly_is_refused(edit, says):
    with pytest.raises(CannotEdit, match=says):
        edit()


def test_offers_in_one_line_are_not_taken_apart():
    text = f"version: 1\noffers: [{ONE_LINE}]\n"
    with pytest.raises(CannotEdit, match="one line"):
        remove_offer({"a.yaml": text, "b.yaml": POLICY}, "a")


EXAMPLES = {path.name: path.read_text("utf-8") for path in (ROOT / "examples" / "policy").glob("*s.yaml")}


@pytest.mark.parametrize("name", [offer.name for offer in parse(EXAMPLES).offers])
def test_every_offer_of_the_example_can_be_shortened_copied_and_removed(name):
    shorter = set_value(EXAMPLES, name, "max_duration", "5m")
    assert len(changed(EXAMPLES, shorter)) == 2
    gone = remove_offer(EXAMPLES, name)
    assert name not in {offer.name for offer in parse(gone).offers}
    assert all(line[0] == "-" for line in changed(EXAMPLES, gone))
    keys = offer_text(EXAMPLES, name).keys - {"name", "description"}
    again = add_offer(EXAMPLES, "offers.yaml", "copy", offer_text(EXAMPLES, name).like({"name": "copy"}, keys))
    old, new = (next(o for o in parse(again).offers if o.name == one) for one in (name, "copy"))
    assert (old.selector, old.needs, old.post_review) == (new.selector, new.needs, new.post_review)


@settings(max_examples=80)
@given(OFFER_LISTS, LIMIT_LISTS, st.booleans(), st.data())
def test_any_policy_says_the_same_but_for_what_was_changed(offers, limits, formatted, data):
    assume(offers)
    before = policy(offers, limits)
    files = format_policy(before.files) if formatted else dict(before.files)
    offer = data.draw(st.sampled_from(before.offers))
    shorter = set_value(files, offer.name, "max_duration", "1m")
    assert next(o for o in parse(shorter).offers if o.name == offer.name).needs.max_duration.total_seconds() == 60
    assert len(changed(files, shorter)) == 2
    if len(offers) == 1 and not limits:
        with pytest.raises(CannotEdit, match="the only rule"):
            remove_offer(files, offer.name)
        return
    gone = remove_offer(files, offer.name)
    assert [o.name for o in parse(gone).offers] == [o.name for o in before.offers if o.name != offer.name]
