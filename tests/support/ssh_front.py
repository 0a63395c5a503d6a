"""A gateway in front of a real sshd, in the test's process: what real OpenSSH clients are pointed at."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from fakes.authority import FakeAuthority
from fakes.control_plane import FakePlane
from lapse.domain.credentials import CredentialKind
from lapse.gateway.ssh import ssh_server
from lapse.ports import Attempt, Upstream
from lapse.protocols.ssh import orders
from lapse.protocols.ssh.keys import public_text
from support.live_gateway import LiveGateway, listening, live_gateway

HOUR = timedelta(hours=1)


class SshPlane(FakePlane):
    """Also signs what a session shows to the host, as lapse does."""

    authority: FakeAuthority

    async def ssh_user_ca(self) -> str:
        return self.authority.ssh_public_key

    async def admit(self, gateway: str, attempt: Attempt):
        admission = await super().admit(gateway, attempt)
        upstream = admission.upstream
        wanted = orders.order(
            attempt.public_key,
            secrets.randbits(60) + 2,
            "lapse session",
            orders.valid_between(datetime.now(UTC), datetime.now(UTC) + HOUR),
            orders.for_principals(f"{admission.session.resource}/{upstream.user}"),
            orders.permitting("permit-agent-forwarding", "permit-pty", "permit-port-forwarding"),
        )
        return replace(admission, upstream=replace(upstream, certificate=self.authority.sign_ssh(wanted)))


@dataclass
class SshFront:
    """The gateway and what clients need: a key with its certificate, and a config file."""

    gateway: LiveGateway
    authority: FakeAuthority
    host: str
    port: int
    folder: Path
    sshd: object
    serial: int = 4711
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def plane(self):
        return self.gateway.plane

    def allow(self, permit: str = "", *, life: timedelta = HOUR, upstream: Upstream | None = None, **more):
        """Give out a certificate for `alice` on `web-1`, and write the client's files."""
        self.serial += 1
        key = Ed25519PrivateKey.generate()
        wanted = orders.order(
            public_text(key.public_key()),
            self.serial,
            "lapse grant of alice",
            orders.valid_between(datetime.now(UTC), datetime.now(UTC) + life),
            orders.for_principals("lapse-gateway"),
            orders.permitting("permit-agent-forwarding", "permit-pty", "permit-port-forwarding"),
        )
        private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
        _write(self.folder / "id", private, 0o600)
        _write(self.folder / "id-cert.pub", self.authority.sign_ssh(wanted).encode() + b"\n", 0o600)
        self._configure()
        there = upstream or Upstream(
            host="127.0.0.1", port=self.sshd.port, user=self.sshd.user, parameters={"host_keys": self.sshd.host_key}
        )
        return self.permit(
            str(self.serial), kind=CredentialKind.CERTIFICATE, life=life, upstream=there,
            native={"permit": permit} if permit else {}, **more,
        )  # fmt: skip

    def permit(self, login: str, **more):
        """A credential for `web-1`."""
        made = self.plane.allow(login, entitlement="web-1/admin", **more)
        made.credential = replace(made.credential, resource="web-1")
        return made

    def _configure(self):
        options = f"""
            IdentityFile {self.folder}/id
            CertificateFile {self.folder}/id-cert.pub
            IdentitiesOnly yes
            UserKnownHostsFile {self.folder}/known_hosts
            StrictHostKeyChecking accept-new
            BatchMode yes
            ConnectTimeout 20
            LogLevel ERROR
        """
        (self.folder / "config").write_text(
            f"Host web-1\n HostName {self.host}\n Port {self.port}\n User alice%web-1\n{options}\n"
            f"Host gateway\n HostName {self.host}\n Port {self.port}\n User alice\n{options}\n"
            f"Host *\n{options}\n"
        )

    async def run(self, program: str, *arguments: str, stdin: bytes = b"", patience: float = 60):
        """Run a client to its end."""
        process = await asyncio.create_subprocess_exec(
            program,
            *arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {"GIT_SSH_COMMAND": f"ssh -F {self.folder}/config"} | self.environment,
        )
        async with asyncio.timeout(patience):
            out, err = await process.communicate(stdin)
        return subprocess.CompletedProcess(program, process.returncode or 0, out, err)

    async def ssh(self, *arguments: str, **more):
        return await self.run("ssh", "-F", str(self.folder / "config"), *arguments, **more)

    async def over(self, number: int = 1):
        """Sessions that are over, once there are so many."""
        async with asyncio.timeout(15):
            while True:
                found = [one for one in self.plane.sessions.values() if one.ended_at is not None]
                if len(found) >= number:
                    return found
                self.plane.finished.clear()
                await self.plane.finished.wait()


@asynccontextmanager
async def ssh_front(folder: Path, sshd, authority: FakeAuthority, **more) -> AsyncIterator[SshFront]:
    """`folder` is for the client's files."""
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(live_gateway(make_plane=SshPlane, **more))
        gateway.plane.authority = authority
        host_key = Ed25519PrivateKey.generate()
        text = host_key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
        server = ssh_server(text)(gateway.context)
        host, port = await stack.enter_async_context(listening(server, gateway.context))
        yield SshFront(gateway, authority, host, port, folder, sshd)


def _write(path: Path, data: bytes, mode: int) -> None:
    path.unlink(missing_ok=True)
    path.write_bytes(data)
    path.chmod(mode)
