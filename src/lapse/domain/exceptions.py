"""The register of exceptions: standing access or a finding that somebody accepts, with a reason and an end."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lapse.domain.errors import InvalidInput, Refused
from lapse.domain.names import shown
from lapse.domain.times import Instant

_FINGERPRINT = re.compile(r"[0-9a-f]{32}", re.ASCII)
LONGEST = timedelta(days=366)
"""No exception is for longer; it is decided anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewException:
    """What is accepted until `until`: a finding by its `finding` fingerprint, or standing access of `account`.

    `role` empty is every role of the account. `owner` is the person who answers for it, `given_by` who accepted it:
    never the one who holds the access.
    """

    id: str
    owner: str
    reason: str
    until: Instant
    given_by: str
    given_at: Instant
    finding: str = ""
    resource: str = ""
    account: str = ""
    role: str = ""
    ended_at: Instant | None = None
    ended_by: str = ""
    version: int = 0

    def in_force(self, at: datetime) -> bool:
        """Whether it is accepted at `at`."""
        return self.ended_at is None and at < self.until

    def ended(self, *, by: str, at: datetime) -> ReviewException:
        """No longer accepted, before its end."""
        if self.ended_at is not None:
            raise Refused(f"exception {self.id} was ended already, by `{self.ended_by}`")
        return replace(self, ended_at=at, ended_by=by, version=self.version + 1)


def check_exception(one: ReviewException) -> ReviewException:
    """`one`, if it is about one thing, has a reason, and ends within a year.

    Raises:
        InvalidInput: it does not.
    """
    if bool(one.finding) == bool(one.resource and one.account):
        raise InvalidInput(
            "an exception is about a finding, or about the access of one account",
            hint="name a finding's fingerprint, or a resource and an account on it",
        )
    if one.finding and not _FINGERPRINT.fullmatch(one.finding):
        raise InvalidInput(
            f"`{shown(one.finding)}` is no fingerprint of a finding",
            hint="it has 32 digits; `lapse review findings` and the report name it",
        )
    if not one.reason:
        raise InvalidInput("an exception needs a reason", hint="say in a few words why it is accepted")
    if not one.given_at < one.until <= one.given_at + LONGEST:
        raise InvalidInput(
            f"an exception ends within {LONGEST.days} days, and `{one.until:%Y-%m-%d}` is not",
            hint="it can be given anew when its end comes near",
        )
    return one
