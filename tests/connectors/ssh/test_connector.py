"""The contract of connectors on a real sshd: what is confirmed was seen, and what ended is refused.

The suite in `tests/contract/test_connector.py` is about accounts and memberships that a connector makes. Here access is
a certificate, so the same promises are asked of what a host takes and refuses.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from lapse.connectors import connect
from lapse.domain.access import Applied, Assignment, Failed, Fence, Removed
from lapse.domain.errors import InvalidInput, Refused, Unavailable
from lapse.protocols.ssh.canary import grant_serial
from lapse.protocols.ssh.certificates import read_certificate
from lapse.protocols.ssh.keys import public_text
from support.ports import free_port

_ids = count(1)
HOUR = timedelta(hours=1)


@pytest.fixture
def give(sshd):
    def _give(ends=HOUR, account=sshd.user, **native):
        return Assignment(
            grant_id=f"g{next(_ids)}",
            account=account,
            native={"user": account, **native},
            ends_at=datetime.now(UTC) + ends,
        )

    return _give


async def only(outcomes):
    (outcome,) = await outcomes
    return outcome


async def test_what_is_applied_was_seen_and_twice_is_the_same(connector, give, sshd):
    a = give()
    for _ in range(2):
        assert isinstance(await only(connector.apply([a])), Applied)
    assert "Accepted publickey" in sshd.log
    assert "Starting session" not in sshd.log  # nothing ran


async def test_an_end_at_the_deadline_is_seen_by_a_certificate_that_ended_with_it(connector, give, sshd):
    removed = await only(connector.remove([give(ends=-timedelta(seconds=1))]))
    assert isinstance(removed, Removed)
    assert "ended with the grant" in removed.proof[0]
    assert "Certificate invalid: expired" in sshd.log


async def test_an_early_end_of_a_direct_grant_needs_the_list_and_is_tried_until_it_is_there(
    connector, give, sshd, listed, authority
):
    a, other = give(direct="yes"), give(direct="yes")
    early = await only(connector.remove([a]))
    assert isinstance(early, Failed)
    assert early.maybe_applied
    assert "has not read the revocation list" in early.error
    sshd.revoke(listed(grant_serial(authority.derive, a.grant_id)))
    removed = await only(connector.remove([a]))
    assert isinstance(removed, Removed)
    assert "revocation list" in removed.proof[0]
    assert isinstance(await only(connector.remove([other])), Failed)  # the list says nothing of the other grant
    assert isinstance(await only(connector.apply([other])), Applied)


async def test_an_early_end_through_the_gateway_alone_says_what_was_seen_and_what_follows(connector, give):
    removed = await only(connector.remove([give()]))
    assert [line.partition(":")[0] for line in removed.proof] == ["seen", "follows"]


async def test_many_at_once_give_one_outcome_each_in_order_and_a_bad_one_spoils_none(connector, give):
    batch = [give(), give(account="nobody-here"), give(nonsense="1"), give()]
    outcomes = await connector.apply(batch)
    assert [o.grant_id for o in outcomes] == [a.grant_id for a in batch]
    assert [type(o) for o in outcomes] == [Applied, Failed, Failed, Applied]
    assert not outcomes[1].maybe_applied
    assert [type(o) for o in await connector.remove([batch[0], batch[2]])] == [Removed, Failed]


async def test_nothing_to_do_is_nothing(connector):
    assert [list(await call([])) for call in (connector.apply, connector.remove, connector.look)] == [[], [], []]


async def test_nothing_is_held_before(connector, give):
    (before,) = await connector.look([give()])
    assert (before.held, before.account_exists) == (False, True)


async def test_a_host_that_is_down_fails_everything_and_nothing_is_assumed(connector, give, sshd):
    a = give()
    sshd.stop()
    for call in (connector.apply, connector.remove):
        failed = await only(call([a]))
        assert isinstance(failed, Failed)
        assert failed.maybe_applied
    for asks in (connector.observe(), connector.look([a])):
        with pytest.raises(Unavailable):
            await asks
    sshd.begin()
    assert isinstance(await only(connector.remove([a])), Removed)


async def test_a_host_with_another_key_is_not_asked(sshd, sshd_with, authority, give):
    impostor = sshd_with(ca=authority.ssh_public_key)
    dsn = sshd.dsn.replace(f":{sshd.port}", f":{impostor.port}")
    failed = await only(connect("ssh", "web-1", dsn, authority=authority).apply([give()]))
    assert "key that nobody vouches for" in failed.error
    assert "publickey" not in impostor.log


async def test_what_never_answers_is_given_up(authority, give, sshd):
    import asyncio

    from lapse.connectors.ssh import Limits, SshConnector

    port = free_port()

    async def silent(reader, writer):
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", port):
        dsn = sshd.dsn.replace(f":{sshd.port}", f":{port}")
        hasty = SshConnector("web-1", dsn, authority=authority, limits=Limits(attempt=0.2))
        failed = await only(hasty.apply([give()]))
    assert "did not answer" in failed.error


async def test_garbage_instead_of_ssh_is_a_failure(authority, give, sshd):
    import asyncio

    async def garbage(_reader, writer):
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 100)
        writer.close()

    async with await asyncio.start_server(garbage, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        dsn = sshd.dsn.replace(f":{sshd.port}", f":{port}")
        assert isinstance(await only(connect("ssh", "web-1", dsn, authority=authority).apply([give()])), Failed)


async def test_observe_says_what_it_does_not_know(connector):
    seen = await connector.observe()
    assert not seen.complete
    assert not seen.memberships_complete
    assert seen.accounts == ()


async def test_the_gateway_gets_a_certificate_that_ends_with_the_grant(connector, give, authority, sshd):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = public_text(Ed25519PrivateKey.generate().public_key())
    a = give(permit="shell exec sftp agent", source_address="10.0.0.0/8")
    up = await connector.upstream(a, authority, key)
    found = read_certificate(up.certificate)
    assert (up.host, up.port, up.user) == ("127.0.0.1", sshd.port, sshd.user)
    assert up.parameters["host_keys"] == sshd.host_key
    assert found.principals == (f"web-1/{sshd.user}",)
    assert found.valid_before <= a.ends_at
    assert found.critical_options == {}  # the host sees the gateway, not the client
    assert found.extensions == ("permit-agent-forwarding", "permit-pty")


def test_the_account_is_the_entitlement_s_or_the_person_s(connector):
    assert connector.account_for({"user": "deploy"}, None, "g1") == "deploy"
    assert connector.account_for({}, "dora", "g1") == "dora"
    with pytest.raises(Refused):
        connector.account_for({}, None, "g1")


async def test_there_is_no_password(connector, give):
    with pytest.raises(Refused):
        await connector.issue_credential(give())


def names_of(check, *, ok):
    return [item.name.partition(": ")[2] or item.name for item in check.items if item.ok is ok]


async def test_a_host_as_the_docs_say_is_ready(connector, sshd):
    found = await connector.check([{"user": sshd.user, "direct": "yes"}])
    assert found.ok, found
    assert names_of(found, ok=False) == []
    assert "OpenSSH" in found.server
    assert found.fences == connector.fences == {Fence.TARGET, Fence.GATEWAY, Fence.RECONCILER}


@pytest.mark.parametrize(
    ("config", "wrong", "remedy"),
    [
        ({"ca": ""}, "takes lapse's certificates", "TrustedUserCAKeys"),
        ({"principals": ""}, "takes lapse's certificates", "AuthorizedPrincipalsCommand /usr/bin/echo web-1/%u"),
        ({"principals": r"-e web-1/%u\\nweb-1.elsewhere/%u"}, "refuses a certificate for another host", "web-1/%u"),
        ({"krl": b""}, "reads the revocation list", "RevokedKeys"),
    ],
    ids=["ca", "principals", "any host", "list"],
)
async def test_each_mistake_in_a_configuration_is_found_with_its_remedy(
    sshd_with, authority, listed, config, wrong, remedy
):
    good = {"ca": authority.ssh_public_key, "principals": "web-1/%u", "krl": listed()}
    host = sshd_with(**good | config)
    found = await connect("ssh", "web-1", host.dsn, authority=authority).check([{"user": host.user, "direct": "yes"}])
    assert not found.ok
    first = next(item for item in found.items if not item.ok)
    assert first.name == f"{host.user}: {wrong}"
    assert remedy in first.remedy


async def test_the_list_is_not_needed_where_no_certificate_is_given_out(sshd_with, authority):
    host = sshd_with(ca=authority.ssh_public_key, principals="web-1/%u")
    found = await connect("ssh", "web-1", host.dsn, authority=authority).check([{"user": host.user}])
    assert found.ok
    assert names_of(found, ok=False) == ["reads the revocation list"]


def test_a_connector_without_an_authority_is_none(sshd):
    with pytest.raises(InvalidInput):
        connect("ssh", "web-1", sshd.dsn)
