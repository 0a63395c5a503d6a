"""Proposals of policy changes: each with its evidence, and a patch that changes one thing."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from lapse.domain.data import from_data, to_data
from lapse.domain.errors import Conflict, InvalidInput, NotFound, Unavailable
from lapse.policy import parse, version_of
from lapse.policy.effects import DiffEffect, Effects
from lapse.review.adjust.filing import files_after, proposal_called, with_effects
from lapse.review.adjust.model import PolicyProposal, ProposalKind
from lapse.review.adjust.stage import adjust
from lapse.review.model import Adjustments
from support.evidence_rows import evidence

START = datetime(2026, 7, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
POLICY = """\
# Who may have what.
version: 1

offers:
  # For everyday questions.
  - name: read
    entitlements: pg/reader
    to: group:dev
    max_duration: 8h # a day
    approvals:
      - from: group:leads
    pending_timeout: 8h

  - name: write
    entitlements: "pg/writer"
    to: group:dev
    max_duration: 2h
    justification: {min_length: 15}
    approvals:
      - from: [owner, group:dba]
        quorum: 2

  - name: emergency
    entitlements: pg/admin
    to: group:dba
    max_duration: 1h
    break_glass: {review_within: 24h, reviewers: [group:leads]}
"""
FILES = {"rules.yaml": POLICY}


def policies(files=None, activated_at=START - timedelta(days=100)):
    files = FILES if files is None else files
    row = {"policy_version": version_of(files), "files": json.dumps(files), "active": True}
    return [row | {"activated_at": activated_at}]


def offered(*names):
    known = {"read": ("pg/reader", 8, 1), "write": ("pg/writer", 2, 2), "emergency": ("pg/admin", 1, 0)}
    return [
        {
            "policy_version": "v", "offer": name, "entitlement": known[name][0], "resource": "pg",
            "max_duration_s": known[name][1] * 3600, "approvals": known[name][2],
        }
        for name in names or known
    ]  # fmt: skip


def request(number, offer="read", state="approved", at=START, **more):
    return {
        "request_id": f"r{number}", "requester": "ann", "beneficiary": "ann", "entitlement": "pg/reader",
        "resource": "pg", "state": state, "created_at": at, "offer": offer,
    } | more  # fmt: skip


def granted(number, used, *, held=8 * HOUR):
    begin = START + number * timedelta(hours=20)
    grant = {
        "grant_id": f"g{number}", "request_id": f"r{number}", "beneficiary": "ann", "account": "ann", "resource": "pg",
        "role": "reader", "entitlement": "pg/reader", "state": "ended", "activated_at": begin, "ended_at": begin + held,
    }  # fmt: skip
    use = {"resource": "pg", "account": "ann", "grant_id": f"g{number}", "started_at": begin, "ended_at": begin + used}
    return grant, use


def asked(number, offer="read", *, wait=None, verdict="approve", stage="leads", state="approved"):
    at = START + timedelta(hours=number)
    vote = {
        "decision_id": f"d{number}", "request_id": f"r{number}", "approver": "lea", "person": "lea", "stage": stage,
        "verdict": verdict, "decided_at": at + (wait or timedelta()),
    }  # fmt: skip
    return (
        request(number, offer, state, at),
        {"request_id": f"r{number}", "stage": stage, "position": 0, "quorum": 1, "approvers": f"group:{stage}"},
        vote if wait is not None else None,
    )


def adjusted(tmp_path, tables, **more):
    tables = {"policies": policies(), "offers": offered(), **tables}
    with evidence(tmp_path / "s", tables, **more) as (engine, snapshot):
        result = adjust(engine, snapshot)
    assert from_data(Adjustments, json.loads(json.dumps(to_data(result)))) == result
    return result


def of_kind(result, kind):
    return [one for one in result.proposals if one.kind is kind]


def why_not(result, kind, subject):
    return next(one.reason for one in result.not_proposed if (one.kind, one.subject) == (kind, subject))


def applied(proposal, tmp_path, files=FILES):
    """The files after `patch` (the program) has applied the proposal's patch."""
    folder = tmp_path / "applied"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    subprocess.run(["patch", "-p1", "-s"], cwd=folder, input=proposal.patch, text=True, check=True)
    return {path.name: path.read_text() for path in folder.iterdir()}


def durations(used, tmp_path, **more):
    pairs = [granted(n, length) for n, length in enumerate(used)]
    tables = {
        "grants": [grant for grant, _ in pairs],
        "usage": [use for _, use in pairs],
        "requests": [request(n, at=START + n * HOUR) for n in range(len(used))],
        "coverage": [{"resource": "pg", "from_at": START, "to_at": START + timedelta(days=92), "complete": True}],
    }
    return adjusted(tmp_path, tables, **more)


