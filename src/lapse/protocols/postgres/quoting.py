"""Names as PostgreSQL's SQL writes them, without a connection: always quoted, so that no name is ever taken for SQL.

Guarantee: the server reads exactly this name, whatever its characters (SQL, 5.2 and the manual's 4.1.1). Called by
whoever writes statements for people to run; what is run by lapse itself is composed by the driver.
"""

from __future__ import annotations

from collections.abc import Iterable

from lapse.domain.errors import InvalidInput
from lapse.domain.names import shown

LONGEST_NAME = 63
"""Bytes that the server keeps of a name (NAMEDATALEN - 1); it would cut the rest off."""

_NO_ROLES = frozenset({"public", "none"})


def identifier(name: str) -> str:
    """`name` in quotes.

    Raises:
        InvalidInput: the server can have nothing of that name: it is empty, too long, or has a zero byte.
    """
    try:
        size = len(name.encode("utf-8"))
    except UnicodeEncodeError:
        size = 0
    if not 0 < size <= LONGEST_NAME or "\0" in name:
        raise InvalidInput(f"`{shown(name)}` cannot be a name in PostgreSQL")
    return '"' + name.replace('"', '""') + '"'


def qualified(parts: Iterable[str]) -> str:
    """Schema and name (or more parts), each quoted, with dots between."""
    return ".".join(map(identifier, parts))


def comment(text: str) -> str:
    """`text` as a comment of one line, whatever is in it."""
    return f"-- {shown(text, 300)}"


def role(name: str) -> str:
    """The name of a role in quotes.

    Raises:
        InvalidInput: no role can have it; `public` and `none` are keywords to the server even in quotes.
    """
    if name in _NO_ROLES:
        raise InvalidInput(f"`{name}` cannot be a role in PostgreSQL")
    return identifier(name)
