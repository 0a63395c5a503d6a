"""The count of votes, slowly: sets, fixed points and plain loops, written from docs/approvals.md alone.

It shares nothing with `lapse.domain.approval` and `approvers`, which it judges in `tests/domain/test_approval.py`.
"""

from __future__ import annotations

from datetime import timedelta


def slow_chain(org, name):
    chain = []
    while name in org.principals and len(chain) <= len(org.principals):
        chain.append(org.principals[name])
        name = chain[-1].alias_of
        if name == "":
            return chain
    return None


def slow_person(org, name):
    chain = slow_chain(org, name)
    if chain is None or any(one.kind != "person" or not one.active for one in chain):
        return None
    return chain[-1].name


def slow_reached(org, name):
    """All names reached over aliases, sponsors and owners."""
    reached = {name}
    for _ in range(len(org.principals) + 1):
        for known in [org.principals[one] for one in reached if one in org.principals]:
            reached |= {known.alias_of, known.sponsor, known.owner} - {""}
    return reached


def slow_humans(org, name):
    """The real persons behind a name, active or not, as far as links lead somewhere."""
    chains = [slow_chain(org, one) for one in slow_reached(org, name)]
    return {chain[-1].name for chain in chains if chain and chain[-1].kind == "person"}


def slow_behind(org, name):
    """The real persons behind a name; None if one of them is not known, or nobody is."""
    if any(slow_chain(org, one) is None for one in slow_reached(org, name)):
        return None
    return slow_humans(org, name) or None


def slow_members(org, group):
    groups = {group}
    for _ in range(len(org.groups) + 1):
        for one in groups & set(org.groups):
            groups = groups | set(org.groups[one].groups)
    return {member for one in groups & set(org.groups) for member in org.groups[one].members}


def slow_names(org, party, asked, on_call):
    if party == "owner":
        party = org.resources["pg"].owner
    elif party == "manager":
        party = org.principals[asked.beneficiary].manager if asked.beneficiary in org.principals else ""
    if party.startswith("oncall:"):
        return set(on_call.get(party.removeprefix("oncall:"), ()))
    return slow_members(org, party.removeprefix("group:")) if party.startswith("group:") else {party}


def slow_readable(org, party, on_call):
    if party.startswith("group:"):
        return party.removeprefix("group:") in org.groups
    return not party.startswith("oncall:") or party.removeprefix("oncall:") in on_call


def slow_barred(org, asked, stage, on_call):
    """Those who never count in a stage; None if that is not known."""
    behind = [slow_behind(org, asked.requester), slow_behind(org, asked.beneficiary)]
    if None in behind or not all(slow_readable(org, party, on_call) for party in stage.excluded):
        return None
    barred = behind[0] | behind[1]
    for party in stage.excluded:
        for name in slow_names(org, party, asked, on_call):
            barred = barred | slow_humans(org, name)
    return barred


def slow_able(org, asked, stage, on_call, open_for=timedelta(0)):
    """Those in whose right a stage may be decided, `open_for` after it opened."""
    barred = slow_barred(org, asked, stage, on_call)
    if barred is None:
        return set()
    if stage.everyone and not all(slow_readable(org, party, on_call) for party in stage.approvers):
        return set()
    parties = list(stage.approvers)
    for escalation in stage.escalations:
        if open_for >= escalation.after:
            parties += escalation.approvers
    names = set().union(*(slow_names(org, party, asked, on_call) for party in parties))
    return {slow_person(org, name) for name in names} - {None} - barred


def slow_enough(org, asked, number, said, on_call):
    """Whether the yes votes in stage `number` suffice. `said` has for each stage (person, mandate, was asked first)."""
    stage = asked.terms.stages[number]
    if len(said[number]) < stage.quorum:
        return False
    if not stage.everyone:
        return True
    elsewhere = {who for i, votes in enumerate(said) if i != number for vote in votes for who in vote[:2]}
    silent = slow_able(org, asked, stage, on_call) - elsewhere - {mandate for _, mandate, _ in said[number]}
    stand_ins = [vote for vote in said[number] if not vote[2]]
    return len(silent) <= len(stand_ins)


def slow_tally(asked, cast, org):  # noqa: C901  one loop that can be read from top to bottom
    """For each stage who said yes and when it was met; then who said no, and the ids of the votes that count."""
    stages = asked.terms.stages
    said, met, counted = [[] for _ in stages], [None for _ in stages], []
    interested = slow_humans(org, asked.requester) | slow_humans(org, asked.beneficiary)
    for vote in sorted(cast, key=lambda vote: (vote.decided_at, vote.id)):
        person = slow_person(org, vote.approver)
        heard = {who for votes in said for who, _, _ in votes}
        used = {mandate for votes in said for _, mandate, _ in votes}
        acts_for_interested = any(slow_humans(org, name) & interested for name in vote.acts_for)
        if vote.id in asked.void or person is None or person in heard or acts_for_interested:
            continue
        mandate = person
        if vote.on_behalf_of:
            mandate = slow_person(org, vote.on_behalf_of) if vote.on_behalf_of in vote.acts_for else None
        places = []
        for number, stage in enumerate(stages):
            opened = asked.created_at if asked.terms.in_parallel or number == 0 else met[number - 1]
            if opened is None or met[number] is not None:
                continue
            able = slow_able(org, asked, stage, vote.on_call, vote.decided_at - opened)
            if mandate in able and person not in slow_barred(org, asked, stage, vote.on_call):
                places.append(number)
        if vote.stage in [stage.name for stage in stages]:
            places = [number for number in places if stages[number].name == vote.stage]
        if not places:
            continue
        place = places[0]
        if vote.verdict == "deny":
            return said, met, person, [*counted, vote.id]
        if mandate in used:
            continue
        said[place].append((person, mandate, mandate in slow_able(org, asked, stages[place], vote.on_call)))
        counted.append(vote.id)
        if slow_enough(org, asked, place, said, vote.on_call):
            met[place] = vote.decided_at
    return said, met, None, counted


def slow_acting(org, person, moment):
    """Whom a person acts for."""
    return {
        one.principal
        for one in moment.delegations
        if slow_person(org, one.delegate) == person
        and one.starts_at <= moment.at < (one.ended_early_at or one.ends_at)
        and moment.at < one.ends_at
        and (slow_chain(org, one.principal) or [None])[-1] != org.principals[person]
    }
