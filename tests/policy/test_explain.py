from lapse.policy import evaluate, explain_lines
from support.policy_world import ask, limit, offer, policy

TEXT = offer("max_total: 6h") + limit("to: group:dba\nticket: required") + "  - {name: day, max_duration: 8h}\n"


def lines(who="alice", hours=1, **options):
    evaluation = evaluate(policy(TEXT), ask(who, hours=hours))
    *shown, version = explain_lines(evaluation, **options)
    assert version == f"policy {evaluation.policy_version}"
    return shown


def test_an_answer_with_its_terms_and_rules():
    assert lines() == [
        "allowed: offer `read` allows it with approval by 1 of `owner`",
        "  longest: 2h, with extensions 6h",
        "  approval 1 (owner): 1 of owner",
        "  waits for approval: 1d",
        "+ offer `read`: satisfied (chosen)  p.yaml:3",
        "    + is about `pg-prod/reader` (`pg-*/*`)",
        "    + is made to `alice`",
        "    + allows at most 2h (asked 1h)",
        "+ limit `day`: satisfied  p.yaml:13",
        "    + is about every entitlement",
        "    + binds everybody",
        "    + allows at most 8h (asked 1h)",
        "  1 limit about something else",
    ]


def test_a_refusal_says_what_to_try():
    shown = lines(hours=9)
    assert shown[:2] == ["denied: limit `day` allows at most 8h (asked 9h)", "try: ask for 2h or less"]
    assert "- offer `read`: unsatisfied  p.yaml:3" in shown
    assert "    - allows at most 8h (asked 9h)" in shown


def test_rules_about_something_else_are_shown_on_demand():
    assert "  limit `limit`: not applicable  p.yaml:10" in lines(everything=True)
    assert "      binds only `group:dba`" in lines(everything=True)


def test_somebody_inactive_is_told():
    assert "- the requester `gone` is not active (or who stands behind it is not)" in lines(who="gone")


def test_automatic_approval_needs_no_stage():
    text = offer(approved_by="")
    shown = explain_lines(evaluate(policy(text), ask()))
    assert shown[0] == "allowed: offer `read` allows it without approval"
    assert not any("approval 1" in line for line in shown)
