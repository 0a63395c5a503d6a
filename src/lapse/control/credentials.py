"""Credentials for the gateway: given out for an active grant, dead with it, shown once.

A credential is valid while its grant is active and no longer: whoever asks for it looks at the grant too, so that an
end needs to change no credential. What is kept of it checks it and cannot be used to log in. Called by entry points.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from lapse.control.context import Control
from lapse.control.guards import refuse_leaver, refuse_locked
from lapse.domain.actors import Actor, Scope
from lapse.domain.catalog import Catalog
from lapse.domain.credentials import Credential, CredentialKind
from lapse.domain.data import Json
from lapse.domain.errors import InvalidInput, Refused
from lapse.domain.gateways import PROTOCOL_OF
from lapse.domain.grants import Grant, GrantState
from lapse.domain.names import shown
from lapse.ledger.entry import changed, created
from lapse.ports import Authority, Page, Reader, Transaction
from lapse.protocols.postgres.scram import Verifier
from lapse.protocols.ssh import orders
from lapse.protocols.ssh.canary import client_serial
from lapse.protocols.ssh.orders import order

SECRET_BYTES = 24
LONGEST_PART = 20
"""Of names within a login; its last part alone makes it unique."""

GATEWAY_PRINCIPAL = "lapse-gateway"
"""Whom a certificate for the gateway names: no host has a principal of this name, so it opens none directly."""

_MOST_GRANTS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A credential and what its holder needs, which is kept nowhere: a `secret`, or a `certificate` for their key."""

    credential: Credential
    protocol: str
    secret: str = field(default="", repr=False)
    certificate: str = ""


async def give_credential(
    control: Control, actor: Actor, grant_id: str, *, public_key: str = "", single_use: bool = False
) -> Given:
    """A fresh credential for the gateway, for the beneficiary of an active grant.

    With `public_key` (OpenSSH's text) it is a certificate of that key, for SSH; else a secret: a password for
    PostgreSQL, a token for SSH. Earlier ones of the grant stay valid.

    Raises:
        Refused: the grant is not the actor's, is not active, is locked, or its resource has no gateway protocol.
        InvalidInput: the public key is none that can be used.
    """
    actor.require(Scope.REQUEST)

    async def work(tx: Transaction) -> Given:
        grant, catalog = await tx.grant(grant_id), await tx.catalog()
        require_beneficiary(grant, actor, catalog)
        refuse_leaver(catalog, grant.beneficiary)
        refuse_locked(await tx.locks(), catalog, [actor.name, grant.beneficiary], grant.entitlement)
        deadline = active_until(grant, control.now())
        given = _made(control, grant, catalog, deadline, public_key=public_key)
        rules = catalog.resource(grant.resource).gateway
        credential = replace(given.credential, single_use=single_use or rules.single_use)
        await tx.add_credential(credential)
        entry = created("credential.issued", _recorded(credential), grant.id, at=control.now(), actor=actor.name)
        await tx.append([replace(entry, policy_version=grant.policy_version)])
        return replace(given, credential=credential)

    return await control.store.write(work)


async def grant_to_use(control: Control, actor: Actor, resource: str, role: str = "") -> Grant:
    """The actor's own active grant on `resource`; of several with one role, the one that ends last.

    Raises:
        Refused: there is none.
        InvalidInput: there are several roles, and none is named.
    """

    async def work(reader: Reader) -> Sequence[Grant]:
        (await reader.catalog()).resource(resource)
        page = Page(limit=_MOST_GRANTS, newest_first=False)
        return await reader.grants(page, states=[GrantState.ACTIVE], beneficiary=actor.name, resource=resource)

    found = [grant for grant in await control.store.read(work) if not role or grant.role == role]
    what = f"{resource}/{role}" if role else resource
    if not found:
        raise Refused(
            f"you have no active access to `{shown(what)}`",
            hint=f"ask for it: `lapse request create {shown(resource)}/{shown(role) or 'ROLE'} --for 1h`",
        )
    roles = sorted({grant.role for grant in found})
    if len(roles) > 1:
        raise InvalidInput(
            f"you have several roles on `{shown(resource)}`: {', '.join(roles)}", hint="name one with --role"
        )
    return max(found, key=lambda grant: (grant.ends_at or control.now(), grant.id))


