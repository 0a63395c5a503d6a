"""The users, groups and apps of an Okta org as far as its log names them.

Guarantee: memory is bounded; two groups of one name are told apart, and a user who is renamed stays one user. Called
by the kind of source `okta`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import msgspec

from lapse.review.collection.identities import Hints
from lapse.review.sources.event_logs import tidy
from lapse.review.sources.okta.events import Entity
from lapse.review.sources.reading import Reading
from lapse.review.sources.spill import Spill

_MOST_NAMES = 200_000
_STATES = {
    "user.lifecycle.create": "staged",
    "user.lifecycle.activate": "active",
    "user.lifecycle.deactivate": "deactivated",
    "user.lifecycle.suspend": "suspended",
    "user.lifecycle.unsuspend": "active",
    "user.lifecycle.delete.completed": "deleted",
}


class User(msgspec.Struct):
    """What is known of a user so far."""

    key: str
    account: str
    named_at: datetime
    created_at: datetime | None = None
    state: str = ""
    state_at: datetime | None = None
    last_activity: datetime | None = None

    @property
    def can_login(self) -> bool | None:
        """Whether Okta lets them in; None where nothing says."""
        if self.state:
            return self.state == "active"
        return True if self.last_activity else None


class Directory:
    """All that is named in one log."""

    def __init__(self, users: Spill[User], reading: Reading, resource: str) -> None:
        self.resource = resource
        self._users, self._reading = users, reading
        self._labels: dict[str, str] = {}
        self._taken: set[str] = set()
        self._principals: dict[str, str | None] = {}

    def user(self, entity: Entity, at: datetime) -> User:
        """The user that `entity` is, under the name they had last."""
        key, login = tidy(entity.key), tidy(entity.login)
        user = self._users.get(key) or self._users.put(key, User(key, login, at))
        if login and at >= user.named_at:
            user.account, user.named_at = login, at
        return user

    def lives(self, entity: Entity, event_type: str, at: datetime) -> None:
        """Something happened to the user."""
        user, state = self.user(entity, at), _STATES.get(event_type)
        if event_type == "user.lifecycle.create":
            user.created_at = min(at, user.created_at or at)
        if state and (user.state_at is None or at >= user.state_at):
            user.state, user.state_at = state, at

    def active(self, entity: Entity, at: datetime) -> None:
        """The user did something."""
        user = self.user(entity, at)
        user.last_activity = max(at, user.last_activity or at)

    def users(self) -> Iterator[User]:
        """Every user, in no order."""
        yield from self._users.values()

    def account_of(self, key: str) -> User | None:
        """The user with this key."""
        return self._users.get(key)

    def label(self, kind: str, entity: Entity) -> str:
        """`group/NAME` or `app/NAME`; the id is put behind where another one has the name already."""
        key = f"{kind}:{tidy(entity.key)}"
        if key not in self._labels:
            label = f"{kind}/{tidy(entity.name)}"
            if label in self._taken or len(self._labels) >= _MOST_NAMES:
                label = f"{label} ({tidy(entity.key)})"
            if len(self._labels) >= _MOST_NAMES:
                return label
            self._labels[key] = label
            self._taken.add(label)
        return self._labels[key]

    def principal(self, account: str) -> str | None:
        """The principal of a user's account."""
        if account not in self._principals:
            if len(self._principals) >= _MOST_NAMES:
                self._principals.clear()
            hints = Hints(mail=account if "@" in account else "", login=account)
            self._principals[account] = self._reading.principal(self.resource, account, hints)
        return self._principals[account]
