#!/usr/bin/env python3
"""Brings a password from HashiCorp Vault to a file that a lapse gateway reads: for `gateway: file:PATH`.

Run it from a timer, more often than Vault rotates the password. It needs nothing but Python's standard library.

    VAULT_ADDR=https://vault.example.com:8200 ROLE_ID=… SECRET_ID_FILE=/etc/lapse/vault-secret-id \\
        ./password.py database/static-creds/lapse-app /var/lib/lapse/secrets/pg-prod

The first argument is a path of Vault's HTTP API below `/v1/`: of the database engine's static roles, or of a KV store
(version 2: `secret/data/…`, the key is `password`). The file is replaced in one step; if anything fails it stays as it is.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from pathlib import Path

SECONDS = 10


def main(path: str, to: Path) -> None:
    """Log in with an AppRole, read the secret, replace the file."""
    secret_id = Path(os.environ["SECRET_ID_FILE"]).read_text(encoding="utf-8").strip()
    login = {"role_id": os.environ["ROLE_ID"], "secret_id": secret_id}
    token = asked("auth/approle/login", given=login)["auth"]["client_token"]
    found = asked(path, token=token)["data"]
    password = found.get("data", found)["password"]
    fresh = to.with_name(to.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(password)
    fresh.replace(to)


def asked(path: str, *, token: str = "", given: dict[str, str] | None = None) -> dict:
    """What Vault answers."""
    url = f"{os.environ['VAULT_ADDR'].rstrip('/')}/v1/{path}"
    if not url.startswith(("https://", "http://127.0.0.1:")):
        raise SystemExit("VAULT_ADDR must begin with https://")
    headers = {"X-Vault-Token": token} if token else {}
    data = json.dumps(given).encode() if given else None
    request = urllib.request.Request(url, data=data, headers=headers)  # noqa: S310  see above
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310  see above
        return json.load(answer)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
