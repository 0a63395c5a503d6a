"""What a PostgreSQL entitlement says in its `native` terms, and which names lapse gives and takes.

Names reach SQL only through `psycopg.sql.Identifier`; here they are checked for what quoting cannot mend: the
server silently cuts names longer than 63 bytes, and reads `public` and `none` as keywords even when quoted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

from lapse.domain.access import Fence
from lapse.domain.errors import InvalidInput, Refused
from lapse.domain.names import check_native, shown

LONGEST_NAME_BYTES = 63
RESERVED = frozenset({"public", "none"})
PREFIX = "lapse_"
KNOWN = frozenset({"role", "mode", "reassign_to", "database", "gateway"})
CERTIFICATE = "certificate"


class Mode(StrEnum):
    """How the role is given."""

    MEMBERSHIP = "membership"
    EPHEMERAL = "ephemeral"


@dataclass(frozen=True, slots=True, kw_only=True)
class Native:
    """`role` is what is given; `database` where an ephemeral login connects; `reassign_to` inherits its objects.

    `gateway` says how a gateway logs in as a person's own login: `certificate`, `env:NAME` or `file:PATH`.
    """

    role: str
    mode: Mode = Mode.MEMBERSHIP
    reassign_to: str = ""
    database: str = ""
    gateway: str = ""

    @property
    def fences(self) -> frozenset[Fence]:
        """The ways in which access by this entitlement ends."""
        if self.mode is Mode.EPHEMERAL:
            return frozenset({Fence.TARGET, Fence.RECONCILER})
        return frozenset({Fence.RECONCILER})


def parse_native(native: Mapping[str, str]) -> Native:
    """Read an entitlement's `native`.

    Raises:
        InvalidInput: a key is unknown or missing, or a name cannot exist on a PostgreSQL server.
    """
    for key in native:
        if key not in KNOWN:
            raise InvalidInput(
                f"`{shown(key)}` means nothing to a postgresql target",
                hint=f"the keys are {', '.join(sorted(KNOWN))}",
            )
    mode = native.get("mode", Mode.MEMBERSHIP)
    if mode not in set(Mode):
        raise InvalidInput(f"`{shown(mode)}` is not a mode", hint="use `membership` or `ephemeral`")
    return Native(
        role=check_role_name(native.get("role", "")),
        mode=Mode(mode),
        reassign_to=_optional(native.get("reassign_to", "")),
        database=_optional(native.get("database", ""), what="database name"),
        gateway=_gateway(native.get("gateway", ""), Mode(mode)),
    )


def _gateway(text: str, mode: Mode) -> str:
    if not text:
        return ""
    kind, _, where = check_native(text, what="gateway setting").partition(":")
    if mode is Mode.EPHEMERAL:
        raise InvalidInput("`gateway` is for a person's own login", hint="leave it out: this login is lapse's own")
    if text != CERTIFICATE and (kind not in {"env", "file"} or not where):
        raise InvalidInput(
            f"`{shown(text)}` is not a way to log in", hint="use `certificate`, `env:NAME` or `file:PATH`"
        )
    return text


def _optional(text: str, what: str = "role name") -> str:
    return check_role_name(text, what=what) if text else ""


def check_role_name(text: str, *, what: str = "role name") -> str:
    """Return `text` if a PostgreSQL server can hold a role of exactly this name."""
    check_native(text, what=what)
    size = len(text.encode())
    if size > LONGEST_NAME_BYTES:
        raise InvalidInput(
            f"the {what} `{shown(text)}` has {size} bytes, PostgreSQL cuts it at {LONGEST_NAME_BYTES}",
            hint="use the name as the server has it",
        )
    if text in RESERVED:
        raise InvalidInput(f"`{text}` is a word of PostgreSQL and no {what}", hint="name a role")
    return text


def check_account(native: Native, account: str) -> str:
    """Return `account` if it may be used with this entitlement; an ephemeral login is always one of ours."""
    check_role_name(account, what="account name")
    if account.startswith("pg_"):
        raise InvalidInput(f"`{shown(account)}` is a role of PostgreSQL itself", hint="name a login")
    if account == native.role:
        raise InvalidInput(f"`{shown(account)}` cannot be given to itself", hint="name a login")
    if native.mode is Mode.EPHEMERAL and not account.startswith(PREFIX):
        raise InvalidInput(
            f"`{shown(account)}` is no login made by lapse", hint=f"ephemeral logins begin with `{PREFIX}`"
        )
    return account


def account_for(native: Native, login: str | None, grant_id: str) -> str:
    """The account that a new grant will use.

    Raises:
        Refused: an existing login is needed and the beneficiary has none.
    """
    if native.mode is Mode.EPHEMERAL:
        return _ephemeral_name(grant_id)
    if not login:
        raise Refused(
            f"the role `{shown(native.role)}` is given to an existing login, and none is linked",
            hint="link the beneficiary's login on this resource in the catalog",
        )
    return check_account(native, login)


def _ephemeral_name(grant_id: str) -> str:
    plain = re.sub(r"[^a-z0-9_]", "_", grant_id.lower())
    if plain == grant_id and len(PREFIX + plain) <= LONGEST_NAME_BYTES:
        return PREFIX + plain
    # Cut or changed names could meet; the digest keeps them apart.
    digest = sha256(grant_id.encode()).hexdigest()[:16]
    return f"{PREFIX}{plain[: LONGEST_NAME_BYTES - len(PREFIX) - 17]}_{digest}"
