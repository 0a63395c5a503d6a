"""The connectors of all targets: made from each target's DSN, kept while the target stays the same.

A DSN is resolved here and nowhere else: from the environment, from a file, or unsealed with the installation's key.
It never enters a message, a log line or the store.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lapse.domain.errors import InvalidInput, LapseError, Unavailable
from lapse.domain.targets import Target
from lapse.ports import Connector, Store

LONGEST_DSN = 4_096


@dataclass(frozen=True, slots=True)
class _Kept:
    target: Target
    connector: Connector


class Targets:
    """Gives the connector of a resource. `refresh` must run after targets changed (in whatever process)."""

    def __init__(self, connect: Callable[[str, str, str], Connector], unseal: Callable[[str], str]) -> None:
        self._connect, self._unseal = connect, unseal
        self._kept: dict[str, _Kept] = {}
        self._broken: dict[str, str] = {}

    def __call__(self, resource: str) -> Connector:
        """The connector of `resource`; `Unavailable` if it cannot be set up."""
        kept = self._kept.get(resource)
        if kept is None:
            why = self._broken.get(resource, "it is not known here yet")
            raise Unavailable(
                f"the target of `{resource}` cannot be used: {why}", hint="mend it with `lapse target add`"
            )
        return kept.connector

    async def check_dsn(self, kind: str, resource: str, dsn: str) -> None:
        """Raise `InvalidInput` for a DSN with which no connection could ever be made; contacts nothing."""
        _refuse_no_dsn(dsn, "this")
        await self._connect(kind, resource, dsn).close()

    async def refresh(self, store: Store) -> None:
        """Make the connectors agree with the targets in the store; unchanged ones stay open."""
        wanted = {target.resource: target for target in await store.read(lambda reader: reader.targets())}
        stale = [kept for name, kept in self._kept.items() if wanted.get(name) != kept.target]
        for kept in stale:
            del self._kept[kept.target.resource]
        for target in wanted.values():
            if target.resource not in self._kept:
                self._set_up(target)
        self._broken = {name: why for name, why in self._broken.items() if name in wanted}
        for kept in stale:
            await kept.connector.close()

    async def close(self) -> None:
        """Close every connector."""
        kept, self._kept = self._kept, {}
        for one in kept.values():
            await one.connector.close()

    def _set_up(self, target: Target) -> None:
        try:
            dsn = resolve_dsn(target.dsn_ref, self._unseal)
            self._kept[target.resource] = _Kept(target, self._connect(target.connector, target.resource, dsn))
            self._broken.pop(target.resource, None)
        except LapseError as error:
            self._broken[target.resource] = error.message


def resolve_dsn(reference: str, unseal: Callable[[str], str]) -> str:
    """The DSN behind `env:NAME`, `file:PATH` or `sealed:TEXT`.

    Raises:
        Unavailable: the variable or file is not there.
        InvalidInput: the reference is of no known kind, or what it names holds no DSN.
        Corrupt: the sealed text was not sealed with this installation's key.
    """
    kind, _, rest = reference.partition(":")
    match kind:
        case "env":
            dsn = os.environ.get(rest, "")
            if not dsn:
                raise Unavailable(f"the environment variable `{rest}` is not set for this process")
        case "file":
            dsn = _from_file(Path(rest))
        case "sealed":
            dsn = unseal(rest)
        case _:
            raise InvalidInput("the DSN is neither sealed nor a reference")
    _refuse_no_dsn(dsn, f"`{kind}:`")
    return dsn.strip()


def _refuse_no_dsn(dsn: str, what: str) -> None:
    if not dsn.strip() or len(dsn) > LONGEST_DSN or "\x00" in dsn:
        raise InvalidInput(f"{what} holds no DSN", hint="write it as `postgresql://user@host/database`")


def _from_file(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(LONGEST_DSN + 1)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise Unavailable(f"the DSN file `{path}` cannot be read: {reason}") from None
