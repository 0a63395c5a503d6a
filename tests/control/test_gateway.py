"""Credentials, sessions, holds and gateways: who may, what is on record, and what ends what."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lapse.control.catalogs import apply
from lapse.control.credentials import give_credential, revoke_credential
from lapse.control.gateways import beat, end_gateway, lose_silent_gateways, register_gateway
from lapse.control.grants import issue_credential, revoke
from lapse.control.holds import decide_hold, drop_hold, expire_holds, hold_statement
from lapse.control.locks import lock, preview_lock
from lapse.control.sessions import Over, finish_session, kill_session, open_session, record_segment
from lapse.domain.credentials import CredentialKind
from lapse.domain.errors import Conflict, InvalidInput, Refused
from lapse.domain.gateways import BEAT_EVERY, LOST_AFTER
from lapse.domain.guards import GatewayRules
from lapse.domain.holds import HoldState
from lapse.domain.locks import LockKind
from lapse.domain.notices import NoticeKind
from lapse.domain.sessions import SessionEnd, SessionState
from lapse.ports import Attempt, Page
from lapse.protocols.postgres.scram import Verifier
from lapse.protocols.ssh.certificates import read_certificate
from lapse.protocols.ssh.keys import public_text
from support.planes import GATEWAY, gateway_world
from support.sessions import a_segment
from support.world import CATALOG

HOUR = timedelta(hours=1)


@pytest.fixture
async def lapse():
    return await gateway_world()


async def given(lapse, who="alice", **more):
    return await give_credential(lapse.world.control, lapse.world.actor(who), lapse.grant_id, **more)


async def opened(lapse, session_id="ses_1"):
    credential = (await given(lapse)).credential
    attempt = Attempt(credential_id=credential.id, protocol="postgresql", client="192.0.2.7:5", session_id=session_id)
    return (await open_session(lapse.world.control, GATEWAY, attempt))[0]


async def test_a_password_is_shown_once_and_kept_as_what_checks_it(lapse):
    shown = await given(lapse)
    kept = await lapse.world.read(lambda r: r.credential(shown.credential.id))
    assert kept.kind is CredentialKind.SCRAM
    assert shown.secret not in kept.verifier
    assert Verifier.parse(kept.verifier) == Verifier.of_password(shown.secret, salt=Verifier.parse(kept.verifier).salt)
    assert shown.secret not in repr(shown)


async def test_a_login_says_whose_and_what_for(lapse):
    assert (await given(lapse)).credential.login.startswith("alice.pg-prod.")


async def test_only_the_beneficiary_gets_a_credential_administrators_included(lapse):
    for who in ("bob", "root"):
        with pytest.raises(Refused, match="not yours"):
            await given(lapse, who)


async def test_under_a_lock_nothing_is_given_out(lapse):
    # A lock ends what is active; here only its record matters, so the grant is looked at before the enforcer.
    assert (await preview_lock(lapse.world.control, lapse.world.admin(), LockKind.PRINCIPAL, "alice")).ends
    await lock(lapse.world.control, lapse.world.admin(), LockKind.PRINCIPAL, "alice", "laptop stolen")
    with pytest.raises(Refused):
        await given(lapse)


async def test_a_certificate_is_for_the_resource_that_takes_one(lapse):
    key = public_text(Ed25519PrivateKey.generate().public_key())
    with pytest.raises(Refused, match="takes no certificates"):
        await given(lapse, public_key=key)


async def test_a_certificate_for_the_gateway_ends_with_the_grant_and_opens_no_host(lapse):
    resource = replace(CATALOG.resources["pg-prod"], connector="ssh")
    await lapse.world.change_catalog(resources={"pg-prod": resource})
    key = public_text(Ed25519PrivateKey.generate().public_key())
    shown = await given(lapse, public_key=key)
    read = read_certificate(shown.certificate)
    assert read.principals == ("lapse-gateway",)
    assert str(read.serial) == shown.credential.login
    assert read.valid_before <= shown.credential.expires_at
    assert shown.credential.kind is CredentialKind.CERTIFICATE


async def test_a_revoked_credential_opens_nothing_and_may_be_revoked_again(lapse):
    shown = await given(lapse)
    for _ in range(2):
        revoked = await revoke_credential(lapse.world.control, lapse.world.actor("alice"), shown.credential.id)
        assert revoked.revoked_at == lapse.clock.now()
    assert await lapse.plane.credential(shown.credential.login, "postgresql") is None


async def test_where_only_the_gateway_leads_there_is_no_native_credential():
    lapse = await gateway_world(rules=GatewayRules(only=True))
    with pytest.raises(Refused, match="through the gateway only"):
        await issue_credential(lapse.world.control, lapse.world.actor("alice"), lapse.grant_id)


async def test_a_resource_and_a_person_have_so_many_sessions_and_no_more():
    lapse = await gateway_world(rules=GatewayRules(sessions=3, sessions_per_principal=2))
    await opened(lapse, "ses_1")
    await opened(lapse, "ses_2")
    with pytest.raises(Refused, match="`alice` has 2 sessions"):
        await opened(lapse, "ses_3")
    await finish_session(lapse.world.control, "ses_1", Over(reason=SessionEnd.CLIENT, at=lapse.clock.now()))
    await opened(lapse, "ses_3")


async def test_a_person_who_leaves_opens_nothing_and_is_cut(lapse):
    await register_gateway(lapse.world.control, GATEWAY)
    session = await opened(lapse)
    catalog = await lapse.world.read(lambda r: r.catalog())
    gone = replace(catalog.principals["alice"], active=False)
    wanted = replace(catalog, principals={**catalog.principals, "alice": gone})
    await apply(lapse.world.control, lapse.world.admin(), wanted)
    cuts = [order async for order in first(lapse)]
    assert [(cut.session_id, cut.reason) for cut in cuts] == [(session.id, SessionEnd.POLICY_CHANGED)]
    with pytest.raises(Refused):
        await opened(lapse, "ses_2")


async def first(lapse):
    orders = lapse.plane.orders(GATEWAY)
    yield await anext(orders)
    await orders.aclose()


async def test_a_killed_session_is_cut_and_its_grant_goes_on(lapse):
    await register_gateway(lapse.world.control, GATEWAY)
    session = await opened(lapse)
    await kill_session(lapse.world.control, lapse.world.admin(), session.id, "runs away")
    (cut,) = [order async for order in first(lapse)]
    assert (cut.session_id, cut.reason, cut.by) == (session.id, SessionEnd.KILLED, "root")
    await opened(lapse, "ses_2")


async def test_a_session_is_killed_by_who_controls_the_resource_for_a_reason(lapse):
    session = await opened(lapse)
    with pytest.raises(Refused, match="neither owns"):
        await kill_session(lapse.world.control, lapse.world.actor("bob"), session.id, "why not")
    with pytest.raises(InvalidInput, match="reason"):
        await kill_session(lapse.world.control, lapse.world.admin(), session.id, " ")
    told = await kill_session(lapse.world.control, lapse.world.actor("olga"), session.id, "runs away")
    assert told.must_end_by == "olga"


async def test_a_session_that_is_over_cannot_be_killed(lapse):
    session = await opened(lapse)
    await finish_session(lapse.world.control, session.id, Over(reason=SessionEnd.CLIENT, at=lapse.clock.now()))
    with pytest.raises(Refused, match="over already"):
        await kill_session(lapse.world.control, lapse.world.admin(), session.id, "runs away")


@pytest.mark.parametrize("cause", ["revoked", "killed", "none"])
async def test_a_target_that_hangs_up_on_a_session_that_must_end_ended_it_for_that_reason(lapse, cause):
    session = await opened(lapse)
    if cause == "revoked":
        await revoke(lapse.world.control, lapse.world.admin(), lapse.grant_id, "no longer needed")
    elif cause == "killed":
        await kill_session(lapse.world.control, lapse.world.admin(), session.id, "runs away")
    await finish_session(lapse.world.control, session.id, Over(reason=SessionEnd.SERVER, at=lapse.clock.now()))
    (over,) = await lapse.world.read(lambda r: r.sessions(Page()))
    wanted = {"revoked": SessionEnd.REVOKED, "killed": SessionEnd.KILLED, "none": SessionEnd.SERVER}
    assert over.end_reason is wanted[cause]


async def test_another_hash_for_a_piece_that_is_on_record_is_refused(lapse):
    session = await opened(lapse)
    segment = a_segment(session_id=session.id)
    await record_segment(lapse.world.control, segment)
    with pytest.raises(Conflict, match="another hash"):
        await record_segment(lapse.world.control, replace(segment, sha256="cd" * 32))


async def test_recordings_are_kept_as_long_as_the_resource_says():
    lapse = await gateway_world(rules=GatewayRules(keep_for=timedelta(days=3)))
    session = await opened(lapse)
    await record_segment(lapse.world.control, a_segment(session_id=session.id))
    (kept,) = await lapse.world.read(lambda r: r.segments(session.id))
    assert kept.keep_until == kept.sealed_at + timedelta(days=3)


# holds


async def test_the_owner_decides_about_a_held_statement(lapse):
    session = await opened(lapse)
    hold = await hold_statement(lapse.world.control, session.id, "DELETE FROM orders", "deletes need approval")
    assert hold.approvers == ("olga",)
    decided = await decide_hold(lapse.world.control, lapse.world.actor("olga"), hold.id, allow=True)
    assert (decided.state, decided.decided_by) == (HoldState.ALLOWED, "olga")


async def test_the_approvers_are_told_what_waits_but_not_what_it_says(lapse):
    session = await opened(lapse)
    hold = await hold_statement(lapse.world.control, session.id, "DELETE FROM orders", "deletes need approval")
    notices = [one.notice for one in await lapse.world.read(lambda r: r.postings(Page()))]
    (told,) = [one for one in notices if one.kind is NoticeKind.HOLD_ASKED]
    assert (told.to, told.subject) == (("olga",), hold.id)
    assert "`alice` on `pg-prod` waits for your decision until" in told.text
    assert told.text.endswith("deletes need approval")
    assert "orders" not in told.text


async def test_nobody_else_decides_and_nobody_twice(lapse):
    session = await opened(lapse)
    hold = await hold_statement(lapse.world.control, session.id, "DELETE FROM orders", "why")
    for who in ("alice", "bob", "alice-admin"):
        with pytest.raises(Refused, match="may not decide"):
            await decide_hold(lapse.world.control, lapse.world.actor(who), hold.id, allow=True)
    await decide_hold(lapse.world.control, lapse.world.actor("olga"), hold.id, allow=False)
    with pytest.raises(Refused, match="waits no more"):
        await decide_hold(lapse.world.control, lapse.world.actor("olga"), hold.id, allow=True)


async def test_where_nobody_may_decide_nothing_is_held(lapse):
    resource = replace((await lapse.world.read(lambda r: r.catalog())).resources["pg-prod"], owner="alice")
    await lapse.world.change_catalog(resources={"pg-prod": resource})
    session = await opened(lapse)
    with pytest.raises(Refused, match="nobody may give it"):
        await hold_statement(lapse.world.control, session.id, "DELETE FROM orders", "why")


async def test_a_hold_that_waited_too_long_expires_and_one_that_is_dropped_is_over(lapse):
    session = await opened(lapse)
    one = await hold_statement(lapse.world.control, session.id, "DELETE FROM orders", "why")
    other = await hold_statement(lapse.world.control, session.id, "DELETE FROM orders", "why")
    await drop_hold(lapse.world.control, other.id)
    assert await expire_holds(lapse.world.control) == []
    await lapse.clock.advance(one.expires_at - lapse.clock.now())
    assert [hold.id for hold in await expire_holds(lapse.world.control)] == [one.id]
    states = [hold.state for hold in await lapse.world.read(lambda r: r.holds(Page(newest_first=False)))]
    assert states == [HoldState.EXPIRED, HoldState.DROPPED]


# gateways


async def test_sessions_of_a_gateway_that_fell_silent_are_lost(lapse):
    await register_gateway(lapse.world.control, GATEWAY)
    session = await opened(lapse)
    await lapse.clock.advance(BEAT_EVERY)
    await beat(lapse.world.control, GATEWAY)
    await lapse.clock.advance(LOST_AFTER)
    assert await lose_silent_gateways(lapse.world.control) == []
    await lapse.clock.advance(timedelta(seconds=1))
    (lost,) = await lose_silent_gateways(lapse.world.control)
    assert (lost.id, lost.state, lost.end_reason) == (session.id, SessionState.ENDED, SessionEnd.LOST)


async def test_after_a_long_silence_another_run_begins_so_that_the_gap_is_known(lapse):
    number = await register_gateway(lapse.world.control, GATEWAY)
    await lapse.clock.advance(timedelta(minutes=1))
    await beat(lapse.world.control, GATEWAY)
    before, after = await lapse.world.read(lambda r: r.gateway_runs(open_only=False))
    assert (before.number, after.number) == (number, number)
    assert before.last_seen < after.first_seen


async def test_a_gateway_that_ends_in_order_leaves_its_number_to_another(lapse):
    number = await register_gateway(lapse.world.control, GATEWAY)
    await end_gateway(lapse.world.control, GATEWAY)
    assert await register_gateway(lapse.world.control, "gw-2/0") == number