async def revoke_credential(control: Control, actor: Actor, credential_id: str) -> Credential:
    """Let a credential open no session any more; sessions that it opened go on. Twice changes nothing."""
    actor.require(Scope.REQUEST, Scope.ADMIN)

    async def work(tx: Transaction) -> Credential:
        credential = await tx.credential(credential_id)
        grant = await tx.grant(credential.grant_id)
        if Scope.ADMIN not in actor.scopes:
            require_beneficiary(grant, actor, await tx.catalog())
        if credential.revoked_at is not None:
            return credential
        if credential.direct:
            raise Refused(
                "a certificate for a host is revoked with its grant", hint=f"`lapse grant release {grant.id}` does it"
            )
        revoked = replace(credential, revoked_at=control.now(), version=credential.version + 1)
        await tx.save_credentials([revoked])
        entry = changed("credential.revoked", credential, revoked, credential.id, at=control.now(), actor=actor.name)
        await tx.append([entry])
        return revoked

    return await control.store.write(work)


def require_beneficiary(grant: Grant, actor: Actor, catalog: Catalog) -> None:
    """Raise `Refused` unless the grant is for the actor, or a human behind it. Administrators are no exception."""
    person = catalog.person_of(actor.name)
    behind = catalog.humans_behind(grant.beneficiary)
    if actor.name != grant.beneficiary and (person is None or person not in behind):
        raise Refused(f"grant {grant.id} is not yours", hint="only its beneficiary gets its credential")


def active_until(grant: Grant, now: datetime) -> datetime:
    """The deadline of a grant that is active; `Refused` if it is not, or no longer."""
    if grant.state is not GrantState.ACTIVE or grant.ends_at is None:
        raise Refused(f"grant {grant.id} is {grant.state.replace('_', ' ')}, so it has no credential")
    if grant.ends_at <= now:
        raise Refused(f"grant {grant.id} has reached its end", hint="ask for access again")
    return grant.ends_at


def _made(control: Control, grant: Grant, catalog: Catalog, deadline: datetime, *, public_key: str) -> Given:
    resource = catalog.resource(grant.resource)
    protocol = PROTOCOL_OF.get(resource.connector)
    if protocol is None:
        raise Refused(f"`{shown(resource.name)}` is not reached through the gateway")
    if public_key and protocol != "ssh":
        raise Refused(f"`{shown(resource.name)}` takes no certificates of SSH keys", hint="leave the key out")
    base = Credential(
        id=control.new_id("cre"),
        grant_id=grant.id,
        resource=resource.name,
        granted_to=grant.beneficiary,
        kind=CredentialKind.TOKEN,
        login=_login(grant),
        verifier="",
        created_at=control.now(),
        expires_at=deadline,
    )
    if public_key:
        return _certificate(control, base, public_key)
    secret = secrets.token_urlsafe(SECRET_BYTES)
    if protocol == "postgresql":
        made = replace(base, kind=CredentialKind.SCRAM, verifier=Verifier.of_password(secret).text)
    else:
        made = replace(base, verifier=hashlib.sha256(secret.encode()).hexdigest())
    return Given(credential=made, protocol=protocol, secret=secret)


def _certificate(control: Control, base: Credential, public_key: str) -> Given:
    """A certificate that the gateway takes, and no host: what a host allows is asked for by the gateway alone."""
    serial = client_serial(secrets.randbits(128))
    wanted = order(
        public_key,
        serial,
        f"lapse grant {base.grant_id} of {base.granted_to}",
        orders.valid_between(base.created_at, base.expires_at),
        orders.for_principals(GATEWAY_PRINCIPAL),
        orders.permitting("permit-agent-forwarding", "permit-port-forwarding", "permit-pty"),
    )
    text = authority_of(control).sign_ssh(wanted)
    digest = hashlib.sha256(text.encode()).hexdigest()
    made = replace(base, kind=CredentialKind.CERTIFICATE, login=str(serial), verifier=digest)
    return Given(credential=made, protocol="ssh", certificate=text)


def authority_of(control: Control) -> Authority:
    """The installation's authority; `Refused` where there is none."""
    if control.authority is None:
        raise Refused("this lapse has no authority, so it signs no certificates")
    return control.authority


def _login(grant: Grant) -> str:
    """A name that says whose and what it is for, like `alice.pg-prod.x7k2m9qa`, and that nobody had before."""
    parts = [re.sub(r"[^a-z0-9_-]", "-", part.lower())[:LONGEST_PART] for part in (grant.beneficiary, grant.resource)]
    alphabet = "abcdefghijkmnpqrstuvwxyz23456789"
    return ".".join([*parts, "".join(secrets.choice(alphabet) for _ in range(8))])


def _recorded(credential: Credential) -> dict[str, Json]:
    """What the ledger says of it: nothing that checks it."""
    return {
        "credential": credential.id,
        "kind": str(credential.kind),
        "login": credential.login,
        "expires_at": credential.expires_at.isoformat(),
        "single_use": credential.single_use,
    }