def test_a_shorter_maximum_covers_99_of_100_uses_and_leaves_the_time_in_all(tmp_path):
    result = durations([50 * timedelta(minutes=1)] * 98 + [5 * HOUR], tmp_path)
    [proposal] = of_kind(result, ProposalKind.DURATION)
    assert (proposal.subject, proposal.current, proposal.proposed) == ("read", 8 * HOUR, 6 * HOUR)
    result = durations([50 * timedelta(minutes=1)] * 100 + [5 * HOUR], tmp_path / "more")
    [proposal] = of_kind(result, ProposalKind.DURATION)
    assert (proposal.proposed, proposal.samples, proposal.covers) == (HOUR, 101, 0.9901)
    assert proposal.saved_hours == 101 * 7
    assert [line for line in proposal.patch.splitlines() if line[:1] in "+-" and line[:3] not in {"+++", "---"}] == [
        "-    max_duration: 8h # a day",
        "+    max_duration: 1h # a day",
        "+    max_total: 8h",
    ]
    after = files_after(proposal, version_of(FILES), FILES)
    assert applied(proposal, tmp_path) == after
    read = parse(after).offers[0]
    assert (read.needs.max_duration, read.needs.max_total) == (HOUR, 8 * HOUR)


def test_too_few_uses_and_a_maximum_that_is_needed_are_reasons(tmp_path):
    few = durations([HOUR] * 5, tmp_path / "a")
    assert "at least 20" in why_not(few, ProposalKind.DURATION, "read")
    needed = durations([7 * HOUR] * 30, tmp_path / "b")
    assert "needed as it is" in why_not(needed, ProposalKind.DURATION, "read")
    assert "emergencies" in why_not(needed, ProposalKind.DURATION, "emergency")
    nothing = adjusted(tmp_path / "c", {"offers": []})
    assert why_not(nothing, ProposalKind.DURATION, "") == "there is no evidence in grants, usage, coverage"


def test_a_review_of_a_part_does_not_speak_for_the_whole_offer(tmp_path):
    wide = {"rules.yaml": POLICY.replace("entitlements: pg/reader", 'entitlements: "*/reader"')}
    result = durations([HOUR] * 30, tmp_path / "a", selector="resource:pg")
    assert of_kind(result, ProposalKind.DURATION)
    tables = {"policies": policies(wide), "requests": [], "grants": [], "usage": [], "coverage": []}
    part = adjusted(tmp_path / "b", tables, selector="resource:pg")
    assert "only a part" in why_not(part, ProposalKind.DURATION, "read")
    assert "only a part" in why_not(part, ProposalKind.UNUSED, "read")


def test_offers_that_nobody_took_up_are_taken_out_with_their_comments(tmp_path):
    eligible = [{"principal": name, "entitlement": "pg/reader", "resource": "pg", "offer": "read"} for name in "ab"]
    result = adjusted(tmp_path, {"requests": [request(1, "write")], "eligibilities": eligible})
    [proposal] = of_kind(result, ProposalKind.UNUSED)
    assert (proposal.subject, proposal.reason) == (
        "read",
        "nobody asked for anything under it in the whole period; 2 may",
    )
    after = files_after(proposal, version_of(FILES), FILES)
    assert [offer.name for offer in parse(after).offers] == ["write", "emergency"]
    assert "everyday" not in after["rules.yaml"]
    assert applied(proposal, tmp_path) == after


def test_a_new_offer_is_not_called_unused(tmp_path):
    tables = {"requests": [], "policies": policies(activated_at=START + timedelta(days=3))}
    result = adjusted(tmp_path, tables)
    assert of_kind(result, ProposalKind.UNUSED) == []
    assert "not in force for the whole period" in why_not(result, ProposalKind.UNUSED, "read")
    older = {"old.yaml": POLICY.replace("name: read", "name: other")}
    both = policies(older) + policies(activated_at=START + HOUR)
    both[0]["active"] = False
    result = adjusted(tmp_path / "b", tables | {"policies": both})
    assert {one.subject for one in of_kind(result, ProposalKind.UNUSED)} == {"write"}


def test_a_period_that_has_hardly_begun_says_nothing_about_use(tmp_path):
    result = adjusted(tmp_path, {"requests": []}, as_of=START + timedelta(days=9))
    assert of_kind(result, ProposalKind.UNUSED) == []
    assert why_not(result, ProposalKind.UNUSED, "") == "less than 28 days of the period are over"


def rows_of(triples):
    requests, stages, votes = zip(*triples, strict=True)
    return {"requests": list(requests), "stages": list(stages), "decisions": [vote for vote in votes if vote]}


