"""Who was given and lost which rights in AWS, as the events of IAM tell, put together to periods.

Guarantee: events in any order give the same periods. What was taken away though nothing shows that it was given was
held since the logs begin. Called by `trail_rows`, which finds changes, and by `trail_reader`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from lapse.review.sources.aws.names import inline_policy
from lapse.review.sources.aws.trail_records import Record
from lapse.review.sources.aws.trail_who import Who, part_of

ITSELF = "(account)"
"""The role of the period from when a user or role was made to when it was deleted."""


class Change(NamedTuple):
    """`account` of the AWS account `number` was given `role`, or lost it, by `by`; an `event` is counted once."""

    event: bytes
    at: datetime
    number: str
    account: str
    role: str
    given: bool
    by: Who


class Period(NamedTuple):
    """From when to when something was held. `known` is false where nothing shows when it was given."""

    change: Change
    to_at: datetime | None
    known: bool = True


class _Asked(msgspec.Struct, rename="camel"):
    user_name: str = ""
    role_name: str = ""
    group_name: str = ""
    policy_arn: str = ""
    policy_name: str = ""


_GIVING = {"Attach": True, "Put": True, "Add": True, "Create": True, "Detach": False, "Remove": False, "Delete": False}
_EVENTS = {
    f"{verb}{kind}Policy": (kind.lower(), given)
    for verb, given in _GIVING.items()
    if verb in {"Attach", "Put", "Detach", "Delete"}
    for kind in ("User", "Role", "Group")
}
_EVENTS |= {"AddUserToGroup": ("member", True), "RemoveUserFromGroup": ("member", False)}
_EVENTS |= {
    f"{verb}{kind}": (kind.lower(), _GIVING[verb]) for verb in ("Create", "Delete") for kind in ("User", "Role")
}


def changes_of(record: Record, event: bytes, by: Who) -> Iterator[Change]:
    """What the event changed, if it is one of IAM that gave or took rights."""
    found = _EVENTS.get(record.event_name)
    if found is None or record.event_source != "iam.amazonaws.com":
        return
    kind, given = found
    asked = part_of(record.request_parameters, _Asked)
    name = {"user": asked.user_name, "role": asked.role_name, "group": asked.group_name, "member": asked.user_name}[
        kind
    ]
    account = f"{'user' if kind == 'member' else kind}/{name}"
    role = _role(record.event_name, account, asked)
    if name and role:
        yield Change(event, record.event_time, by.number, account, role, given, by)


def periods(changes: Iterable[Change], begins: Mapping[str, datetime]) -> Iterator[Period]:
    """The periods that `changes` come to; `begins` says since when there are logs, by number of the AWS account."""
    ends = _ends(changes)
    by_holding = sorted(ends, key=lambda one: (one.number, one.account, one.role, one.at, one.event))
    for _, same in groupby(by_holding, key=attrgetter("number", "account", "role")):
        yield from _of_holding(list(same), begins)


def _ends(changes: Iterable[Change]) -> list[Change]:
    """`changes`, with what an account lost when it was deleted."""
    found = list(changes)
    held: dict[tuple[str, str], set[str]] = {}
    for one in found:
        held.setdefault((one.number, one.account), set()).add(one.role)
    gone = [one for one in found if one.role == ITSELF and not one.given]
    for one in gone:
        others = sorted(held[one.number, one.account] - {ITSELF})
        found += [one._replace(role=role, event=b"") for role in others]
    return found


def _of_holding(changes: list[Change], begins: Mapping[str, datetime]) -> Iterator[Period]:
    """Periods of one holding. Of changes of one second, first comes the one that makes a difference."""
    current: Change | None = None
    ended = False
    for _, same in groupby(changes, key=attrgetter("at")):
        waiting = list(same)
        while waiting:
            wanted = current is None
            one = next((change for change in waiting if change.given is wanted), waiting[0])
            waiting.remove(one)
            if one.given:
                current = current or one
            elif current is not None:
                yield Period(current, one.at)
                current, ended = None, True
            elif not ended and one.event:
                ended = True
                since = min(begins.get(one.number, one.at), one.at)
                yield Period(one._replace(at=since), one.at, known=False)
    if current is not None:
        yield Period(current, None)


def _role(event: str, account: str, asked: _Asked) -> str:
    if event.endswith("Policy"):
        return asked.policy_arn or (inline_policy(account, asked.policy_name) if asked.policy_name else "")
    return (
        f"group/{asked.group_name}" if "Group" in event and asked.group_name else ITSELF if "Group" not in event else ""
    )


def change_row(period: Period, resource: str, source: str) -> dict[str, Any]:
    """The row of `access_periods`, without the people."""
    return {
        "resource": resource,
        "account": period.change.account,
        "role": period.change.role,
        "from_at": period.change.at,
        "to_at": period.to_at,
        "source": source,
    }
