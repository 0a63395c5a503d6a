"""One login attempt with a certificate made for it. It opens no channel, so nothing runs on the host.

The answer is what a host did, never what it should do: accepted, refused, or not known (`Unavailable`). The host's key
is verified first; a host with another key is not asked.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from lapse.connectors.ssh.address import Address
from lapse.domain.errors import LapseError, Unavailable
from lapse.domain.names import is_printable
from lapse.ports import Authority
from lapse.protocols.ssh.keys import public_text
from lapse.protocols.ssh.orders import Modifier, order

if TYPE_CHECKING:
    import asyncssh


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Seconds that one attempt may take, and how many run at once."""

    attempt: float = 10.0
    at_once: int = 4


@dataclass(frozen=True, slots=True)
class Seen:
    """What the host did: `server` is the version that it told, empty if it refused."""

    accepted: bool
    server: str = ""


class Prober:
    """Tries logins on one host. Its certificates live for the attempt only; their keys never leave this process."""

    def __init__(self, resource: str, address: Address, authority: Authority, limits: Limits) -> None:
        self._resource, self._address, self._authority, self._limits = resource, address, authority, limits
        self._places = asyncio.Semaphore(limits.at_once)

    async def attempt(self, account: str, serial: int, *modifiers: Modifier) -> Seen:
        """Log in as `account` with a fresh key and a certificate of this serial.

        Raises:
            Unavailable: the host is not reached, shows another key, or does not answer in time.
        """
        key = Ed25519PrivateKey.generate()
        wanted = order(public_text(key.public_key()), serial, f"lapse probe {self._resource}", *modifiers)
        certificate = self._authority.sign_ssh(wanted)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
        async with self._places:
            try:
                return await asyncio.wait_for(self._log_in(account, private, certificate), self._limits.attempt)
            except TimeoutError:
                raise self._unavailable(f"it did not answer within {self._limits.attempt:g} s") from None
            except LapseError:
                raise
            except (OSError, ValueError) as error:
                raise self._unavailable(str(error)) from None

    async def _log_in(self, account: str, private: str, certificate: str) -> Seen:
        import asyncssh

        pair = asyncssh.import_private_key(private), asyncssh.import_certificate(certificate)
        try:
            connection = await asyncssh.connect(
                self._address.host,
                self._address.port,
                username=account,
                client_keys=[pair],
                known_hosts=asyncssh.import_known_hosts(self._address.lines()),
                config=None,
                agent_path=None,
                preferred_auth="publickey",
                gss_host=None,
                client_version="lapse_probe",
            )
        except asyncssh.PermissionDenied:
            return Seen(accepted=False)
        except asyncssh.Error as error:
            raise self._trouble(error) from None
        return await _closed(connection)

    def _trouble(self, error: asyncssh.Error) -> Unavailable:
        import asyncssh

        if isinstance(error, asyncssh.HostKeyNotVerifiable):
            return self._unavailable("it shows a key that nobody vouches for, so it was not asked")
        return self._unavailable(error.reason)

    def _unavailable(self, why: str) -> Unavailable:
        line = "".join(c if is_printable(c) else " " for c in why)[:200]
        return Unavailable(f"the host `{self._resource}` failed: {line}")


async def _closed(connection: asyncssh.SSHClientConnection) -> Seen:
    server = str(connection.get_extra_info("server_version", ""))
    connection.close()
    await connection.wait_closed()
    return Seen(accepted=True, server="".join(c if is_printable(c) else " " for c in server)[:100])