def test_approvers_who_let_requests_expire_get_somebody_beside_them(tmp_path):
    triples = [asked(n, wait=HOUR) for n in range(9)] + [asked(n, state="expired") for n in range(9, 13)]
    [proposal] = of_kind(adjusted(tmp_path, rows_of(triples)), ProposalKind.BLOCKED)
    assert proposal.subject == "read: leads"
    assert "4 of 13 requests put to group:leads expired undecided" in proposal.reason
    stage = parse(files_after(proposal, version_of(FILES), FILES)).offers[0].needs.stages[0]
    assert (stage.escalations[0].after, stage.escalations[0].approvers) == (2 * HOUR, ("owner",))


def test_approvers_whom_the_owner_helps_already_are_reminded(tmp_path):
    triples = [asked(n, "write", wait=9 * HOUR, stage="owner-or-dba") for n in range(12)]
    [proposal] = of_kind(adjusted(tmp_path, rows_of(triples)), ProposalKind.BLOCKED)
    assert "half of the others waited 9h" in proposal.reason
    stage = parse(files_after(proposal, version_of(FILES), FILES)).offers[1].needs.stages[0]
    assert stage.remind_after == timedelta(minutes=30)


def test_approvers_who_wave_through_are_given_something_to_judge(tmp_path):
    quick = [asked(n, wait=timedelta(seconds=8)) for n in range(40)]
    [proposal] = of_kind(adjusted(tmp_path / "a", rows_of(quick)), ProposalKind.WAVED)
    assert proposal.reason == "group:leads said yes to 100.0% of 40, half of them within 8s: nobody can have looked"
    after = files_after(proposal, version_of(FILES), FILES)
    assert parse(after).offers[0].needs.justification.real
    asks = [asked(n, "write", wait=timedelta(seconds=8), stage="owner-or-dba") for n in range(40)]
    [proposal] = of_kind(adjusted(tmp_path / "b", rows_of(asks)), ProposalKind.WAVED)
    assert (proposal.patch, proposal.changed) == ("", {})
    assert "for people to say" in proposal.not_patched


def test_approvers_who_take_a_while_or_say_no_are_left_alone(tmp_path):
    slow = [asked(n, wait=timedelta(minutes=20)) for n in range(40)]
    strict = [asked(n + 50, wait=timedelta(seconds=3), verdict="deny", state="denied") for n in range(40)]
    few = [asked(n + 100, "write", wait=9 * HOUR, stage="x") for n in range(9)]
    result = adjusted(tmp_path, rows_of(slow + strict + few))
    assert of_kind(result, ProposalKind.BLOCKED) == of_kind(result, ProposalKind.WAVED) == []


def standing(*people, role="app_admin", **more):
    return {
        "access_observed": [
            {"resource": "pg", "account": name, "role": role, "holding": "direct", "can_login": True, "principal": name}
            for name in people
        ],
        "entitlements": [{"entitlement": "pg/admin", "resource": "pg", "role": "admin", "native_role": role}],
        "principals": [{"principal": name, "kind": "person", "active": True} for name in people],
        "resources": [{"resource": "pg", "owner": "olga"}],
        "requests": [request(1, "read"), request(2, "write")],
        **more,
    }


def work(account, day, hours):
    begin = START + timedelta(days=day)
    return {"resource": "pg", "account": account, "started_at": begin, "ended_at": begin + timedelta(hours=hours)}


def test_standing_access_becomes_an_offer_for_the_time_that_work_takes(tmp_path):
    groups = {"dba": ["ann", "ben", "cleo"], "all": [f"p{n}" for n in range(50)] + ["ann", "ben"]}
    tables = standing(
        "ann",
        "ben",
        usage=[work("ann", n, 2.2) for n in range(10)],
        group_members=[{"group_name": g, "principal": p} for g, members in groups.items() for p in members],
    )
    [proposal] = of_kind(adjusted(tmp_path, tables), ProposalKind.STANDING)
    assert proposal.title == "`pg/admin` for 3h at a time, instead of for ever"
    assert proposal.reason == (
        "2 people hold it without an end; a piece of work took at most 3h; approved like `write`"
    )
    assert proposal.saved_hours == pytest.approx(2 * 92 * 24 - 22, abs=0.1)
    after = files_after(proposal, version_of(FILES), FILES)
    new = parse(after).offers[-1]
    assert (new.name, new.selector.to, new.needs.max_duration) == ("pg-admin-on-request", ("group:dba",), 3 * HOUR)
    write = parse(FILES).offers[1]
    assert (new.needs.stages, new.needs.justification) == (write.needs.stages, write.needs.justification)
    assert applied(proposal, tmp_path) == after


