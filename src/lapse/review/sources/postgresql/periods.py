"""Since when and until when roles were held, from the statements in a log that gave and took them.

Guarantee: a change counts only if no line says that its statement failed or was rolled back; changes are put in order
of time, whatever order the lines come in; a period whose beginning no line shows is counted, never made up. Called by
`following`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec

from lapse.review.sources.notes import Notes
from lapse.review.sources.postgresql.roles import Act, Change, Partly, Unclear, changes_of, may_change

TABLE = "access_periods"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MOST_OPEN = 500_000
_MOST_WAITING = 10_000


class Waiting(msgspec.Struct):
    """What a session's transaction has changed so far: at which time, and what. `text` was the last statement."""

    transaction: str = ""
    text: str = ""
    changes: list[tuple[datetime, Change]] = []


@dataclass(frozen=True, slots=True)
class Period:
    """`account` held `role` from `since` until `until` (None: still), given by `by`."""

    account: str
    role: str
    since: datetime
    until: datetime | None
    by: str


class Changes:
    """The changes of one log. As many as there are: they wait in a temporary file to be put in order."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        # An empty name is a file of SQLite's own in the temporary folder, which nobody else sees.
        self._file = sqlite3.connect("", isolation_level=None)
        self._file.execute("PRAGMA synchronous = OFF")
        self._file.execute("CREATE TABLE changes (at INTEGER, act TEXT, account BLOB, role BLOB, user BLOB)")

    def statement(self, waiting: Waiting, transaction: str, at: datetime, user: str, text: str) -> None:
        """`user` ran `text`; what it changes waits in `waiting` for its transaction's end."""
        self.moved_on(waiting, transaction, user)
        if not may_change(text) or (text == waiting.text and transaction):
            return
        waiting.text = text
        for change in self._read(text, user):
            self._take(waiting, at, change, user)

    def moved_on(self, waiting: Waiting, transaction: str, user: str) -> None:
        """A line of the session is of `transaction`: what another one changed is in force."""
        if transaction != waiting.transaction or not transaction:
            self.keep(waiting, user)
            waiting.transaction, waiting.text = transaction, ""

    def failed(self, waiting: Waiting, transaction: str, user: str) -> None:
        """A statement of `transaction` failed, and so did all that it changed."""
        if waiting.changes and (transaction == waiting.transaction or not transaction):
            self.drop(waiting)
        else:
            self.moved_on(waiting, transaction, user)

    def keep(self, waiting: Waiting, user: str) -> None:
        """What waits is in force."""
        if waiting.changes:
            rows = [
                ((at - _EPOCH) // _MICROSECOND, change.act, _bytes(change.account), _bytes(change.role), _bytes(user))
                for at, change in waiting.changes
            ]
            self._file.executemany("INSERT INTO changes VALUES (?, ?, ?, ?, ?)", rows)
            waiting.changes = []

    @staticmethod
    def drop(waiting: Waiting) -> None:
        """What waits never came into force."""
        waiting.changes = []

    def periods(self) -> Iterator[Period]:
        """Every period that the changes make, and those that still go on. Notes what has no beginning."""
        held = _Held(self._notes)
        for at, act, account, role, user in self._file.execute("SELECT * FROM changes ORDER BY at, rowid"):
            change = Change(Act(act), account.decode(), role.decode())
            yield from held.apply(_EPOCH + at * _MICROSECOND, change, user.decode())
        yield from held.rest()

    def close(self) -> None:
        """Forget everything."""
        self._file.close()

    def _take(self, waiting: Waiting, at: datetime, change: Change, user: str) -> None:
        if change.act is Act.COMMIT:
            self.keep(waiting, user)
        elif change.act is Act.ROLLBACK:
            self.drop(waiting)
        elif change.act is Act.UNDO:
            if waiting.changes:
                what = "transactions that went back to a savepoint: what they had changed before is left out"
                self._notes.add(TABLE, what, f"by {user}")
            self.drop(waiting)
        elif len(waiting.changes) < _MOST_WAITING:
            waiting.changes.append((at, change))
        else:
            self._notes.add(TABLE, "transactions with more changes of roles than are followed", f"by {user}")

    def _read(self, text: str, user: str) -> list[Change]:
        try:
            return changes_of(text, user)
        except Unclear as unclear:
            self._notes.add(TABLE, str(unclear), f"by {user}")
            return unclear.found if isinstance(unclear, Partly) else []


@dataclass(slots=True)
class _Held:
    """Who holds what at a moment: since when and given by whom, by account and by role."""

    notes: Notes
    of_account: dict[str, dict[str, tuple[datetime, str]]] = field(default_factory=dict)
    of_role: dict[str, set[str]] = field(default_factory=dict)
    size: int = 0

    def apply(self, at: datetime, change: Change, by: str) -> Iterator[Period]:
        account, role = change.account, change.role
        match change.act:
            case Act.GIVE:
                self._begin(account, role, at, by)
            case Act.TAKE:
                if role not in self.of_account.get(account, {}):
                    what = "roles that were taken away, and no line shows since when they were held"
                    self.notes.add(TABLE, what, f"{role} from {account}")
                else:
                    yield self._end(account, role, at)
            case Act.DROP:
                yield from self._end_all(account, at)
            case Act.RENAME:
                yield from self._rename(account, role, at)
            case _:
                return

    def rest(self) -> Iterator[Period]:
        for account, roles in self.of_account.items():
            for role, (since, by) in roles.items():
                yield Period(account, role, since, None, by)

    def _begin(self, account: str, role: str, at: datetime, by: str) -> None:
        roles = self.of_account.setdefault(account, {})
        if role in roles:
            return
        if self.size >= _MOST_OPEN:
            self.notes.add(TABLE, "roles that were given, more than are followed", f"{role} to {account}")
            return
        roles[role] = (at, by)
        self.of_role.setdefault(role, set()).add(account)
        self.size += 1

    def _end(self, account: str, role: str, at: datetime) -> Period:
        since, by = self.of_account[account].pop(role)
        if not self.of_account[account]:
            del self.of_account[account]
        self.of_role[role].discard(account)
        self.size -= 1
        return Period(account, role, since, at, by)

    def _end_all(self, name: str, at: datetime) -> Iterator[Period]:
        for role in list(self.of_account.get(name, {})):
            yield self._end(name, role, at)
        for account in sorted(self.of_role.pop(name, ())):
            self.of_role.setdefault(name, set()).add(account)
            yield self._end(account, name, at)

    def _rename(self, old: str, new: str, at: datetime) -> Iterator[Period]:
        as_account = {role: by for role, (_, by) in self.of_account.get(old, {}).items()}
        as_role = {account: self.of_account[account][old][1] for account in self.of_role.get(old, ())}
        yield from self._end_all(old, at)
        for role, by in as_account.items():
            self._begin(new, role, at, by)
        for account, by in as_role.items():
            self._begin(account, new, at, by)


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "replace")
