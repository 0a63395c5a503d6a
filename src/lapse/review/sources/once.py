"""Records counted once, whichever file and how often they lie there; in bounded memory.

Whoever makes a request may choose the id that some logs give it, so an id alone does not tell records apart: callers
add what copies of one record have in common, its time at least. Called by sources of events.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import blake2b

from lapse.review.sources.aws.trail_seen import MOST_IDS, Seen
from lapse.review.sources.notes import Notes

SEEN = "seen already"
_UNSURE = "events of an hour whose ids were let go: some of them may have been counted twice"
_HOUR = 3600


class Once:
    """Says of each record whether it is met for the first time."""

    def __init__(self, most: int = MOST_IDS) -> None:
        self._seen = Seen(most)

    def is_new(self, at: datetime, *identity: str) -> bool:
        """Whether no record of `at` had this `identity` yet; one with no identity at all is always new."""
        if not any(identity):
            return True
        second = at.timestamp()
        text = "\0".join((str(second), *identity)).encode("utf-8", "replace")
        return self._seen.is_new(blake2b(text, digest_size=16).digest(), int(second // _HOUR))

    def report(self, notes: Notes, table: str) -> None:
        """Note how many records could not be compared with all that came before."""
        if self._seen.unsure:
            notes.add(table, _UNSURE, count=self._seen.unsure)
