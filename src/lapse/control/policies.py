"""Activate a policy. Its files are kept for ever under the hash that names them, so that old decisions re-derive."""

from __future__ import annotations

from collections.abc import Mapping

from lapse.control.context import Control
from lapse.domain.actors import Actor, Scope
from lapse.ledger.entry import Entry
from lapse.policy import parse
from lapse.ports import PolicyVersion, Transaction


async def activate_policy(control: Control, actor: Actor, files: Mapping[str, str]) -> tuple[PolicyVersion, bool]:
    """Put the policy of `files` in force; returns it and whether anything changed.

    Raises:
        InvalidInput: the files have errors; each is named with file, line and column.
    """
    actor.require(Scope.ADMIN)
    policy = parse(files)

    async def work(tx: Transaction) -> tuple[PolicyVersion, bool]:
        now, current = control.now(), await tx.active_policy()
        if current is not None and current.version == policy.version:
            return current, False
        version = PolicyVersion(version=policy.version, files=dict(files), activated_at=now, activated_by=actor.name)
        await tx.add_policy(version)
        entry = Entry(
            type="policy.activated",
            at=now,
            actor=actor.name,
            subject=policy.version,
            before={"version": current.version} if current else None,
            after={"version": policy.version, "files": dict(files)},
            policy_version=policy.version,
        )
        await tx.append([entry])
        return version, True

    return await control.store.write(work)
