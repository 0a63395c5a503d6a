"""Whom the accounts of a cluster belong to, with what an identity provider put before their names taken away.

Called by the kinds of sources about Kubernetes.
"""

from __future__ import annotations

from lapse.review.collection.identities import Hints
from lapse.review.sources.reading import Reading
from lapse.review.sources.source import Options

PREFIX_OPTION = {
    "prefix": "what the cluster puts before the names of users of its identity provider, e.g. `oidc:`",
}
_MOST_KNOWN = 100_000


class Owners:
    """Answers for one cluster."""

    def __init__(self, reading: Reading, resource: str, options: Options) -> None:
        self.resource = resource
        self._reading, self._prefix = reading, options.get("prefix", "")
        self._known: dict[str, str | None] = {}

    def of(self, account: str) -> str | None:
        """The principal of `account`; of a group it is nobody."""
        if account.startswith("group/"):
            return None
        if account not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            login = account.removeprefix(self._prefix) if not account.startswith("system:") else account
            hints = Hints(mail=login if "@" in login else "", login=login)
            self._known[account] = self._reading.principal(self.resource, account, hints)
        return self._known[account]
