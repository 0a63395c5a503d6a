"""Ways to tell people."""

from __future__ import annotations

from typing import Protocol

from lapse.domain.catalog import Catalog
from lapse.domain.notices import Notice, Places, Posting


class Notifier(Protocol):
    """One way to tell people. What it cannot deliver now, the outbox gives it again later."""

    @property
    def name(self) -> str:
        """What configuration calls it; its places begin with it."""
        ...

    def places(self, notice: Notice, catalog: Catalog) -> Places:
        """Where `notice` goes by this way; nowhere if it does not carry this kind of notice."""
        ...

    async def send(self, posting: Posting, place: str) -> None:
        """Deliver to one of `places`, in bounded time; the posting's id goes along.

        Raises:
            Unavailable: it did not work, or nobody knows whether it did: it is tried again.
            Refused: this place will never take it.
        """
        ...
