"""`ports.Connector` for hosts with OpenSSH: access exists only as certificates, and is seen by trying to log in.

Nothing is changed on a host. `apply` sees that it takes a certificate like the grant's; `remove` that it refuses one:
at the deadline one with the grant's validity, before it one that stands on the revocation list with the grant's. An
entitlement that is not `direct` gives no certificate out of the gateway, so its end needs no list. What follows without
having been seen is said in the proof.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from lapse.connectors.ssh.address import host_keys, parse_address
from lapse.connectors.ssh.check import check_host
from lapse.connectors.ssh.probe import Limits, Prober
from lapse.domain.access import Applied, Assignment, Before, Failed, Fence, Observation, Removed, TargetCheck
from lapse.domain.errors import LapseError, Refused
from lapse.ports import Authority, Clock, Upstream
from lapse.protocols.ssh import orders
from lapse.protocols.ssh.canary import client_serial, grant_serial
from lapse.protocols.ssh.native import SshNative, account_for, check_account, parse_native
from lapse.protocols.ssh.orders import Modifier, order

FENCES = frozenset({Fence.TARGET, Fence.GATEWAY, Fence.RECONCILER})
_PROBE = timedelta(minutes=2)
_NOT_READ = "files with authorized keys cannot be read without a login of lapse's own, so standing access is not known"


class SshConnector:
    """One host as a target."""

    def __init__(
        self, resource: str, dsn: str, *, authority: Authority, clock: Clock | None = None, limits: Limits | None = None
    ) -> None:
        self._resource, self._address, self._authority = resource, parse_address(dsn), authority
        self._clock = clock
        self._prober = Prober(resource, self._address, authority, limits or Limits())

    @property
    def fences(self) -> frozenset[Fence]:
        """The validity of certificates, which the host itself holds to; the gateway; and lapse's own removal."""
        return FENCES

    def account_for(self, native: Mapping[str, str], login: str | None, grant_id: str) -> str:  # noqa: ARG002  no name is made here
        """See `ports.Connector`."""
        return account_for(parse_native(native), login)

    async def check(self, natives: Sequence[Mapping[str, str]]) -> TargetCheck:
        """What the host takes and refuses, each tried; what is wrong comes with the lines for its `sshd_config`."""
        parsed = [parse_native(native) for native in natives]
        return await check_host(self._prober, self._resource, parsed, self._now())

    async def look(self, assignments: Sequence[Assignment]) -> Sequence[Before]:
        """Nothing is held before: a certificate is needed for each login. Raises `Unavailable`."""
        if assignments:
            await self._seen(assignments[0], 2, self._fresh())
        for one in assignments:
            check_account(one.account)
        return [Before(grant_id=a.grant_id, held=False, account_exists=True) for a in assignments]

    async def apply(self, assignments: Sequence[Assignment]) -> Sequence[Applied | Failed]:
        """See `ports.Connector`."""
        return await asyncio.gather(*(self._apply(one) for one in assignments))

    async def remove(self, assignments: Sequence[Assignment]) -> Sequence[Removed | Failed]:
        """See `ports.Connector`. Sessions that run past the gateway are not cut: a host does not ask again."""
        return await asyncio.gather(*(self._remove(one) for one in assignments))

    async def issue_credential(self, assignment: Assignment) -> Mapping[str, str]:
        """`Refused`: a host takes certificates only."""
        raise Refused(
            f"`{assignment.account}` on `{self._resource}` has no password", hint=f"use `lapse ssh {self._resource}`"
        )

    async def upstream(self, assignment: Assignment, authority: Authority, public_key: str = "") -> Upstream:
        """How a gateway logs in: a certificate for `public_key` until the deadline, and the keys of the host.

        Where the client comes from is the gateway's to judge, since the host sees the gateway.
        """
        native = parse_native(assignment.native)
        wanted = order(
            public_key,
            client_serial(secrets.randbits(128)),
            f"lapse grant {assignment.grant_id} by gateway",
            orders.valid_between(self._now(), assignment.ends_at),
            orders.for_principals(*native.names(self._resource, assignment.account)),
            orders.permitting(*native.permit.extensions),
            orders.forced(native.force_command),
        )
        return Upstream(
            host=self._address.host,
            port=self._address.port,
            user=assignment.account,
            certificate=authority.sign_ssh(wanted) if public_key else "",
            parameters={"host_keys": host_keys(self._address)},
        )

    async def observe(self) -> Observation:
        """That the host is reached; who else may log in there is a gap."""
        seen = await self._prober.attempt("lapse-observes", 2, orders.for_principals("lapse"), self._fresh())
        return Observation(
            resource=self._resource,
            observed_at=self._now(),
            server=seen.server or "OpenSSH",
            gaps=(_NOT_READ,),
            evidence={"accounts": "a login attempt: the host is reached, and shows the key that is pinned"},
            memberships_complete=False,
        )

    async def close(self) -> None:
        """Nothing stays open between calls."""

    async def _apply(self, one: Assignment) -> Applied | Failed:
        try:
            seen = await self._seen(one, 2, self._fresh())
        except LapseError as error:
            return Failed(grant_id=one.grant_id, error=error.message)
        if not seen:
            return Failed(
                grant_id=one.grant_id,
                error=f"`{self._resource}` refuses lapse's certificates for `{one.account}`: see `lapse target check`",
                maybe_applied=False,
            )
        return Applied(grant_id=one.grant_id, confirmed_at=self._now())

    async def _remove(self, one: Assignment) -> Removed | Failed:
        try:
            native = parse_native(one.native)
            ended = orders.whole_second(one.ends_at) <= self._now()
            accepted, proof = await self._try_what_is_over(one, native, ended=ended)
        except LapseError as error:
            return Failed(grant_id=one.grant_id, error=error.message)
        if accepted:
            why = "its clock is behind" if ended or not native.direct else "it has not read the revocation list yet"
            return Failed(grant_id=one.grant_id, error=f"`{self._resource}` still takes such a certificate: {why}")
        return Removed(grant_id=one.grant_id, refused_at=self._now(), proof=proof)

    async def _try_what_is_over(
        self, one: Assignment, native: SshNative, *, ended: bool
    ) -> tuple[bool, tuple[str, ...]]:
        proof: tuple[str, ...]
        if ended:
            window = orders.valid_between(one.ends_at - timedelta(hours=1), one.ends_at)
            proof = ("seen: the host refuses a certificate that ended with the grant",)
            return await self._seen(one, 2, window), proof
        if native.direct:
            serial = grant_serial(self._authority.derive, one.grant_id)
            proof = (
                "seen: the host refuses the grant's probe, which its revocation list names beside the certificates",
            )
            return await self._seen(one, serial, self._fresh()), proof
        end = self._now() - 2 * orders.CLOCK_SKEW
        proof = (
            "seen: the host refuses certificates whose time is over",
            "follows: no certificate of this grant left the gateway, which takes no login for it any more",
        )
        return await self._seen(one, 2, orders.valid_between(end - timedelta(hours=1), end)), proof

    async def _seen(self, one: Assignment, serial: int, window: Modifier) -> bool:
        native = parse_native(one.native)
        names = orders.for_principals(*native.names(self._resource, check_account(one.account)))
        return (await self._prober.attempt(one.account, serial, names, window)).accepted

    def _fresh(self) -> Modifier:
        return orders.valid_between(self._now(), self._now() + _PROBE)

    def _now(self) -> datetime:
        return self._clock.now() if self._clock else datetime.now(UTC)
