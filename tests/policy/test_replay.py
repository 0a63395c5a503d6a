"""What a replay says became of each request, and what would not have been held."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lapse.domain.data import from_data, to_data
from lapse.policy import evaluate
from lapse.policy import replay as replay_module
from lapse.policy.recorded import recorded
from lapse.policy.replay import EXAMPLES, Replay, ReplayEffect, ReplayReport
from support.policy_world import HOUR, TUESDAY, ask, offer, policy

OLD = policy(offer())
UNTIL = TUESDAY + 1000 * HOUR


def replayed(text, *questions, before=OLD):
    """The report on some questions that were asked under `before`, none of them held."""
    replay = Replay(policy(text))
    for number, question in enumerate(questions):
        replay.asked(f"req_{number}", recorded(question), evaluate(before, question).terms)
    return replay.report(TUESDAY, UNTIL)


def effects(report):
    return {group.effect: group.requests for group in report.groups}


CHANGES = [
    (offer(), ReplayEffect.UNCHANGED),
    (offer().replace("group:developers", "sam"), ReplayEffect.DENIED),
    (offer().replace("2h", "30m"), ReplayEffect.SHORTENED),
    (offer(approved_by="owner, sam").replace("from:", "quorum: 2, from:"), ReplayEffect.MORE_APPROVALS),
    (offer(approved_by=""), ReplayEffect.AUTOMATIC),
    (offer(approved_by="manager"), ReplayEffect.OTHER_APPROVERS),
    (offer("justification: required"), ReplayEffect.DENIED),
]


@pytest.mark.parametrize(("text", "effect"), CHANGES)
def test_each_request_has_one_effect(text, effect):
    report = replayed(text, ask())
    assert effects(report) == {effect: 1}
    assert report.persons_affected == (0 if effect is ReplayEffect.UNCHANGED else 1)


def test_fewer_approvals_and_break_glass_are_told_apart():
    two = policy(offer(approved_by="owner, sam").replace("from:", "quorum: 2, from:"))
    assert effects(replayed(offer(), ask(), before=two)) == {ReplayEffect.FEWER_APPROVALS: 1}
    loud = offer().replace("approvals: [{from: [owner]}]", "break_glass: {review_within: 1d, reviewers: lea}")
    assert effects(replayed(loud, ask(break_glass=True))) == {ReplayEffect.BREAK_GLASS: 1}
    report = replayed(offer(), ask(break_glass=True), before=policy(loud))
    assert effects(report) == {ReplayEffect.MORE_APPROVALS: 1}
    assert report.groups[0].examples[0].detail == "offer `read` takes 1 approval; it took a review afterwards"


def test_what_was_refused_may_be_newly_allowed_or_stay_refused():
    report = replayed(offer().replace("2h", "4h"), ask(hours=3), ask(hours=9))
    assert effects(report) == {ReplayEffect.ALLOWED: 1, ReplayEffect.UNCHANGED: 1}
    assert (report.requests, report.refused) == (2, 2)
    assert report.groups[0].examples[0].detail == "offer `read` takes 1 approval; it was refused"


def test_what_cannot_be_said_is_said():
    report = replayed(offer("budget: {most: 3h, per: 1d}"), ask(history=None))
    assert effects(report) == {ReplayEffect.UNKNOWN: 1}


def test_persons_are_counted_once_under_all_their_names():
    text = offer().replace("group:developers", "tim")
    before = policy(offer().replace("group:developers", "[group:developers, group:dba]"))
    report = replayed(text, ask("carl"), ask("carl-admin"), ask("alice"), before=before)
    assert (report.groups[0].requests, report.groups[0].persons, report.persons_affected) == (3, 2, 2)


def test_a_few_examples_are_kept_with_the_reason():
    report = replayed(offer().replace("2h", "30m"), *[ask()] * 9)
    (group,) = report.groups
    assert len(group.examples) == EXAMPLES
    example = group.examples[0]
    assert (example.subject, example.requester, example.entitlement) == ("req_0", "alice", "pg-prod/reader")
    assert example.detail == "at most 30m: no offer fits: `read` allows at most 30m (asked 1h)"
    assert from_data(ReplayReport, to_data(report)) == report


def lived(text, hours=2.0, ended=None, *, begins=True, count=1):
    """A replay of requests for so many hours that ended after so many."""
    replay = Replay(policy(text))
    question = ask(hours=hours)
    for number in range(count):
        replay.asked(f"r{number}", recorded(question), evaluate(OLD, question).terms)
        replay.granted(f"r{number}", f"g{number}", hours * HOUR)
        if begins:
            replay.began(f"g{number}", TUESDAY)
        if ended is not None:
            replay.ended(f"g{number}", TUESDAY + ended * HOUR)
    return replay.report(TUESDAY, UNTIL)


def figures(report):
    return report.held / HOUR, report.saved / HOUR, report.open


def test_time_that_was_held_and_would_not_have_been_is_saved():
    assert figures(lived(offer(), ended=2)) == (2, 0, 0)
    assert figures(lived(offer().replace("2h", "30m"), ended=2)) == (2, 1.5, 0)
    assert figures(lived(offer().replace("2h", "30m"), ended=0.25)) == (0.25, 0, 0)
    assert figures(lived(offer().replace("group:developers", "sam"), ended=1.5)) == (1.5, 1.5, 0)


def test_what_is_not_over_counts_as_promised_and_is_counted():
    assert figures(lived(offer().replace("2h", "30m"))) == (2, 1.5, 1)


def test_what_never_began_was_not_held():
    assert figures(lived(offer(), ended=2, begins=False)) == (0, 0, 0)


def test_a_request_that_came_to_nothing_holds_nothing():
    replay = Replay(OLD)
    replay.asked("r", recorded(ask()), evaluate(OLD, ask()).terms)
    replay.closed("r")
    replay.granted("r", "g", HOUR)
    replay.began("g", TUESDAY)
    replay.ended("g", TUESDAY + HOUR)
    assert figures(replay.report(TUESDAY, UNTIL)) == (0, 0, 0)


def test_a_request_with_several_occurrences_holds_all_of_them():
    replay = Replay(policy(offer().replace("2h", "30m")))
    replay.asked("r", recorded(ask()), evaluate(OLD, ask()).terms)
    for number in range(2):
        replay.granted("r", f"g{number}", HOUR)
    for number in range(2):
        replay.began(f"g{number}", TUESDAY + number * 24 * HOUR)
        replay.ended(f"g{number}", TUESDAY + (24 * number + 1) * HOUR)
    assert figures(replay.report(TUESDAY, UNTIL)) == (2, 1, 0)


def test_only_so_many_are_followed_at_a_time(monkeypatch):
    monkeypatch.setattr(replay_module, "MOST_OPEN", 3)
    report = lived(offer().replace("2h", "30m"), count=10)
    assert figures(report) == (20, 15, 10)


def test_unreadable_entries_are_counted():
    replay = Replay(OLD)
    replay.unreadable()
    assert replay.report(TUESDAY, UNTIL).unreadable == 1


def test_the_same_terms_are_compared_once_and_others_are_not_mistaken_for_them(monkeypatch):
    monkeypatch.setattr(replay_module, "_MOST_EFFECTS", 2)
    replay = Replay(policy(offer().replace("2h", "4h")))
    for number in range(20):
        rule = offer(approved_by=["owner", "manager", "lea", ""][number % 4])
        terms = evaluate(policy(rule), ask()).terms
        replay.asked(f"r{number}", recorded(ask()), terms)
    assert effects(replay.report(TUESDAY, UNTIL)) == {
        ReplayEffect.UNCHANGED: 5,
        ReplayEffect.OTHER_APPROVERS: 10,
        ReplayEffect.MORE_APPROVALS: 5,
    }


def test_how_many_were_evaluated_can_be_asked():
    replay = Replay(OLD)
    for _ in range(5):
        replay.asked("r", recorded(ask()), None)
    assert (replay.requests, replay.evaluated) == (5, 1)
    assert replay.report(TUESDAY, UNTIL).since + timedelta(0) == TUESDAY
