"""What every `ports.Store` does for gateways: credentials, sessions, segments, holds, and runs of their processes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lapse.domain.errors import Conflict, NotFound
from lapse.domain.grants import GrantState
from lapse.domain.holds import HoldEvent, HoldState
from lapse.domain.sessions import SessionEnd, SessionState, SessionUse
from lapse.ports import Page
from support.sessions import a_credential, a_hold, a_run, a_segment, a_session
from support.stores import HOUR, NOW, a_grant, add_grants, an_entry, ids, opened, put

ALL = Page(limit=1000, newest_first=False)
OPEN = (SessionState.OPEN,)


@pytest.fixture(params=["fake", "sqlite", "postgresql"])
async def store(request, tmp_path):
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    async with opened(request.param, tmp_path, url) as store:
        yield store


async def add_sessions(store, *sessions):
    await put(store, *(lambda tx, s=s: tx.add_session(s) for s in sessions))


def over(session, reason=SessionEnd.CLIENT):
    return session.ended(reason, at=NOW + HOUR / 2, use=SessionUse(statements=3, kinds={"SELECT": 3}), recorded=True)


# credentials


async def test_a_credential_is_found_by_its_id_and_its_login_and_nothing_else(store):
    one = a_credential()
    await store.write(lambda tx: tx.add_credential(one))
    assert await store.read(lambda r: r.credential("cre_1")) == one
    assert await store.read(lambda r: r.credential_by_login(one.login)) == one
    assert await store.read(lambda r: r.credential_by_login(one.login.upper())) is None
    with pytest.raises(NotFound, match="cre_2"):
        await store.read(lambda r: r.credential("cre_2"))


async def test_no_two_credentials_share_a_login_not_even_one_after_the_other(store):
    one = a_credential()
    await store.write(lambda tx: tx.add_credential(one))
    await store.write(lambda tx: tx.save_credentials([replace(one, revoked_at=NOW, version=1)]))
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.add_credential(a_credential("cre_2", login=one.login)))


async def test_credentials_of_a_grant_or_a_person_all_or_those_that_may_still_open_a_session(store):
    kept = [
        a_credential("cre_1"),
        a_credential("cre_2", single_use=True),
        a_credential("cre_3", grant_id="gra_2"),
        a_credential("cre_4", grant_id="gra_2", granted_to="bob"),
        a_credential("cre_5", single_use=True),
    ]
    await put(store, *(lambda tx, c=c: tx.add_credential(c) for c in kept))
    spent = replace(kept[1], used_at=NOW, version=1)
    revoked = replace(kept[2], revoked_at=NOW, version=1)
    used_often = replace(kept[0], used_at=NOW, version=1)
    await store.write(lambda tx: tx.save_credentials([spent, revoked, used_often]))
    assert await store.read(lambda r: r.credentials(ALL, grant_id="gra_1")) == [used_often, spent, kept[4]]
    assert await ids(store, lambda r: r.credentials(ALL, live_only=True)) == ["cre_1", "cre_4", "cre_5"]
    assert await ids(store, lambda r: r.credentials(ALL, granted_to="ann", live_only=True)) == ["cre_1", "cre_5"]
    assert await ids(store, lambda r: r.credentials(Page(limit=2))) == ["cre_5", "cre_4"]
    assert await ids(store, lambda r: r.credentials_in_force(NOW)) == ["cre_1", "cre_4", "cre_5"]
    assert await ids(store, lambda r: r.credentials_in_force(NOW + HOUR)) == []


async def test_a_credential_is_spent_once(store):
    one = a_credential(single_use=True)
    await store.write(lambda tx: tx.add_credential(one))
    spent = replace(one, used_at=NOW, version=1)
    await store.write(lambda tx: tx.save_credentials([spent]))
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.save_credentials([spent]))


# sessions


async def test_sessions_to_cut_are_those_told_to_end_and_those_whose_grant_is_not_active(store):
    active = a_grant("gra_1", state=GrantState.ACTIVE, ends_at=NOW + HOUR)
    ending = a_grant("gra_2", state=GrantState.REVOKING, ends_at=NOW + HOUR)
    await add_grants(store, active, ending)
    told = a_session("ses_2")
    await add_sessions(
        store,
        a_session("ses_1"),
        told,
        a_session("ses_3", grant_id="gra_2"),
        a_session("ses_4", grant_id="gra_nobody_knows"),
        a_session("ses_5", grant_id="gra_2", gateway="gw-2"),
        over(a_session("ses_6", grant_id="gra_2")),
    )
    await store.write(lambda tx: tx.save_sessions([told.told_to_end(SessionEnd.KILLED, "bob")]))
    assert await ids(store, lambda r: r.sessions_to_cut("gw-1")) == ["ses_2", "ses_3", "ses_4"]
    assert await ids(store, lambda r: r.sessions_to_cut("gw-3")) == []


async def test_lost_sessions_that_may_still_run_are_found_until_their_deadline_or_their_true_end(store):
    kept = [a_session("ses_1"), a_session("ses_2", gateway="gw-2"), a_session("ses_3"), a_session("ses_4")]
    lost = [over(session, SessionEnd.LOST) for session in kept[:3]]
    await add_sessions(store, *kept)
    await store.write(lambda tx: tx.save_sessions([*lost, over(kept[3])]))
    assert await store.read(lambda r: r.sessions_lost("gw-1", NOW)) == [lost[0], lost[2]]
    await store.write(lambda tx: tx.save_sessions([replace(lost[2], end_reason=SessionEnd.CLIENT, version=2)]))
    assert await ids(store, lambda r: r.sessions_lost("gw-1", NOW)) == ["ses_1"]
    assert await ids(store, lambda r: r.sessions_lost("gw-1", NOW + HOUR)) == []


async def test_a_session_is_read_back_exactly_open_and_ended(store):
    one = a_session(sponsor="carol", program="psql \u2713 \x00")
    await add_sessions(store, one)
    assert await store.read(lambda r: r.session("ses_1")) == one
    ended = over(one)
    await store.write(lambda tx: tx.save_sessions([ended]))
    assert await store.read(lambda r: r.session("ses_1")) == ended
    with pytest.raises(NotFound, match="ses_9"):
        await store.read(lambda r: r.session("ses_9"))


async def test_sessions_are_listed_newest_first_by_what_is_asked_for(store):
    kept = [
        a_session("ses_1"),
        a_session("ses_2", grant_id="gra_2"),
        a_session("ses_3", principal="bob"),
        a_session("ses_4", resource="web-1", gateway="gw-2"),
        a_session("ses_5", gateway="gw-2"),
    ]
    await add_sessions(store, *kept)
    await store.write(lambda tx: tx.save_sessions([over(kept[0]), over(kept[3])]))
    asked = {
        (): ["ses_5", "ses_4", "ses_3", "ses_2", "ses_1"],
        (("states", OPEN),): ["ses_5", "ses_3", "ses_2"],
        (("states", (SessionState.ENDED,)),): ["ses_4", "ses_1"],
        (("grant_id", "gra_1"),): ["ses_5", "ses_4", "ses_3", "ses_1"],
        (("principal", "ann"), ("states", OPEN)): ["ses_5", "ses_2"],
        (("resource", "web-1"),): ["ses_4"],
        (("gateway", "gw-2"), ("resource", "pg-prod")): ["ses_5"],
    }
    for filters, wanted in asked.items():
        assert await ids(store, lambda r, f=filters: r.sessions(Page(), **dict(f))) == wanted, filters
    assert await ids(store, lambda r: r.sessions(Page(limit=2, after="ses_4"))) == ["ses_3", "ses_2"]
    assert await ids(store, lambda r: r.sessions(Page(limit=1, after="ses_4"), states=OPEN)) == ["ses_3"]


async def test_open_sessions_are_those_of_grants_and_of_gateways(store):
    kept = [
        a_session("ses_1"),
        a_session("ses_2", grant_id="gra_2", gateway="gw-2"),
        a_session("ses_3", gateway="gw-2"),
        a_session("ses_4"),
    ]
    await add_sessions(store, *kept)
    await store.write(lambda tx: tx.save_sessions([over(kept[3])]))
    assert await store.read(lambda r: r.open_sessions()) == kept[:3]
    assert await ids(store, lambda r: r.open_sessions(grants=["gra_1", "gra_9"])) == ["ses_1", "ses_3"]
    assert await ids(store, lambda r: r.open_sessions(gateways=["gw-2"])) == ["ses_2", "ses_3"]
    assert await ids(store, lambda r: r.open_sessions(grants=["gra_1"], gateways=["gw-2"])) == ["ses_3"]
    assert await ids(store, lambda r: r.open_sessions(grants=[])) == []
    assert await ids(store, lambda r: r.open_sessions(gateways=[])) == []
    assert await ids(store, lambda r: r.sessions_by_id(["ses_4", "ses_2", "ses_9"])) == ["ses_2", "ses_4"]


async def test_open_sessions_are_counted_for_everybody_and_for_all_names_of_one(store):
    kept = [
        a_session("ses_1"),
        a_session("ses_2", principal="ann-admin"),
        a_session("ses_3", principal="bob"),
        a_session("ses_4", resource="web-1"),
        a_session("ses_5"),
    ]
    await add_sessions(store, *kept)
    await store.write(lambda tx: tx.save_sessions([over(kept[4])]))
    assert await store.read(lambda r: r.count_sessions("pg-prod", ["ann", "ann-admin"])) == (3, 2)
    assert await store.read(lambda r: r.count_sessions("pg-prod", [])) == (3, 0)
    assert await store.read(lambda r: r.count_sessions("none", ["ann"])) == (0, 0)


async def test_open_sessions_past_their_deadline_earliest_first(store):
    kept = [a_session("ses_1"), a_session("ses_2", deadline=NOW), a_session("ses_3", deadline=NOW - HOUR)]
    await add_sessions(store, *kept, a_session("ses_4", deadline=NOW - HOUR))
    await store.write(lambda tx: tx.save_sessions([over(a_session("ses_4", deadline=NOW - HOUR))]))
    assert await ids(store, lambda r: r.sessions_due(NOW, 10)) == ["ses_3", "ses_2"]
    assert await ids(store, lambda r: r.sessions_due(NOW, 1)) == ["ses_3"]


async def test_sessions_are_saved_all_or_none(store):
    await add_sessions(store, a_session("ses_1"), a_session("ses_2"))
    await store.write(lambda tx: tx.save_sessions([over(a_session("ses_2"))]))
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.save_sessions([over(a_session("ses_1")), over(a_session("ses_2"))]))
    assert (await store.read(lambda r: r.session("ses_1"))).state is SessionState.OPEN


async def test_a_session_and_its_ledger_entry_stay_or_go_together(store):
    async def breaks(tx):
        await tx.add_session(a_session())
        await tx.append([an_entry(kind="session.started")])
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError):
        await store.write(breaks)
    assert await store.read(lambda r: r.sessions(ALL)) == []
    assert await store.ledger.pending(10) == []


# grants by id: what is asked about many sessions at once


async def test_grants_are_read_by_their_ids_at_once(store):
    await add_grants(store, *(a_grant(f"gra_{n}") for n in (1, 2, 3)))
    assert await ids(store, lambda r: r.grants_by_id(["gra_3", "gra_1", "gra_1", "gra_7"])) == ["gra_1", "gra_3"]
    assert await ids(store, lambda r: r.grants_by_id([])) == []


# segments


async def test_segments_come_in_the_order_of_the_recording_however_they_are_called(store):
    kept = [a_segment("seg_z", number=0), a_segment("seg_a", number=1, last=True), a_segment("seg_m", session_id="s")]
    await put(store, *(lambda tx, s=s: tx.add_segment(s) for s in kept))
    assert await store.read(lambda r: r.segments("ses_1")) == kept[:2]
    assert await store.read(lambda r: r.segment("seg_m")) == kept[2]
    with pytest.raises(NotFound):
        await store.read(lambda r: r.segment("seg_9"))


async def test_a_recording_has_one_segment_of_each_number(store):
    await store.write(lambda tx: tx.add_segment(a_segment("seg_1")))
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.add_segment(a_segment("seg_2")))
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.add_segment(a_segment("seg_1", number=1)))


async def test_segments_are_due_at_the_end_of_their_time_until_they_are_removed(store):
    kept = [a_segment("seg_1", keep_until=NOW), a_segment("seg_2", number=1, keep_until=NOW - HOUR)]
    later = a_segment("seg_3", number=2)
    await put(store, *(lambda tx, s=s: tx.add_segment(s) for s in (*kept, later)))
    assert await ids(store, lambda r: r.segments_due(NOW, 10)) == ["seg_2", "seg_1"]
    removed = replace(kept[1], removed_at=NOW, version=1)
    await store.write(lambda tx: tx.save_segments([removed]))
    assert await ids(store, lambda r: r.segments_due(NOW, 10)) == ["seg_1"]
    assert await store.read(lambda r: r.segment("seg_2")) == removed


# holds


async def test_holds_are_listed_while_they_wait_and_by_session_and_resource(store):
    kept = [a_hold("hol_1"), a_hold("hol_2", session_id="ses_2"), a_hold("hol_3", resource="web-1")]
    await put(store, *(lambda tx, h=h: tx.add_hold(h) for h in kept))
    allowed = kept[0].after(HoldEvent.ALLOW, at=NOW, by="olga", comment="fine")
    await store.write(lambda tx: tx.save_holds([allowed]))
    assert await store.read(lambda r: r.hold("hol_1")) == allowed
    assert await ids(store, lambda r: r.holds(Page(), states=[HoldState.WAITING])) == ["hol_3", "hol_2"]
    assert await ids(store, lambda r: r.holds(Page(), session_id="ses_1")) == ["hol_3", "hol_1"]
    assert await ids(store, lambda r: r.holds(Page(), resource="pg-prod")) == ["hol_2", "hol_1"]
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.save_holds([allowed]))
    with pytest.raises(NotFound):
        await store.read(lambda r: r.hold("hol_9"))


async def test_holds_are_due_when_nobody_answered_in_time(store):
    kept = [a_hold("hol_1", expires_at=NOW), a_hold("hol_2", expires_at=NOW - HOUR), a_hold("hol_3")]
    await put(store, *(lambda tx, h=h: tx.add_hold(h) for h in kept))
    assert await ids(store, lambda r: r.holds_due(NOW, 10)) == ["hol_2", "hol_1"]
    await store.write(lambda tx: tx.save_holds([kept[1].after(HoldEvent.EXPIRE, at=NOW)]))
    assert await ids(store, lambda r: r.holds_due(NOW, 10)) == ["hol_1"]


# gateways


async def test_runs_of_gateways_are_evidence_of_when_each_was_up(store):
    first = a_run("gwr_1")
    await store.write(lambda tx: tx.add_gateway_run(first))
    seen = first.seen(NOW + HOUR)
    await store.write(lambda tx: tx.save_gateway_run(seen))
    over_now = seen.over(NOW + 2 * HOUR)
    again, other = a_run("gwr_2", first_seen=NOW + 2 * HOUR), a_run("gwr_3", name="gw-2", number=2)
    await put(
        store,
        lambda tx: tx.save_gateway_run(over_now),
        lambda tx: tx.add_gateway_run(again),
        lambda tx: tx.add_gateway_run(other),
    )
    assert await store.read(lambda r: r.gateway_runs()) == [again, other]
    assert await store.read(lambda r: r.gateway_runs(name="gw-1")) == [again]
    assert await store.read(lambda r: r.gateway_runs(name="gw-1", open_only=False)) == [over_now, again]
    assert await store.read(lambda r: r.gateway_runs(open_only=False)) == [over_now, again, other]
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.save_gateway_run(over_now))