def test_people_without_a_group_of_their_own_are_named(tmp_path):
    [proposal] = of_kind(adjusted(tmp_path, standing("ann", "ben")), ProposalKind.STANDING)
    assert "like offers nearby" in proposal.reason
    new = parse(files_after(proposal, version_of(FILES), FILES)).offers[-1]
    assert (new.selector.to, new.needs.max_duration) == (("ann", "ben"), 2 * HOUR)


def test_who_may_ask_already_needs_no_change_of_policy(tmp_path):
    eligible = [{"principal": "ann", "entitlement": "pg/admin", "resource": "pg", "offer": "admins"}]
    [proposal] = of_kind(adjusted(tmp_path, standing("ann", eligibilities=eligible)), ProposalKind.STANDING)
    assert (proposal.patch, proposal.not_patched) == (
        "",
        "no change of policy is needed: they may ask for it already",
    )


def test_services_accepted_access_and_work_around_the_clock_are_no_offers(tmp_path):
    service = standing("etl", principals=[{"principal": "etl", "kind": "service", "active": True}])
    assert "only services" in why_not(adjusted(tmp_path / "a", service), ProposalKind.STANDING, "pg/admin")
    always = standing("ann", usage=[work("ann", 3 * n, 40) for n in range(8)])
    assert "no work of a person" in why_not(adjusted(tmp_path / "b", always), ProposalKind.STANDING, "pg/admin")
    accepted = [{"resource": "pg", "account": "ann", "until": START + timedelta(days=900)}]
    result = adjusted(tmp_path / "c", standing("ann", exceptions=accepted))
    assert not any(one.kind is ProposalKind.STANDING for one in (*result.proposals, *result.not_proposed))


def test_without_a_policy_on_record_proposals_are_advice(tmp_path):
    result = durations([HOUR] * 30, tmp_path)
    assert of_kind(result, ProposalKind.DURATION)[0].base == version_of(FILES)
    blind = {"policies": [], **standing("ann")}
    [proposal] = of_kind(adjusted(tmp_path / "b", blind), ProposalKind.STANDING)
    assert (proposal.patch, proposal.base, proposal.not_patched) == ("", "", "no policy in force is on record")


PROPOSAL = PolicyProposal(
    id="adj_1",
    kind=ProposalKind.UNUSED,
    subject="read",
    title="t",
    reason="r",
    base="v1",
    changed={"a.yaml": "new", "b.yaml": None},
    patch="--- a\n",
)


def test_filing_refuses_once_another_policy_is_in_force():
    assert files_after(PROPOSAL, "v1", {"a.yaml": "old", "b.yaml": "x", "c.yaml": "y"}) == {
        "a.yaml": "new",
        "c.yaml": "y",
    }
    with pytest.raises(Conflict, match="the policy has changed since the review was made"):
        files_after(PROPOSAL, "v2", {"a.yaml": "old"})


def test_only_what_has_a_patch_can_be_filed():
    advice = PolicyProposal(
        id="adj_2", kind=ProposalKind.WAVED, subject="s", title="t", reason="r", not_patched="it is so"
    )
    adjustments = Adjustments(proposals=(PROPOSAL, advice))
    assert proposal_called(adjustments, "adj_1") is PROPOSAL
    with pytest.raises(NotFound, match="no proposal `adj_3`"):
        proposal_called(adjustments, "adj_3")
    with pytest.raises(InvalidInput, match="it is so"):
        proposal_called(adjustments, "adj_2")


async def test_effects_are_computed_while_there_is_time_and_failures_are_said():
    effects = Effects(diff=DiffEffect(equivalent=True))
    clock = [START]

    async def consequences(proposal, since):
        assert since == START
        clock[0] += timedelta(minutes=2)
        if proposal.id == "adj_2":
            raise Unavailable("the ledger does not answer")
        return effects

    proposals = [PolicyProposal(**{**_fields(PROPOSAL), "id": f"adj_{n}"}) for n in range(1, 5)]
    advice = PolicyProposal(id="adj_0", kind=ProposalKind.WAVED, subject="s", title="t", reason="r")
    found = await with_effects(Adjustments(proposals=(advice, *proposals)), consequences, START, lambda: clock[0])
    assert [one.effects for one in found.proposals] == [None, effects, None, None, None]
    assert [one.effects_missing for one in found.proposals] == [
        "",
        "",
        "the ledger does not answer",
        *["there was no time left for it; filing the proposal computes it"] * 2,
    ]
    nobody = await with_effects(Adjustments(proposals=(PROPOSAL,)), None, START, lambda: START)
    assert nobody.proposals[0].effects_missing == "nobody computed it"


def _fields(proposal):
    return {name: getattr(proposal, name) for name in proposal.__dataclass_fields__}
