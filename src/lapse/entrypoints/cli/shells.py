"""`lapse ssh`: OpenSSH's own client, through the gateway, with a certificate that ends with the access."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from lapse.domain.errors import NotFound
from lapse.entrypoints.cli.commands import command
from lapse.entrypoints.cli.completing import resources
from lapse.entrypoints.cli.output import note, print_json, safe, say, when
from lapse.entrypoints.cli.session import Session

FILES = {"key": "id", "certificate": "id-cert.pub", "known": "known_hosts"}


def register(app: typer.Typer) -> None:
    """Add this command."""
    command(app, "ssh")(ssh)


def ssh(
    session: Session,
    resource: Annotated[str, typer.Argument(metavar="RESOURCE", autocompletion=resources)],
    words: Annotated[list[str] | None, typer.Argument(metavar="[-- WORD…]", help="A command, or options.")] = None,
    role: Annotated[str, typer.Option(metavar="ROLE", help="Which, if you have several there.")] = "",
    direct: Annotated[bool, typer.Option("--direct", help="Past the gateway, where that is permitted.")] = False,
    write: Annotated[
        Path | None, typer.Option("--write-config", metavar="FOLDER", help="Write what ssh, scp and others need.")
    ] = None,
) -> None:
    """Open a shell on a host that you have access to now.

    A fresh key gets a certificate that ends with your access, and so does the session. With --write-config key,
    certificate and an ssh config are left in a folder: `ssh -F FOLDER/config RESOURCE`. With --direct the certificate
    is for the host itself, which sees to the end; what happens there is not recorded.
    """
    private, public = _fresh_key()
    with session.api() as api:
        wanted = {"resource": resource, "role": role, "public_key": public}
        found = _direct(api.post("/certificates", wanted)) if direct else api.post("/connections", wanted)
    if write is not None:
        _furnish(write, private, found)
        _say_written(session, write, found)
        return
    if shutil.which("ssh") is None:
        raise NotFound("ssh is not installed here", hint="use --write-config, and your own client")
    recorded = "; the session is recorded" if not direct else ", as far as new logins go"
    note(f"{found['entitlement']} ends {when(found['expires_at'])}{recorded}")
    with tempfile.TemporaryDirectory(prefix="lapse-ssh-") as folder:
        _furnish(Path(folder), private, found)
        line = ["ssh", "-F", f"{folder}/config", "--", resource, *(words or [])]
        done = subprocess.run(line, check=False)  # noqa: S603  the person's own client and words
    raise typer.Exit(done.returncode)


def _direct(found: dict[str, Any]) -> dict[str, Any]:
    """A certificate for a host as if it were a connection through a gateway."""
    host = f"[{found['host']}]" if ":" in found["host"] else found["host"]
    return found | {"address": f"{host}:{found['port']}", "user": found["user"], "host_key": found["host_keys"]}


def _say_written(session: Session, folder: Path, found: dict[str, Any]) -> None:
    if session.json:
        print_json({name: value for name, value in found.items() if name != "secret"} | {"config": f"{folder}/config"})
        return
    say(f"{folder}/config leads to `{safe(found['resource'])}`; it ends {when(found['expires_at'])}")
    say(f"next: `ssh -F {folder}/config {safe(found['resource'])}`; scp, sftp and rsync take the same file")


def _fresh_key() -> tuple[str, str]:
    """A private and its public key, as OpenSSH writes them."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    return private, key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def _furnish(folder: Path, private: str, found: dict[str, Any]) -> None:
    """Key, certificate, the gateway's host key, and a config that names them; nobody else may read them."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    host, _, port = found["address"].rpartition(":")
    plain = host.strip("[]")
    _write(folder / FILES["key"], private)
    _write(folder / FILES["certificate"], found["certificate"] + "\n")
    keys = [line for line in found["host_key"].splitlines() if line]
    _write(folder / FILES["known"], "".join(f"[{plain}]:{port} {key}\n" for key in keys))
    _write(folder / "config", _config(folder.absolute(), found, plain, port))


def _config(folder: Path, found: dict[str, Any], host: str, port: str) -> str:
    return "\n".join(
        [
            f"Host {found['resource']}",
            f"    HostName {host}",
            f"    Port {port}",
            f"    User {found['user'] if 'user' in found else found['principal'] + '%' + found['resource']}",
            f"    IdentityFile {folder / FILES['key']}",
            f"    CertificateFile {folder / FILES['certificate']}",
            "    IdentitiesOnly yes",
            f"    UserKnownHostsFile {folder / FILES['known']}",
            "    GlobalKnownHostsFile none",
            "    StrictHostKeyChecking yes",
            "",
        ]
    )


def _write(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
