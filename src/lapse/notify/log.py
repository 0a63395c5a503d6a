"""Notices in the server's log: always there, so that what is told to nobody else can at least be found."""

from __future__ import annotations

from collections.abc import Callable

from lapse.domain.catalog import Catalog
from lapse.domain.notices import Notice, Places, Posting


class LogWay:
    """Gives every notice to `write`, as facts. The text, which people wrote, stays out: logs travel further."""

    name = "log"

    def __init__(self, write: Callable[..., object]) -> None:
        self._write = write

    def places(self, notice: Notice, catalog: Catalog) -> Places:  # noqa: ARG002  the log takes all
        """The log."""
        return Places(reached=("log",))

    async def send(self, posting: Posting, place: str) -> None:  # noqa: ARG002  there is one
        """Write one line."""
        notice = posting.notice
        self._write("notice", id=posting.id, kind=notice.kind.value, subject=notice.subject, to=list(notice.to))
