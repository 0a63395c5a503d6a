"""Access requests of Teleport as evidence: who asked for what, who decided, and how it ended."""

from __future__ import annotations

import pytest

from support.aws_files import problems
from support.teleport_events import (
    BOB,
    at,
    created,
    read_events,
    request,
)

# Requests and decisions


def test_a_request_has_the_state_that_was_decided_and_votes_have_their_authors(tmp_path):
    result = read_events(
        tmp_path,
        request("review", "01T10:05:00", state="APPROVED", proposed_state="APPROVED", reviewer=BOB, reason="go on"),
        created(),
        request("review", "01T10:03:00", proposed_state="APPROVED", reviewer="cat"),
    )
    (row,) = result.requests
    assert {key: row[key] for key in row if row[key] is not None} == {
        "request_id": "r-1",
        "requester": "ann",
        "beneficiary": "ann",
        "entitlement": "teleport-main/admin",
        "resource": "teleport-main",
        "state": "approved",
        "created_at": at("01T10:00:00.123456"),
        "requested_s": 28800,
        "justification": "outage",
        "closed_at": at("01T10:05:00.123456"),
        "close_reason": "go on",
    }
    votes = [(v["approver"], v["person"], v["verdict"], v["stage"]) for v in result.decisions]
    assert votes == [("bob", "bob", "approve", "review"), ("cat", "cat", "approve", "review")]


@pytest.mark.parametrize(
    ("later", "state", "votes"),
    [
        ([], "pending", []),
        ([request("update", "01T10:01:00", state="DENIED", updated_by=BOB)], "denied", [("bob", "deny")]),
        (
            [request("update", "01T10:01:00", state="APPROVED", delegator=BOB, updated_by="bot")],
            "approved",
            [("bob", "approve")],
        ),
        ([request("expire", "01T11:00:00")], "expired", []),
        ([request("delete", "01T11:00:00")], "cancelled", []),
        (
            [request("expire", "01T19:00:00"), request("update", "01T10:01:00", state="APPROVED", updated_by=BOB)],
            "approved",
            [("bob", "approve")],
        ),
        (
            [
                request("update", "01T12:00:00", state="DENIED", updated_by=BOB),
                request("update", "01T10:01:00", state="APPROVED", updated_by=BOB),
            ],
            "denied",
            [("bob", "deny"), ("bob", "approve")],
        ),
        (
            [request("review", "01T10:01:00", state="PROMOTED", proposed_state="PROMOTED", reviewer=BOB)],
            "approved",
            [("bob", "approve")],
        ),
    ],
)
def test_the_latest_decision_is_the_state_whatever_the_order_of_events(tmp_path, later, state, votes):
    result = read_events(tmp_path, *later, created())
    assert result.requests[0]["state"] == state
    assert [(row["approver"], row["verdict"]) for row in result.decisions] == votes


def test_requests_for_one_resource_name_it_and_for_several_are_listed_for_teleport(tmp_path):
    one, other = {"cluster": "main", "kind": "db", "name": "pg-prod"}, {"kind": "db", "name": "pg-test"}
    result = read_events(
        tmp_path,
        created(id="r-1", resource_ids=[one], roles=["reader"]),
        created(id="r-2", resource_ids=[one, other]),
        created(
            id="r-3", roles=["b", "a"], max_duration="2026-07-01T12:00:00Z", assume_start_time="2026-07-01T11:00:00Z"
        ),
    )
    rows = {row["request_id"]: (row["entitlement"], row["requested_s"]) for row in result.requests}
    assert rows == {
        "r-1": ("pg-prod/reader", 28800),
        "r-2": ("teleport-main/admin", 28800),
        "r-3": ("teleport-main/a+b", 3600),
    }
    assert problems(result) == {
        "requests for several resources at once are listed for Teleport as a whole": 1,
        "requests for several roles at once are listed under all of their names": 1,
    }


def test_a_vote_on_a_request_that_was_made_before_the_log_is_evidence_and_the_request_is_counted(tmp_path):
    result = read_events(tmp_path, request("review", state="APPROVED", proposed_state="APPROVED", reviewer=BOB))
    assert (len(result.decisions), result.requests) == (1, [])
    assert problems(result) == {"requests whose making is not in the log: only the votes on them are evidence": 1}
