"""`lapse target check` for a host: each thing is tried with a real login, and what is wrong comes with its remedy."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lapse.connectors.ssh.probe import Prober
from lapse.domain.access import CheckItem, Fence, TargetCheck
from lapse.protocols.ssh import orders
from lapse.protocols.ssh.canary import CHECK_SERIAL
from lapse.protocols.ssh.native import SshNative
from lapse.protocols.ssh.orders import Modifier

TRUST = "in sshd_config: `TrustedUserCAKeys /etc/ssh/lapse_ca.pub`, with the line that `lapse target ca` prints"
LIST = "in sshd_config: `RevokedKeys /etc/ssh/lapse.krl`, fetched by a timer (docs/connectors/ssh.md)"
_SERIAL = 2
_PROBE = timedelta(minutes=2)
_LITTLE = timedelta(seconds=3)


@dataclass(frozen=True, slots=True)
class _Case:
    """A login to try, and what the host should do with it."""

    name: str
    needed_for: str
    remedy: str
    serial: int
    modifiers: tuple[Modifier, ...]
    accept: bool = False
    required: bool = True


async def check_host(prober: Prober, resource: str, natives: Sequence[SshNative], now: datetime) -> TargetCheck:
    """Try everything for each account; a refusal proves nothing where no certificate is taken at all."""
    items: list[CheckItem] = []
    server = ""
    accounts = {native.user: native for native in sorted(natives, key=lambda n: n.direct) if native.user}
    for account, native in accounts.items():
        first, *others = _cases(resource, account, native, now)
        seen = await prober.attempt(account, first.serial, *first.modifiers)
        server = server or seen.server
        items.append(_item(first, account, accepted=seen.accepted, proved=True))
        found = await asyncio.gather(*(prober.attempt(account, one.serial, *one.modifiers) for one in others))
        items += [
            _item(one, account, accepted=got.accepted, proved=seen.accepted)
            for one, got in zip(others, found, strict=True)
        ]
    if not accounts:
        await prober.attempt("lapse-checks", _SERIAL, orders.for_principals("lapse"), _window(now))
        items.append(_nothing_tried())
    host = CheckItem(name="reached, and its key is the one that is pinned", ok=True, needed_for="everything")
    return TargetCheck(
        server=server or "OpenSSH",
        items=(host, *items),
        fences=frozenset({Fence.TARGET, Fence.GATEWAY, Fence.RECONCILER}),
    )


def _cases(resource: str, account: str, native: SshNative, now: datetime) -> list[_Case]:
    names = orders.for_principals(*native.names(resource, account))
    principals = _principals(resource, native)
    over = now - 2 * orders.CLOCK_SKEW
    return [
        _Case("takes lapse's certificates", "every session", f"{TRUST}; {principals}", _SERIAL, (names, _window(now)),
              accept=True),
        _Case("refuses a certificate for another host", "keeping grants apart", principals, _SERIAL,
              (orders.for_principals(f"{resource}.elsewhere/{account}"), _window(now))),
        _Case("refuses a certificate whose time is over", "the deadline", "set the host's clock (chrony, timesyncd)",
              _SERIAL, (names, _past(over))),
        _Case("refuses it within seconds", "a deadline to the second", "set the host's clock (chrony, timesyncd)",
              _SERIAL, (names, _past(now - _LITTLE)), required=False),
        _Case("reads the revocation list", "early ends of direct certificates", LIST, CHECK_SERIAL,
              (names, _window(now)), required=native.direct),
    ]  # fmt: skip


def _principals(resource: str, native: SshNative) -> str:
    if native.principals:
        return f"in the account's AuthorizedPrincipalsFile: {' '.join(native.principals)}"
    return (
        f"in sshd_config: `AuthorizedPrincipalsCommand /usr/bin/echo {resource}/%u` and "
        "`AuthorizedPrincipalsCommandUser nobody`"
    )


def _window(now: datetime) -> Modifier:
    return orders.valid_between(now, now + _PROBE)


def _past(end: datetime) -> Modifier:
    return orders.valid_between(end - timedelta(hours=1), end)


def _item(case: _Case, account: str, *, accepted: bool, proved: bool) -> CheckItem:
    ok = proved and accepted is case.accept
    detail = "" if proved else "not proved: the host takes no certificate at all yet"
    return CheckItem(
        name=f"{account}: {case.name}",
        ok=ok,
        needed_for=case.needed_for,
        detail=detail,
        remedy="" if ok else case.remedy,
        required=case.required,
    )


def _nothing_tried() -> CheckItem:
    return CheckItem(
        name="logins were tried",
        ok=False,
        needed_for="seeing that certificates are taken",
        detail="no entitlement names an account",
        remedy="give an entitlement a `user`",
        required=False,
    )
