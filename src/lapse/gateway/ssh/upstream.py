"""The gateway as a client of a host: a fresh key with its certificate, and a host key that is pinned."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import asyncssh
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from lapse.domain.errors import Unavailable
from lapse.ports import Upstream
from lapse.protocols.ssh.keys import public_text

CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes256-ctr")
"""With hosts: those that the machine does in hardware come first."""
CLIENT_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
"""With clients, whose order counts: OpenSSH would prefer ChaCha20 and AES-CTR, which cost more here."""
WINDOW = 2 << 20


@dataclass(frozen=True)
class FreshKey:
    """A key for one session. `private` never leaves this process."""

    private: str
    public: str

    @classmethod
    def make(cls) -> FreshKey:
        """Another one."""
        key = Ed25519PrivateKey.generate()
        private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
        return cls(private, public_text(key.public_key()))


async def log_in(
    upstream: Upstream, key: FreshKey, seconds: float, *, agent: str | None = None
) -> asyncssh.SSHClientConnection:
    """A connection as the upstream's account. `agent` is the path of a socket that the host may reach as an agent.

    Raises:
        Unavailable: the host is not reached, shows another key than the pinned ones, or refuses the certificate.
    """
    where = f"{upstream.host}:{upstream.port}"
    trusted = [asyncssh.import_public_key(line) for line in upstream.parameters["host_keys"].splitlines() if line]
    pair = asyncssh.import_private_key(key.private), asyncssh.import_certificate(upstream.certificate)
    try:
        async with asyncio.timeout(seconds):
            return await asyncssh.connect(
                upstream.host,
                upstream.port,
                username=upstream.user,
                client_keys=[pair],
                known_hosts=(trusted, [], []),
                server_host_key_algs="default",
                config=None,
                agent_path=None,
                agent_forwarding=agent or False,
                preferred_auth="publickey",
                gss_host=None,
                encryption_algs=CIPHERS,
                compression_algs=None,
                keepalive_interval=30,
                client_version="lapse",
            )
    except TimeoutError:
        raise Unavailable(f"the host at {where} does not answer within {seconds:g} s", hint="look at it") from None
    except asyncssh.PermissionDenied:
        raise Unavailable(
            f"the host at {where} refuses lapse's certificate for `{upstream.user}`",
            hint="`lapse target check` says what is missing",
        ) from None
    except asyncssh.HostKeyNotVerifiable:
        raise Unavailable(f"the host at {where} shows a key that nobody vouches for", hint="look at it") from None
    except (asyncssh.Error, OSError, ValueError) as error:
        reason = str(getattr(error, "reason", "") or error).lower()
        raise Unavailable(f"the host at {where} is not reached: {reason[:200]}", hint="look at it") from None
