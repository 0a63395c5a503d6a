"""Connections: what a client needs to get through the gateway with an own grant."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from lapse.bootstrap.app import App
from lapse.control.credentials import Given, give_credential, grant_to_use
from lapse.domain.catalog import Catalog
from lapse.domain.errors import Unavailable
from lapse.domain.times import Instant
from lapse.entrypoints.api.operations import Body, Call, Routes
from lapse.storage.host_key import ssh_host_public_key

ROUTES = Routes("sessions")


class ConnectBody(Body, frozen=True, kw_only=True):
    """Where to, in which role (needed where one has several), and for SSH the public key that is to be certified."""

    resource: str
    role: str = ""
    public_key: str = ""
    single_use: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """How to connect until `expires_at`. The secret, or the certificate, is shown once and kept nowhere."""

    grant_id: str
    entitlement: str
    resource: str
    principal: str
    protocol: str
    address: str
    login: str
    expires_at: Instant
    secret: str = field(default="", repr=False)
    certificate: str = ""
    host_key: str = ""
    database: str = ""
    tls: bool = False
    single_use: bool = False


@ROUTES.post("/api/v1/connections", Connection, body=ConnectBody, status=201, secret=True)
async def connect(call: Call) -> Connection:
    """A credential for the gateway, for one's own active grant on a resource."""
    body: ConnectBody = call.body
    grant = await grant_to_use(call.control, call.actor, body.resource, body.role)
    catalog = await call.app.store.read(lambda reader: reader.catalog())
    address = _address(call.app, catalog, grant.resource)
    given = await give_credential(
        call.control, call.actor, grant.id, public_key=body.public_key, single_use=body.single_use
    )
    made = _connection(given, address, catalog, grant.entitlement, tls=bool(call.app.settings.gateway.certificate))
    if made.protocol != "ssh":
        return made
    return replace(made, host_key=ssh_host_public_key(call.app.home.keys))


def _address(app: App, catalog: Catalog, resource: str) -> str:
    """Where clients go; said before anything is given out."""
    address = app.gateways.get(catalog.resource(resource).connector, "")
    if not address:
        raise Unavailable(
            f"no gateway runs for `{resource}`",
            hint="set its address in [gateway] of lapse.toml and restart `lapse serve`",
        )
    return address


def _connection(given: Given, address: str, catalog: Catalog, entitlement: str, *, tls: bool) -> Connection:
    credential = given.credential
    return Connection(
        grant_id=credential.grant_id,
        entitlement=entitlement,
        resource=credential.resource,
        principal=credential.granted_to,
        protocol=given.protocol,
        address=address,
        login=credential.login,
        expires_at=credential.expires_at,
        secret=given.secret,
        certificate=given.certificate,
        database=catalog.entitlement(entitlement).native.get("database", ""),
        tls=tls,
        single_use=credential.single_use,
    )
