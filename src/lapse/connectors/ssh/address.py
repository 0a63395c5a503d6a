"""The DSN of a host: `ssh://HOST[:PORT]?host_key=…` with the keys by which it is known.

`host_key` is a public key (`ssh-ed25519 AAAA…`, percent-encoded; several are taken), `host_ca` a CA of host
certificates, `known_hosts` a file of OpenSSH's form on the server of lapse. At least one must be there: a host whose
key nobody vouches for is never spoken to.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qsl, urlsplit

from lapse.domain.errors import InvalidInput, Unavailable
from lapse.protocols.ssh.keys import public_text, read_public_key

if TYPE_CHECKING:
    import asyncssh

DEFAULT_PORT = 22
_LARGEST_FILE = 1024 * 1024
_HINT = "write it as `ssh://web-1.example.com?host_key=ssh-ed25519%20AAAA…` (`ssh-keyscan` shows the key)"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a host is, and lines of OpenSSH's `known_hosts` that vouch for its key."""

    host: str
    port: int
    keys: tuple[str, ...]
    authorities: tuple[str, ...] = ()
    known_hosts: str = ""

    @property
    def name(self) -> str:
        """The host as `known_hosts` spells it."""
        return self.host if self.port == DEFAULT_PORT else f"[{self.host}]:{self.port}"

    def lines(self) -> str:
        """What vouches for the host, as the content of a `known_hosts` file.

        Raises:
            Unavailable: the file that the DSN names cannot be read.
        """
        pinned = [f"{self.name} {key}" for key in self.keys]
        trusted = [f"@cert-authority {self.name} {key}" for key in self.authorities]
        return "\n".join([*pinned, *trusted, *([_content(self.known_hosts)] if self.known_hosts else ())]) + "\n"


def parse_address(dsn: str) -> Address:
    """Read a DSN.

    Raises:
        InvalidInput: it is no such URL, holds a password or a user, or vouches for no key.
    """
    try:
        parts = urlsplit(dsn)
        port = parts.port or DEFAULT_PORT
        pairs = parse_qsl(parts.query, strict_parsing=bool(parts.query), max_num_fields=20)
    except ValueError:
        raise InvalidInput("the DSN is not a URL", hint=_HINT) from None
    _check_shape(parts)
    unknown = {name for name, _ in pairs} - {"host_key", "host_ca", "known_hosts"}
    if unknown:
        raise InvalidInput("the DSN has a parameter that means nothing to an ssh target", hint=_HINT)
    found = Address(
        host=parts.hostname or "",
        port=port,
        keys=tuple(_key(value) for name, value in pairs if name == "host_key"),
        authorities=tuple(_key(value) for name, value in pairs if name == "host_ca"),
        known_hosts=next((value for name, value in pairs if name == "known_hosts"), ""),
    )
    if not (found.keys or found.authorities or found.known_hosts):
        raise InvalidInput("the DSN does not say by which key the host is known", hint=_HINT)
    return found


def host_keys(address: Address) -> str:
    """The keys that vouch for the host, one a line; `@cert-authority` stands before a CA's.

    Raises:
        Unavailable: the file that the DSN names cannot be read, or vouches for no key of this host.
    """
    import asyncssh

    try:
        known = asyncssh.import_known_hosts(address.lines())
        keys, authorities, revoked, *_ = asyncssh.match_known_hosts(known, address.host, "", address.port)
    except ValueError:
        raise Unavailable(f"the file of known hosts `{address.known_hosts}` cannot be read") from None
    lines = [_spelled(key) for key in keys if key not in revoked]
    lines += [f"@cert-authority {_spelled(key)}" for key in authorities if key not in revoked]
    if not lines:
        raise Unavailable(f"`{address.known_hosts}` knows no key of `{address.host}`")
    return "\n".join(lines)


def _spelled(key: asyncssh.SSHKey) -> str:
    return " ".join(key.export_public_key("openssh").decode().split()[:2])


def _check_shape(parts: SplitResult) -> None:
    host = parts.hostname or ""
    if parts.scheme != "ssh" or not host or parts.path.strip("/") or parts.fragment:
        raise InvalidInput("the DSN is not an ssh URL", hint=_HINT)
    if parts.username is not None or parts.password is not None:
        raise InvalidInput("the DSN names a user, but lapse logs in as the entitlements say", hint=_HINT)
    if host.startswith("-") or not all(c.isalnum() or c in ".:-_" for c in host):
        raise InvalidInput("the DSN's host cannot be one", hint=_HINT)


def _key(text: str) -> str:
    # A plus sign of base64 reads as a blank in a query; after the kind no blank belongs.
    kind, _, body = text.partition(" ")
    return public_text(read_public_key(f"{kind} {body.replace(' ', '+')}"))


def _content(path: str) -> str:
    try:
        with Path(path).open(encoding="utf-8") as file:
            return file.read(_LARGEST_FILE).strip()
    except (OSError, UnicodeDecodeError):
        raise Unavailable(f"the file of known hosts `{path}` cannot be read") from None
