"""State and ledger in one database, SQLite or PostgreSQL; and the installation's keys.

`bootstrap` calls `open_store`; everybody else knows only `lapse.ports`. Nothing here decides who may do what. What was
acknowledged is durable; what failed has left nothing. The database library is imported when a store is first opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lapse.ports import Store


async def open_store(url: str, *, upgrade: bool = True) -> Store:
    """The store at `url` (`sqlite:///path` or `postgresql://…`), ready for use.

    Args:
        url: where it is.
        upgrade: whether an empty or older database may be brought up to date; if not, it is refused.

    Raises:
        InvalidInput: the URL names no database that lapse can use.
        Refused: its schema is newer than this program, or older and `upgrade` is False.
        Unavailable: it cannot be reached, read or written.
        Corrupt: it is not a database, or a damaged one.
    """
    from lapse.storage import opening

    return await opening.open_store(url, upgrade=upgrade)


async def migrate(url: str) -> None:
    """Bring the schema at `url` up to date, creating a SQLite file that is not there. Raises as `open_store`."""
    from lapse.storage import opening

    await opening.migrate(url)
