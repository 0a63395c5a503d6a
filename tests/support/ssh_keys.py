"""Public keys that are well formed, files of them, and reading those."""

from __future__ import annotations

import base64
import hashlib
import itertools
from datetime import UTC, datetime

from support.read_sources import read_as

TAKEN = datetime(2026, 10, 1, tzinfo=UTC)
_numbers = itertools.count(1)


def wire(*parts):
    return b"".join(len(part).to_bytes(4) + part for part in parts)


def blob_of(kind, number=1, bits=3072):
    """A key of `kind` that is well formed; another number is another key."""
    seed = hashlib.sha256(str(number).encode()).digest()
    modulus = (1 << (bits - 1) | number).to_bytes(bits // 8)
    inside = {
        "ssh-rsa": (b"\x01\x00\x01", b"\0" + modulus),
        "ssh-dss": (b"\0" + modulus, seed, seed, seed),
        "ssh-ed25519": (seed,),
        "ecdsa-sha2-nistp521": (b"nistp521", seed),
        "sk-ecdsa-sha2-nistp256@openssh.com": (b"nistp256", seed, b"ssh:"),
        "sk-ssh-ed25519@openssh.com": (seed, b"ssh:"),
    }.get(kind, (seed,))
    return wire(kind.encode(), *inside)


def key(kind="ssh-ed25519", number=1, bits=3072, comment=""):
    text = f"{kind} {base64.b64encode(blob_of(kind, number, bits)).decode()}"
    return f"{text} {comment}" if comment else text


def fingerprint(kind="ssh-ed25519", number=1, bits=3072):
    digest = base64.b64encode(hashlib.sha256(blob_of(kind, number, bits)).digest()).decode()
    return "SHA256:" + digest.rstrip("=")


def read_keys(tmp_path, files, rules=None, **options):
    """`files` maps a path to the lines of a file."""
    folder = tmp_path / f"keys-{next(_numbers)}"
    for name, lines in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        content = lines if isinstance(lines, bytes) else "".join(f"{line}\n" for line in lines).encode()
        file.write_bytes(content)
    return read_as("authorized-keys", folder, tmp_path, rules, **{"taken_at": "2026-10-01T00:00:00Z", **options})


def alone(tmp_path, *lines, **options):
    return read_keys(tmp_path, {"web-1/alice/authorized_keys": lines}, **options)
