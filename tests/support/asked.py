"""Short ways to say what a PostgreSQL connector is asked to do."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count

from lapse.domain.access import Assignment

ENDS = datetime(2030, 1, 1, 12, tzinfo=UTC)
_numbers = count(1)


class Asked:
    """Makes assignments on one target."""

    def __init__(self, target):
        self.target = target

    def membership(self, account="alice", role="reader", **native):
        native = {"role": self.target.role(role), "mode": "membership", **native}
        return Assignment(grant_id=f"g{next(_numbers)}", account=self.target.role(account), native=native, ends_at=ENDS)

    def login(self, role="reader", **native):
        native = {"role": self.target.role(role), "mode": "ephemeral", **native}
        number = next(_numbers)
        account = f"lapse_{self.target.prefix}_{number}"
        return Assignment(grant_id=f"g{number}", account=account, native=native, ends_at=ENDS)
