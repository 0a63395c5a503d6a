"""Sign-ins: somebody's time in the browser, from when they showed who they are until they leave or time is over.

Made, looked up and ended by `control.sign_ins`. Of the secret that the browser keeps only the SHA-256 is here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from lapse.domain.actors import Scope
from lapse.domain.times import Instant

LONGEST = timedelta(hours=12)
"""However busy somebody is, after this they show again who they are."""
IDLE = timedelta(hours=2)
"""After this without a call a sign-in is over."""
NOTED_EVERY = timedelta(minutes=1)
"""How exactly it is noted when somebody was last there: a write for each call would say no more."""
STEPPED_UP = timedelta(minutes=10)
"""How long a second proof of who somebody is counts."""


class How(StrEnum):
    """How somebody showed who they are. `LOCAL`: they said so, on a machine where that is enough (demos)."""

    LOCAL = "local"
    TOKEN = "token"  # noqa: S105  a way, no secret
    OIDC = "oidc"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """`scopes` are what it may be used for; `agent` is what the browser said of itself, to tell them apart in a list.

    `token_id` is the token it was opened with, if it was: it ends when that is revoked. `stepped_up_at` is when they
    last showed a second time who they are.
    """

    id: str
    principal: str
    scopes: frozenset[Scope]
    digest: str
    how: How
    created_at: Instant
    expires_at: Instant
    seen_at: Instant
    agent: str = ""
    token_id: str = ""
    stepped_up_at: Instant | None = None
    ended_at: Instant | None = None
    ended_by: str = ""
    version: int = 0

    def live(self, now: datetime) -> bool:
        """Whether it still counts at `now`."""
        return self.ended_at is None and now < min(self.expires_at, self.seen_at + IDLE)

    def seen(self, now: datetime) -> SignIn | None:
        """It with the time of a call at `now`; None where that was noted a moment ago."""
        if now < self.seen_at + NOTED_EVERY:
            return None
        return replace(self, seen_at=now, version=self.version + 1)

    def stepped_up(self, now: datetime) -> SignIn:
        """It after a second proof at `now`."""
        return replace(self, stepped_up_at=now, version=self.version + 1)

    def is_stepped_up(self, now: datetime) -> bool:
        """Whether a second proof counts at `now`."""
        return self.stepped_up_at is not None and now < self.stepped_up_at + STEPPED_UP

    def ended(self, by: str, now: datetime) -> SignIn:
        """It after it was ended; one that was ended before stays as it is."""
        if self.ended_at is not None:
            return self
        return replace(self, ended_at=now, ended_by=by, version=self.version + 1)
