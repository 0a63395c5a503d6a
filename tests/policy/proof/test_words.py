"""Questions and answers that proofs show, in words."""

from datetime import timedelta

from lapse.domain.requests import Ticket
from lapse.policy import History, PastGrant, PastRequest, TicketFacts, TicketStatus, evaluate
from lapse.policy.proof.words import answer_words, asked_words, detail_of, lines_of, terms_words, who_words
from support.policy_world import HOUR, TUESDAY, ask, offer, policy


def answer(text, **facts):
    return evaluate(policy(text), ask(**facts))


def rest(old, new):
    """What follows the short words on each side."""
    before, after = detail_of(answer(old), answer(new))
    return before.partition("; ")[2], after.partition("; ")[2]


def test_a_principal_is_named_with_what_is_known_of_it():
    assert who_words(ask("dora").requester) == "`dora` (in `dba`)"
    assert (
        who_words(ask("carl-admin").requester)
        == "`carl-admin` (an alias of `carl`, in `contractors`, `dba`, `developers`)"
    )
    assert who_words(ask("ci").requester) == "`ci` (service, whose people are in `dba`, `developers`, owner `bob`)"


def test_a_question_is_a_sentence():
    assert asked_words(ask("dora")) == "`dora` (in `dba`) asks for `pg-prod/reader` (`env=prod`, owner `lea`), 1h"
    said = asked_words(ask("dora", "wiki/reader", 2, beneficiary="tim", break_glass=True))
    assert said == "`dora` (in `dba`) asks, in an emergency, for `tim` (in `security`) for `wiki/reader`, 2h"


def test_what_else_is_so_is_a_line_each():
    history = History(
        since=TUESDAY - 1_000 * HOUR,
        grants=(PastGrant(entitlement="pg-prod/reader", begins_at=TUESDAY - 5 * HOUR, ends_at=TUESDAY - 2 * HOUR),),
        requests=(PastRequest(at=TUESDAY - HOUR, offer="a"),),
        pending=2,
        justifications=("to mend it",),
        overdue_reviews=("aft_1",),
    )
    asked = ask(
        "dora",
        history=history,
        starts_at=TUESDAY + HOUR,
        total_duration=timedelta(hours=3),
        is_extension=True,
        justification="to mend it",
        ticket=Ticket(system="jira", number="OPS-1"),
        ticket_facts=TicketFacts(status=TicketStatus.CLOSED),
    )
    assert lines_of(asked)[1:] == (
        "at Tue 2026-03-03 10:00:00 UTC, from Tue 2026-03-03 11:00:00 UTC",
        "as an extension, 3h without a gap in all",
        'because "to mend it"',
        "ticket `jira:OPS-1` (closed)",
        "after 3h of it that ended 3h before",
        "after 1 request",
        "with 2 requests waiting",
        "with the same words as before",
        "with the review of an earlier break-glass overdue",
    )


def test_an_answer_in_short():
    assert answer_words(answer(offer())) == "allowed by `read`: at most 2h, approved by 1 of `owner`"
    assert answer_words(answer(offer(), who="dora")).startswith("denied: no offer is about `pg-prod/reader` for `dora`")
    longer = offer("max_total: 8h", approved_by="")
    assert terms_words(answer(longer).terms) == "at most 2h (8h with extensions), nobody decides"
    glass = offer().replace(
        "approvals: [{from: [owner]}]", "break_glass: {review_within: 24h, reviewers: [group:security]}"
    )
    assert terms_words(answer(glass, break_glass=True).terms).endswith("at once as break-glass, reviewed within 1d")
    parallel = offer("approvals_in: parallel").replace("{from: [owner]}", "{from: owner}, {from: group:dba}")
    assert terms_words(answer(parallel).terms).endswith("approved by 1 of `owner` and 1 of `group:dba`")


def test_what_short_words_do_not_show_is_added_where_it_differs():
    stage = "{from: [owner]}"
    excepted = offer().replace(stage, "{from: [owner], except: [group:dba]}")
    assert rest(offer(), excepted) == ("nobody excepted", "except `group:dba`")
    later = offer().replace(stage, "{from: [owner], escalate: [{after: 1h, to: [tim]}]}")
    assert rest(offer(), later) == ("nobody else later", "then `tim` after 1h as well")
    reminded = offer().replace(stage, "{from: [owner], remind_after: 1h}")
    assert rest(offer(), reminded) == ("nobody is reminded", "reminded after 1h")
    assert rest(offer(), offer("pending_timeout: 1h\npurpose: tests")) == (
        "waits 1d, no purpose",
        "waits 1h, for `tests`",
    )


def test_other_reviewers_of_break_glass_are_named():
    glass = "break_glass: {review_within: 24h, reviewers: [group:security]}"
    first = offer().replace("approvals: [{from: [owner]}]", glass)
    second = first.replace("group:security", "lea")
    before, after = (answer(text, break_glass=True) for text in (first, second))
    assert [one.partition("; ")[2] for one in detail_of(before, after)] == [
        "reviewed by `group:security`",
        "reviewed by `lea`",
    ]


def test_another_order_is_said_where_nothing_else_is():
    assert rest(offer(), offer(name="other")) == ("in another order", "in another order")
