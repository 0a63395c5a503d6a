"""Secrets of integrations, read where they are: the environment, a file, or sealed in the file of integrations.

They never enter a message, a log line or the store.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from lapse.bootstrap.integrations.settings import SecretKind, SecretRef
from lapse.domain.errors import InvalidInput, Unavailable
from lapse.domain.names import is_printable

LONGEST_SECRET = 4_096
PURPOSE = "integration"


def read_secret(secret: SecretRef, folder: Path, unseal: Callable[[str], str]) -> str:
    """The secret itself.

    Raises:
        Unavailable: the variable or file is not there.
        Corrupt: it was not sealed with this installation's key.
        InvalidInput: what is there can be no secret.
    """
    match secret.kind:
        case SecretKind.ENV:
            found = os.environ.get(secret.where, "")
            if not found:
                raise Unavailable(f"the environment variable `{secret.where}` is not set for this process")
        case SecretKind.FILE:
            found = _from_file(folder / secret.where)
        case SecretKind.SEALED:
            found = unseal(secret.where)
    found = found.strip()
    if not found or len(found) > LONGEST_SECRET or not is_printable(found):
        raise InvalidInput(f"what `{secret.kind}:` names can be no secret", hint="it is one printable line")
    return found


def _from_file(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(LONGEST_SECRET + 1)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise Unavailable(f"the secret's file `{path}` cannot be read: {reason}") from None
