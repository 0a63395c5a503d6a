"""What every connector must do, on a fake target and on every real PostgreSQL that this machine has.

A connector is added by a harness: a target with the logins alice and bob, the group roles reader and writer, and
the means to look at it and change it behind the connector's back.
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count

import psycopg
import pytest

from fakes.connector import FakeConnector, FakeTarget, Fault
from lapse.connectors import connect
from lapse.domain.access import Applied, Assignment, Failed, Fence, Removed
from lapse.domain.errors import NotFound, Refused, Unavailable
from lapse.entrypoints.demo.private_postgres import installations
from support.postgres import name

ENDS = datetime(2030, 1, 1, 12, tzinfo=UTC)
_ids = count(1)


class FakeHarness:
    def __init__(self):
        self.target = FakeTarget(absent={"nobody"})
        self.target.add_login("alice", "bob")
        self.connector = FakeConnector(self.target)

    def named(self, short):
        return short

    def holds(self, account, role):
        return self.target.holds(account, role)

    def exists(self, account):
        return account in self.target.accounts

    def grant_by_hand(self, account, role):
        self.target.grant(account, role)

    def open_session(self, account):
        self.target.open_session(account)

    def sessions(self, account):
        return len(self.target.sessions.get(account, ()))

    def go_down(self):
        self.connector.inject(Fault.UNREACHABLE, times=None)

    def come_back(self):
        self.connector.heal()

    def close(self):
        pass


class PostgresHarness:
    def __init__(self, target):
        self.target = target
        self.connector = connect("postgresql", "pg-test", target.lapse_dsn)
        self._sessions = []

    def named(self, short):
        return self.target.role(short)

    def holds(self, account, role):
        return self.target.holds(account, role)

    def exists(self, account):
        return self.target.exists(account)

    def grant_by_hand(self, account, role):
        lapse = name(self.target.lapse_role)
        self.target.admin(f"SET ROLE {lapse}; GRANT {name(role)} TO {name(account)}")

    def open_session(self, account):
        self._sessions.append(psycopg.connect(self.target.dsn(account.removeprefix(self.target.prefix + "_"))))

    def sessions(self, account):
        return self.target.admin("SELECT count(*) FROM pg_stat_activity WHERE usename = %s", account)[0][0]

    def go_down(self):
        self.target.server.stop("immediate")

    def come_back(self):
        self.target.server.start()

    def close(self):
        for session in self._sessions:
            session.close()


@contextmanager
def _closing(harness):
    try:
        yield harness
    finally:
        harness.close()


@pytest.fixture(params=["fake", *(f"pg{one.version}" for one in installations())])
async def harness(request):
    if request.param == "fake":
        made = FakeHarness()
    else:
        made = PostgresHarness(request.getfixturevalue("target_on")(request.param))
    with _closing(made):
        yield made
        await made.connector.close()


@pytest.fixture
def give(harness):
    """An assignment of a role to an account, both by their short names."""

    def _give(account="alice", role="reader", **native):
        grant = f"g{next(_ids)}"
        return Assignment(
            grant_id=grant,
            account=harness.named(account),
            native={"role": harness.named(role), "mode": "membership", **native},
            ends_at=ENDS,
        )

    return _give


@pytest.fixture
def give_login(harness):
    """An assignment of a role to a login of its own."""

    def _give(role="reader", **native):
        grant = f"{harness.named('x')}_{next(_ids)}".lower()
        native = {"role": harness.named(role), "mode": "ephemeral", **native}
        account = harness.connector.account_for(native, None, grant)
        return Assignment(grant_id=grant, account=account, native=native, ends_at=ENDS)

    return _give


async def only(outcomes):
    (outcome,) = await outcomes
    return outcome


async def test_what_is_applied_is_there_and_what_is_removed_is_gone(harness, give):
    a = give()
    assert isinstance(await only(harness.connector.apply([a])), Applied)
    assert harness.holds(a.account, a.native["role"])
    removed = await only(harness.connector.remove([a]))
    assert isinstance(removed, Removed)
    assert removed.proof
    assert not harness.holds(a.account, a.native["role"])


async def test_both_are_idempotent(harness, give):
    a = give()
    for _ in range(2):
        assert isinstance(await only(harness.connector.apply([a])), Applied)
    for _ in range(2):
        assert isinstance(await only(harness.connector.remove([a])), Removed)


async def test_many_at_once_give_one_outcome_each_in_order(harness, give):
    batch = [give("bob", "writer"), give("alice", "reader"), give("bob", "reader")]
    for calls in (harness.connector.apply, harness.connector.remove):
        outcomes = await calls(batch)
        assert [o.grant_id for o in outcomes] == [a.grant_id for a in batch]
        assert not any(isinstance(o, Failed) for o in outcomes)


async def test_nothing_to_do_is_nothing(harness):
    assert list(await harness.connector.apply([])) == []
    assert list(await harness.connector.remove([])) == []
    assert list(await harness.connector.look([])) == []


async def test_one_bad_account_does_not_spoil_the_others(harness, give):
    good, bad = give("alice"), give("nobody")
    first, second = await harness.connector.apply([bad, good])
    assert isinstance(first, Failed)
    assert not first.maybe_applied
    assert "does not exist" in first.error
    assert isinstance(second, Applied)
    assert all(isinstance(o, Removed) for o in await harness.connector.remove([bad, good]))


async def test_look_says_what_was_held_before(harness, give):
    harness.grant_by_hand(harness.named("bob"), harness.named("reader"))
    before = await harness.connector.look([give("alice"), give("bob"), give("nobody")])
    assert [(b.held, b.account_exists) for b in before] == [(False, True), (True, True), (False, False)]


async def test_removing_cuts_the_sessions_of_that_account_only(harness, give):
    a = give("alice")
    await harness.connector.apply([a])
    harness.open_session(a.account)
    harness.open_session(harness.named("bob"))
    removed = await only(harness.connector.remove([a]))
    assert removed.sessions_cut == 1
    assert harness.sessions(a.account) == 0
    assert harness.sessions(harness.named("bob")) == 1


async def test_observe_shows_accounts_and_who_holds_what(harness, give):
    a = give()
    await harness.connector.apply([a])
    seen = await harness.connector.observe()
    assert seen.complete
    assert seen.own_account
    assert harness.named("alice") in {account.name for account in seen.accounts}
    assert (a.account, a.native["role"], ()) in {(m.member, m.role, m.via) for m in seen.memberships}
    assert {"accounts", "memberships"} <= set(seen.evidence)


async def test_an_account_of_its_own_lives_as_long_as_its_grant(harness, give_login):
    a = give_login()
    assert [b.account_exists for b in await harness.connector.look([a])] == [False]
    assert isinstance(await only(harness.connector.apply([a])), Applied)
    assert harness.exists(a.account)
    assert harness.holds(a.account, a.native["role"])
    (account,) = [o for o in (await harness.connector.observe()).accounts if o.name == a.account]
    assert (account.can_login, account.valid_until) == (True, ENDS)
    assert isinstance(await only(harness.connector.remove([a])), Removed)
    assert not harness.exists(a.account)
    assert isinstance(await only(harness.connector.remove([a])), Removed)


async def test_a_credential_is_new_each_time(harness, give_login):
    a = give_login()
    await harness.connector.apply([a])
    first, second = [await harness.connector.issue_credential(a) for _ in range(2)]
    assert set(first) == {"user", "password", "host", "port", "dbname"}
    assert first["user"] == a.account
    assert first["password"] != second["password"]
    await harness.connector.remove([a])


async def test_no_credential_without_a_login_of_its_own(harness, give, give_login):
    with pytest.raises(Refused):
        await harness.connector.issue_credential(give())
    with pytest.raises(NotFound):
        await harness.connector.issue_credential(give_login())


async def test_an_extension_moves_the_end_of_the_same_account(harness, give_login):
    a = give_login()
    later = Assignment(grant_id="later", account=a.account, native=a.native, ends_at=a.ends_at + timedelta(hours=1))
    await harness.connector.apply([a])
    assert isinstance(await only(harness.connector.apply([later])), Applied)
    (account,) = [o for o in (await harness.connector.observe()).accounts if o.name == a.account]
    assert account.valid_until == later.ends_at
    await harness.connector.remove([later])


async def test_an_existing_login_is_needed_for_a_membership(harness):
    native = {"role": harness.named("reader"), "mode": "membership"}
    assert harness.connector.account_for(native, "dora", "g1") == "dora"
    with pytest.raises(Refused):
        harness.connector.account_for(native, None, "g1")


async def test_a_target_that_is_down_fails_everything_and_nothing_is_assumed(harness, give):
    a = give()
    await harness.connector.apply([a])
    harness.go_down()
    try:
        for calls in (harness.connector.apply, harness.connector.remove):
            failed = await only(calls([a]))
            assert isinstance(failed, Failed)
            assert failed.maybe_applied
        for asks in (harness.connector.observe(), harness.connector.look([a])):
            with pytest.raises(Unavailable):
                await asks
    finally:
        harness.come_back()
    assert isinstance(await only(harness.connector.remove([a])), Removed)
    assert not harness.holds(a.account, a.native["role"])


async def test_the_check_names_the_server_and_its_fences(harness, give):
    answer = await harness.connector.check([give().native])
    assert answer.server
    assert answer.ok
    assert answer.fences == harness.connector.fences == {Fence.RECONCILER}
