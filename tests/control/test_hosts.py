"""Certificates for hosts themselves: who gets one, what it says, and what is on the list when it ended early."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lapse.control.credentials import revoke_credential
from lapse.control.grants import release
from lapse.control.hosts import give_host_certificate, revocation_list
from lapse.domain.errors import Refused
from lapse.domain.guards import GatewayRules
from lapse.protocols.ssh.canary import CHECK_SERIAL, grant_serial
from lapse.protocols.ssh.certificates import read_certificate
from lapse.protocols.ssh.keys import public_text
from lapse.protocols.ssh.krl import read_krl
from support.planes import gateway_world
from support.world import CATALOG

KEY = public_text(Ed25519PrivateKey.generate().public_key())


@pytest.fixture
async def lapse():
    made = await gateway_world()
    await as_host(made, direct="yes", permit="shell exec sftp")
    return made


async def as_host(lapse, rules=None, **native):
    """`pg-prod` becomes a host."""
    resource = CATALOG.resources["pg-prod"]
    roles = tuple(replace(e, native={"user": "app", **native}) for e in resource.entitlements)
    changed = replace(resource, connector="ssh", entitlements=roles, gateway=rules or GatewayRules())
    await lapse.world.change_catalog(resources={"pg-prod": changed})


async def given(lapse, who="alice"):
    return await give_host_certificate(lapse.world.control, lapse.world.actor(who), lapse.grant_id, KEY)


async def serials(lapse):
    return read_krl(await revocation_list(lapse.world.control)).serials


async def test_it_names_the_account_and_ends_with_the_grant(lapse):
    found = await given(lapse)
    read = read_certificate(found.certificate)
    grant = await lapse.world.grant(lapse.grant_id)
    assert read.principals == (f"pg-prod/{grant.account}",)
    assert read.valid_before <= grant.ends_at
    assert str(read.serial) == found.credential.login
    assert read.extensions == ("permit-pty",)


async def test_only_the_beneficiary_gets_one_and_only_where_it_is_permitted(lapse):
    with pytest.raises(Refused, match="not yours"):
        await given(lapse, "root")
    await as_host(lapse)
    with pytest.raises(Refused, match="through the gateway"):
        await given(lapse)
    await as_host(lapse, GatewayRules(only=True), direct="yes")
    with pytest.raises(Refused, match="through the gateway"):
        await given(lapse)


async def test_what_a_certificate_cannot_keep_to_is_not_given_out(lapse):
    await as_host(lapse, direct="yes", permit="exec")
    with pytest.raises(Refused, match="cannot keep sessions"):
        await given(lapse)


async def test_the_gateway_does_not_take_it(lapse):
    found = await given(lapse)
    assert await lapse.plane.credential(found.credential.login, "ssh") is None


async def test_it_is_on_the_list_once_its_grant_ended_early_with_the_probe_of_the_grant(lapse):
    found = await given(lapse)
    assert await serials(lapse) == {CHECK_SERIAL}
    await release(lapse.world.control, lapse.world.actor("alice"), lapse.grant_id)
    probe = grant_serial(lapse.world.control.authority.derive, lapse.grant_id)
    assert await serials(lapse) == {CHECK_SERIAL, int(found.credential.login), probe}
    await lapse.clock.advance(found.credential.expires_at - lapse.clock.now())
    assert int(found.credential.login) not in await serials(lapse)


async def test_one_alone_is_not_revoked_since_no_host_would_know(lapse):
    found = await given(lapse)
    with pytest.raises(Refused, match="with its grant"):
        await revoke_credential(lapse.world.control, lapse.world.actor("alice"), found.credential.id)
