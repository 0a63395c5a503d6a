"""What an `ssh` entitlement says in its `native` terms, and the certificate that follows from it.

    user            the account on the host; empty: the beneficiary's own login there
    permit          what sessions may do (`permit.py`)
    source_address  where clients may come from: CIDR blocks with commas between them
    force_command   what runs whatever is asked for
    principals      names that the host knows for the account; `RESOURCE/USER` where it does not say
    direct          `yes`: certificates for the host itself are given out, for use without the gateway

Used by the connector, the gateway and whoever gives certificates out.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from lapse.domain.errors import InvalidInput, Refused
from lapse.domain.names import check_native, shown
from lapse.protocols.ssh import orders
from lapse.protocols.ssh.orders import Modifier
from lapse.protocols.ssh.permit import Permit, permit_of

KNOWN = frozenset({"user", "permit", "source_address", "force_command", "principals", "direct"})
_WHOLE = frozenset({"shell", "exec", "sftp"})
_INTERNAL_SFTP = "internal-sftp"


@dataclass(frozen=True, slots=True, kw_only=True)
class SshNative:
    """An entitlement on a host; the fields are those of the module's list."""

    user: str = ""
    permit: Permit
    source_address: str = ""
    force_command: str = ""
    principals: tuple[str, ...] = ()
    direct: bool = False

    def names(self, resource: str, account: str) -> tuple[str, ...]:
        """The principals of a certificate for `account` on `resource`; by default no other host knows them."""
        return self.principals or (f"{resource}/{account}",)

    def limits(self) -> tuple[Modifier, ...]:
        """What a certificate for the host itself must say so that the host permits no more than the entitlement.

        Raises:
            Refused: a certificate cannot say it, so only the gateway can hold to it.
        """
        words = self.permit.words
        command = self.force_command
        if not command and words == {"sftp"}:
            command = _INTERNAL_SFTP
        if not command and not words >= _WHOLE:
            raise Refused(
                "a certificate cannot keep sessions to what this entitlement permits",
                hint="go through the gateway, or permit `shell exec sftp`, `sftp` alone, or a force_command",
            )
        if ("forward-local" in words) != ("forward-remote" in words):
            raise Refused("a certificate cannot permit forwarding in one direction only", hint="go through the gateway")
        return (
            orders.permitting(*self.permit.extensions),
            orders.from_addresses(self.source_address),
            orders.forced(command),
        )


def parse_native(native: Mapping[str, str]) -> SshNative:
    """Read an entitlement's `native`.

    Raises:
        InvalidInput: a key or a word is unknown, or a name cannot be an account's or a principal's.
    """
    for key in native:
        if key not in KNOWN:
            raise InvalidInput(
                f"`{shown(key)}` means nothing to an ssh target", hint=f"the keys are {', '.join(sorted(KNOWN))}"
            )
    user, command = native.get("user", ""), native.get("force_command", "")
    if command:
        check_native(command, what="command to force")
    return SshNative(
        user=check_account(user) if user else "",
        permit=permit_of(native),
        source_address=_blocks(native.get("source_address", "")),
        force_command=command,
        principals=tuple(_principal(name) for name in native.get("principals", "").split()),
        direct=_yes(native.get("direct", "no")),
    )


def check_account(text: str) -> str:
    """Return `text` if it can be an account's name on a host."""
    check_native(text, what="account name")
    if set(text) & set(" ,:/%@\\\"'") or text.startswith("-"):
        raise InvalidInput(f"`{shown(text)}` cannot be an account on a host", hint="name it as the host does")
    return text


def account_for(native: SshNative, login: str | None) -> str:
    """The account that a new grant will use; `Refused` if the entitlement names none and the person has none."""
    if native.user:
        return native.user
    if not login:
        raise Refused(
            "the entitlement names no account, and none is linked to the person",
            hint="set `user`, or link the beneficiary's login on this resource in the catalog",
        )
    return check_account(login)


def _principal(name: str) -> str:
    check_native(name, what="principal")
    if "," in name:
        raise InvalidInput(f"`{shown(name)}` cannot be a principal", hint="put blanks between them")
    return name


def _blocks(text: str) -> str:
    blocks = [part.strip() for part in text.split(",") if part.strip()]
    for block in blocks:
        try:
            ipaddress.ip_network(block)
        except ValueError:
            raise InvalidInput(f"`{shown(block)}` is not a CIDR block", hint="write it as `10.0.0.0/8`") from None
    return ",".join(blocks)


def _yes(text: str) -> bool:
    if text not in {"yes", "no"}:
        raise InvalidInput(f"`{shown(text)}` is neither `yes` nor `no`", hint="for `direct`")
    return text == "yes"
