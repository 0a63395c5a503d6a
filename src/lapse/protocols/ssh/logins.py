"""Who wants what, as the user name of an SSH client says it: `alice%web-1`, `alice%web-1%deploy`, or `alice`.

Used by the gateway. A name proves nothing; what it says must agree with the credential that is shown with it.
"""

from __future__ import annotations

from dataclasses import dataclass

from lapse.domain.errors import InvalidInput

SEPARATOR = "%"
LONGEST = 256
_FIELDS = ("principal", "resource", "role")
_HINT = "log in as PRINCIPAL%RESOURCE, e.g. `ssh alice%web-1@gateway`, or jump: `ssh -J alice@gateway web-1`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """`resource` is empty where the client jumps and names it later; `role` where any of the resource will do."""

    principal: str
    resource: str = ""
    role: str = ""


def parse_login(name: str) -> Login:
    """Read a user name.

    Raises:
        InvalidInput: it has empty parts, more than three, characters that do not print, or is too long.
    """
    parts = name.split(SEPARATOR)
    if len(name) > LONGEST or len(parts) > len(_FIELDS) or not all(parts) or not name.isprintable():
        raise InvalidInput("the user name is not of the form PRINCIPAL%RESOURCE", hint=_HINT)
    return Login(**dict(zip(_FIELDS, parts, strict=False)))
