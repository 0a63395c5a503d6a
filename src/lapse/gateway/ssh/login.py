"""Who is at the door: a certificate of the user CA with a live credential, or a token. Called by `server`.

Guarantees: nobody is let in whose credential is not live, or who names another person or resource than it is for. A
connection that has no name for its resource may only jump to it.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from dataclasses import dataclass
from typing import Any

import asyncssh

from lapse.domain.credentials import Credential, CredentialKind
from lapse.domain.errors import InvalidInput, LapseError
from lapse.gateway.context import GatewayContext
from lapse.protocols.ssh.certificates import read_certificate
from lapse.protocols.ssh.logins import Login, parse_login
from lapse.protocols.ssh.wire import Reader

PROTOCOL = "ssh"
GATEWAY_PRINCIPAL = "lapse-gateway"
"""Whom certificates for the gateway name; no host knows a principal of this name."""

LONGEST_TOKEN = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Somebody who proved to hold `credential`. `jumps`: what it wants to reach is named by the channel it opens."""

    credential: Credential
    login: Login
    jumps: bool = False


class Reception:
    """Checks one connection's credentials. `resource` is given where the client jumped to it already."""

    def __init__(self, context: GatewayContext, *, resource: str = "", holder: str = "") -> None:
        self._context, self._resource, self._holder = context, resource, holder
        self.visitor: Visitor | None = None

    def watch(self, connection: asyncssh.SSHServerConnection) -> None:
        """Add the check of the credential behind a certificate to those that asyncssh makes of the certificate."""
        validate = connection.validate_public_key

        async def validated(username: str, key_data: bytes, msg: bytes, signature: bytes) -> bool:
            good = await validate(username, key_data, msg, signature)
            return good and await self._by_certificate(username, key_data)

        connection.validate_public_key = validated  # type: ignore[method-assign]  # there is no hook for the serial

    async def by_token(self, username: str, password: str) -> bool:
        """Whether `password` is the token whose login is `username`; as quick for a login that nobody has."""
        found = await self._credential(username)
        shown = hashlib.sha256(password[:LONGEST_TOKEN].encode()).hexdigest()
        known = found.verifier if found is not None and found.kind is CredentialKind.TOKEN else "0" * len(shown)
        same = hmac.compare_digest(known, shown)
        if found is None or found.kind is not CredentialKind.TOKEN or not same:
            return False
        login = Login(principal=found.granted_to, resource=found.resource)
        return self._let_in(found, login)

    async def _by_certificate(self, username: str, key_data: bytes) -> bool:
        try:
            kind = Reader(key_data).text()
            shown = read_certificate(f"{kind} {b64encode(key_data).decode()}")
            login = self._login(username)
        except LapseError:
            return False
        if GATEWAY_PRINCIPAL not in shown.principals or not shown.valid(self._context.clock.now()):
            return False
        found = await self._credential(str(shown.serial))
        if found is None or found.kind is not CredentialKind.CERTIFICATE:
            return False
        return self._let_in(found, login)

    def _login(self, username: str) -> Login:
        """Behind a jump the user's name is that of the host's account, and says nothing here."""
        if self._resource:
            return Login(principal=self._holder, resource=self._resource)
        return parse_login(username)

    async def _credential(self, login: str) -> Credential | None:
        try:
            return await self._context.door.plane.credential(login, PROTOCOL)
        except LapseError as error:
            self._context.log.info("login not looked up", protocol=PROTOCOL, reason=error.message)
            return None

    def _let_in(self, found: Credential, login: Login) -> bool:
        agrees = login.principal == found.granted_to and login.resource in {"", found.resource}
        if agrees:
            self.visitor = Visitor(credential=found, login=login, jumps=not login.resource)
        return agrees


def user_ca(line: str) -> Any:
    """What asyncssh takes as the keys that may vouch for a client. Raises `InvalidInput` for what is no key."""
    try:
        return asyncssh.import_authorized_keys(f'cert-authority,principals="{GATEWAY_PRINCIPAL}" {line}\n')
    except (ValueError, asyncssh.KeyImportError):
        raise InvalidInput("the user CA's public key cannot be read") from None
