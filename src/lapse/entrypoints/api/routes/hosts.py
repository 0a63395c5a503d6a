"""Hosts: certificates for them, the CA that they trust, and the list of what ended early."""

from __future__ import annotations

from dataclasses import dataclass

from lapse.control.credentials import authority_of, grant_to_use
from lapse.control.hosts import give_host_certificate, revocation_list
from lapse.domain.times import Instant
from lapse.entrypoints.api.operations import Body, Call, Download, Routes

ROUTES = Routes("sessions")
KRL_TYPE = "application/octet-stream"


class CertificateBody(Body, frozen=True, kw_only=True):
    """Which host, in which role (needed where one has several), and the public key that is to be certified."""

    resource: str
    role: str = ""
    public_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate for a host until `expires_at`, where the host is, and its own keys, one a line."""

    grant_id: str
    entitlement: str
    resource: str
    certificate: str
    host: str
    port: int
    user: str
    host_keys: str
    expires_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class UserCa:
    """The public key, in OpenSSH's text, of the CA whose certificates a host is to take."""

    public_key: str


@ROUTES.post("/api/v1/certificates", Certificate, body=CertificateBody, status=201, secret=True)
async def certify(call: Call) -> Certificate:
    """A certificate for a host itself, by one's own active grant, where the entitlement is `direct`."""
    body: CertificateBody = call.body
    grant = await grant_to_use(call.control, call.actor, body.resource, body.role)
    given = await give_host_certificate(call.control, call.actor, grant.id, body.public_key)
    return Certificate(
        grant_id=grant.id,
        entitlement=grant.entitlement,
        resource=grant.resource,
        certificate=given.certificate,
        host=given.host,
        port=given.port,
        user=given.user,
        host_keys=given.host_keys,
        expires_at=given.credential.expires_at,
    )


@ROUTES.get("/api/v1/ssh/user-ca", UserCa)
async def show_user_ca(call: Call) -> UserCa:
    """The CA for SSH users: it never changes, and is no secret."""
    return UserCa(public_key=authority_of(call.control).ssh_public_key)


@ROUTES.get("/api/v1/ssh/krl", Download, public=True, media_type=KRL_TYPE)
async def show_krl(call: Call) -> Download:
    """The revocation list for `RevokedKeys` of sshd. It has serial numbers only, so hosts fetch it without a token."""
    return Download(await revocation_list(call.control), KRL_TYPE, "lapse.krl")
