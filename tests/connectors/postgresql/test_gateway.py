"""How a gateway logs in: with what lapse derives, signs or is told, never with what a client gave or could keep."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from fakes.authority import FakeAuthority
from lapse.connectors.postgresql import gateway as logins
from lapse.domain.errors import InvalidInput, NotFound, Refused, Unavailable
from support.postgres import name, run


@pytest.fixture
def authority():
    return FakeAuthority()


def log_in(upstream, statement="SELECT current_user"):
    dsn = f"postgresql://{upstream.user}:{upstream.secret}@{upstream.host}:{upstream.port}/{upstream.parameters['dbname']}"
    return run(dsn, statement)


# logins of their own


async def test_the_derived_password_opens_the_login_of_a_grant(asked, connector, authority):
    a = asked.login()
    await connector.apply([a])
    upstream = await connector.upstream(a, authority)
    assert log_in(upstream) == [(a.account,)]
    assert log_in(upstream, "SELECT count(*) FROM orders") == [(2,)]
    assert upstream.secret not in repr(upstream)


async def test_it_is_the_same_from_every_process_and_for_an_extension(
    asked, connector, connect_as, postgres_target, authority
):
    a = asked.login()
    await connector.apply([a])
    elsewhere = connect_as(postgres_target.lapse_dsn)
    extended = replace(a, grant_id="g_next", ends_at=a.ends_at + timedelta(hours=1))
    found = [
        await connector.upstream(a, authority),
        await elsewhere.upstream(a, authority),
        await connector.upstream(extended, authority),
    ]
    assert len({upstream.secret for upstream in found}) == 1
    assert log_in(found[0]) == [(a.account,)]


async def test_no_two_logins_and_no_two_installations_share_a_password(asked, connector, authority):
    one, other = asked.login(), asked.login()
    await connector.apply([one, other])
    first = await connector.upstream(one, authority)
    assert first.secret != (await connector.upstream(other, authority)).secret
    assert first.secret != logins.derived_password("pg-test", one.account, FakeAuthority())


async def test_a_credential_given_out_in_between_costs_the_gateway_nothing_but_a_statement(asked, connector, authority):
    a = asked.login()
    await connector.apply([a])
    await connector.upstream(a, authority)
    native = await connector.issue_credential(a)
    upstream = await connector.upstream(a, authority)
    assert log_in(upstream) == [(a.account,)]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        run("postgresql://{user}:{password}@{host}:{port}/{dbname}".format(**native), "SELECT 1")


async def test_a_login_that_is_not_there_or_over_is_refused(asked, connector, authority, postgres_target):
    a = asked.login()
    with pytest.raises(NotFound, match="not on the target"):
        await connector.upstream(a, authority)
    await connector.apply([a])
    postgres_target.admin(f'ALTER ROLE "{a.account}" NOLOGIN')
    with pytest.raises(Refused, match="has ended"):
        await connector.upstream(a, authority)


async def test_after_the_end_the_derived_password_opens_nothing(asked, connector, authority):
    a = asked.login()
    await connector.apply([a])
    upstream = await connector.upstream(a, authority)
    await connector.remove([a])
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        log_in(upstream)


async def test_a_login_that_lapse_did_not_make_gets_no_password(asked, connector, authority, postgres_target):
    a = asked.login()
    postgres_target.admin(f"CREATE ROLE \"{a.account}\" LOGIN PASSWORD 'its own'")
    with pytest.raises(NotFound, match="not on the target"):
        await connector.upstream(a, authority)
    postgres_target.admin(f'DROP ROLE "{a.account}"')


async def test_many_sessions_of_one_grant_ask_the_target_once(asked, connector, authority, monkeypatch):
    a = asked.login()
    await connector.apply([a])
    asks = []
    real = logins.logins

    async def counted(connection, wanted):
        asks.append(wanted)
        return await real(connection, wanted)

    monkeypatch.setattr(logins, "logins", counted)
    for _ in range(5):
        await connector.upstream(a, authority)
    assert len(asks) == 1


async def test_the_derived_password_is_not_in_the_servers_log(asked, connector, authority, postgres_target):
    postgres_target.admin(f"ALTER ROLE {name(postgres_target.lapse_role)} SET log_statement = 'all'")
    a = asked.login()
    await connector.apply([a])
    upstream = await connector.upstream(a, authority)
    log = postgres_target.server.log
    assert f'ALTER ROLE "{a.account}" PASSWORD \'SCRAM-SHA-256$' in log
    assert upstream.secret not in log


# a person's own login


async def test_a_persons_login_needs_a_way_that_the_entitlement_names(asked, connector, authority):
    with pytest.raises(Refused, match="nothing to log in with"):
        await connector.upstream(asked.membership(), authority)


async def test_a_certificate_names_the_login_and_ends_with_the_grant(asked, connector, authority):
    ends_at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    a = replace(asked.membership(gateway="certificate"), ends_at=ends_at)
    upstream = await connector.upstream(a, authority)
    certificate = x509.load_pem_x509_certificate(upstream.certificate.encode())
    (common_name,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert common_name.value == a.account
    assert certificate.not_valid_after_utc == ends_at - timedelta(seconds=1), "that second is the last valid one"
    assert "PRIVATE KEY" in upstream.private_key
    assert "PRIVATE KEY" not in repr(upstream)


async def test_a_kept_password_comes_from_a_file_or_the_environment_each_time(
    asked, connector, authority, postgres_target, tmp_path, monkeypatch
):
    account = postgres_target.role("gateway_user")
    postgres_target.admin(f"CREATE ROLE \"{account}\" LOGIN PASSWORD 'first'")
    path = tmp_path / "secret"
    path.write_text("first\n")
    a = asked.membership("gateway_user", gateway=f"file:{path}")
    assert log_in(await connector.upstream(a, authority)) == [(account,)]

    postgres_target.admin(f"ALTER ROLE \"{account}\" PASSWORD 'second'")
    path.write_text("second\n")
    assert log_in(await connector.upstream(a, authority)) == [(account,)]

    monkeypatch.setenv("LAPSE_TEST_SECRET", "second")
    a = asked.membership("gateway_user", gateway="env:LAPSE_TEST_SECRET")
    assert log_in(await connector.upstream(a, authority)) == [(account,)]
    postgres_target.admin(f'DROP ROLE "{account}"')


@pytest.mark.parametrize("content", ["", "x" * 5_000])
async def test_a_secret_that_is_not_to_be_had_is_said_without_repeating_it(
    asked, connector, authority, tmp_path, content
):
    path = tmp_path / "secret"
    path.write_text(content)
    with pytest.raises(Unavailable, match="holds no secret") as refused:
        await connector.upstream(asked.membership(gateway=f"file:{path}"), authority)
    assert "xxx" not in str(refused.value)
    for reference, why in ((f"file:{tmp_path / 'none'}", "no such file"), ("env:LAPSE_TEST_NONE", "is not set")):
        with pytest.raises(Unavailable, match=f"(?i){why}"):
            await connector.upstream(asked.membership(gateway=reference), authority)


async def test_ways_that_nobody_knows_are_refused(asked, connector, authority):
    with pytest.raises(InvalidInput):
        await connector.upstream(asked.membership(gateway="carrier pigeon"), authority)
