"""Hosts without the gateway in between: certificates for a host itself, and the list of those that ended early.

A certificate ends with its grant by itself; the host keeps to that. What ends before is on the revocation list, which
hosts fetch: a grant counts as ended when the host was seen to refuse. Called by entry points.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime

from lapse.control.context import Control
from lapse.control.credentials import active_until, authority_of, require_beneficiary
from lapse.control.guards import refuse_leaver, refuse_locked
from lapse.domain.access import Assignment
from lapse.domain.actors import Actor, Scope
from lapse.domain.catalog import Catalog
from lapse.domain.credentials import Credential, CredentialKind
from lapse.domain.data import Json
from lapse.domain.errors import Refused
from lapse.domain.grants import ENDING, Grant, GrantState
from lapse.domain.names import shown
from lapse.ledger.entry import Entry
from lapse.ports import Page, Reader, Transaction
from lapse.protocols.ssh import orders
from lapse.protocols.ssh.canary import CHECK_SERIAL, client_serial, grant_serial
from lapse.protocols.ssh.krl import Krl, write_krl
from lapse.protocols.ssh.native import parse_native
from lapse.protocols.ssh.orders import SshCertificateOrder, order

_PAGE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class HostCertificate:
    """A certificate for a host, and where that is. `host_keys`: one public key a line."""

    credential: Credential
    certificate: str
    host: str
    port: int
    user: str
    host_keys: str


async def give_host_certificate(control: Control, actor: Actor, grant_id: str, public_key: str) -> HostCertificate:
    """A certificate of `public_key` (OpenSSH's text) for the host of an active grant, until the grant's deadline.

    Raises:
        Refused: the grant is not the actor's, not active or locked, or its entitlement is not `direct`, or permits
            what a certificate cannot keep to.
        InvalidInput: the key is none that can be used.
    """
    actor.require(Scope.REQUEST)

    async def work(tx: Transaction) -> tuple[Credential, str, Assignment]:
        grant, catalog = await tx.grant(grant_id), await tx.catalog()
        require_beneficiary(grant, actor, catalog)
        refuse_leaver(catalog, grant.beneficiary)
        refuse_locked(await tx.locks(), catalog, [actor.name, grant.beneficiary], grant.entitlement)
        deadline = active_until(grant, control.now())
        wanted = _ordered(grant, catalog, public_key, control.now(), deadline)
        text = authority_of(control).sign_ssh(wanted)
        credential = Credential(
            id=control.new_id("cre"),
            grant_id=grant.id,
            resource=grant.resource,
            granted_to=grant.beneficiary,
            kind=CredentialKind.CERTIFICATE,
            login=str(wanted.serial),
            verifier=hashlib.sha256(text.encode()).hexdigest(),
            created_at=control.now(),
            expires_at=deadline,
            direct=True,
        )
        await tx.add_credential(credential)
        await tx.append([_issued(credential, grant, actor)])
        native = catalog.entitlement(grant.entitlement).native
        assignment = Assignment(grant_id=grant.id, account=grant.account, native=native, ends_at=deadline)
        return credential, text, assignment

    credential, text, assignment = await control.store.write(work)
    there = await control.connector(credential.resource).upstream(assignment, authority_of(control))
    return HostCertificate(
        credential=credential,
        certificate=text,
        host=there.host,
        port=there.port,
        user=there.user,
        host_keys=there.parameters.get("host_keys", ""),
    )


def _ordered(grant: Grant, catalog: Catalog, public_key: str, now: datetime, deadline: datetime) -> SshCertificateOrder:
    """What a host's certificate says: no more than the entitlement permits, or `Refused`."""
    resource = catalog.resource(grant.resource)
    if resource.connector != "ssh":
        raise Refused(f"`{shown(resource.name)}` is not a host")
    native = parse_native(catalog.entitlement(grant.entitlement).native)
    if not native.direct or resource.gateway.only:
        raise Refused(f"`{shown(resource.name)}` is reached through the gateway", hint="leave --direct out")
    return order(
        public_key,
        client_serial(secrets.randbits(128)),
        f"lapse grant {grant.id} of {grant.beneficiary}",
        orders.valid_between(now, deadline),
        orders.for_principals(*native.names(resource.name, grant.account)),
        *native.limits(),
    )


def _issued(credential: Credential, grant: Grant, actor: Actor) -> Entry:
    after: dict[str, Json] = {
        "credential": credential.id,
        "kind": str(credential.kind),
        "login": credential.login,
        "direct": True,
        "expires_at": credential.expires_at.isoformat(),
    }
    return Entry(
        type="credential.issued",
        at=credential.created_at,
        actor=actor.name,
        subject=grant.id,
        after=after,
        policy_version=grant.policy_version,
    )


async def revocation_list(control: Control) -> bytes:
    """The list for `RevokedKeys` of hosts: certificates whose grant ended before they did, and the serials of probes.

    Costs grow with the credentials that are valid now, and with the grants that are ending.
    """
    authority, now = authority_of(control), control.now()

    async def work(reader: Reader) -> frozenset[int]:
        direct = [one for one in await reader.credentials_in_force(now) if one.direct]
        grants = await reader.grants_by_id({one.grant_id for one in direct})
        active = {grant.id for grant in grants if grant.state is GrantState.ACTIVE}
        over = {int(one.login) for one in direct if one.grant_id not in active}
        return frozenset({CHECK_SERIAL, *over, *await _probes(reader)})

    async def _probes(reader: Reader) -> set[int]:
        """The host is asked with these whether it has read this list."""
        catalog, found = await reader.catalog(), set[int]()
        after: str | None = None
        while page := await reader.grants(Page(limit=_PAGE, after=after, newest_first=False), states=ENDING):
            for grant in page:
                resource = catalog.resources.get(grant.resource)
                if resource is not None and resource.connector == "ssh":
                    found.add(grant_serial(authority.derive, grant.id))
            after = page[-1].id
        return found

    serials = await control.store.read(work)
    version = int(now.timestamp() * 1_000)
    return write_krl(Krl(ca=authority.ssh_public_key, version=version, generated_at=now, serials=serials))
