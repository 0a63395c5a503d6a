"""PostgreSQL's own parser: a text of SQL becomes its tree, or is refused. Called by `statements`.

Guarantees: what PostgreSQL's grammar does not know is refused, and so is what is nested so deep that its tree could
exhaust the stack: the parser bounds neither the length of a chain of operators nor the depth of what it hands out.
The parser is `libpg_query`, by way of the optional package `postgast`, and is imported when the first guard needs it.
"""

from __future__ import annotations

import ctypes
import json
from functools import cache
from typing import Any, Final

from lapse.domain.errors import Refused, Unavailable

LONGEST = 256 << 10
"""Bytes of one text that is judged: judging takes time, in which no other session of the process goes on."""
DEEPEST = 5_000
"""Words of one text that may nest its tree; a stack of 8 MB holds the trees of three times as many."""
_SHORT = 2 * DEEPEST
"""Bytes in which there cannot be more nesting words than `DEEPEST`."""
_FLAT: Final = frozenset(
    {"SCONST", "ICONST", "FCONST", "IDENT", "PARAM", "NULL_P", "DEFAULT", "TRUE_P", "FALSE_P", "BCONST", "XCONST"}
    | {f"ASCII_{ord(sign)}" for sign in ",;()"}
    | {"SQL_COMMENT", "C_COMMENT"}
)
"""Words that do not nest; parentheses are bounded by the grammar's own stack."""

Tree = dict[str, Any]


class NotSql(Refused):
    """PostgreSQL's grammar does not know the text: a mistake of whoever wrote it, rather than something forbidden."""


def check_parser() -> None:
    """Raise `Unavailable` if statements cannot be judged here."""
    _library()


def parse(text: str) -> list[Tree]:
    """The trees of the statements in `text`, each a mapping with one key, its node's name.

    Raises:
        NotSql: it is not SQL.
        Refused: it cannot be judged; the sentence says why.
        Unavailable: the parser is not installed.
    """
    library = _library()
    data = text.encode("utf-8", "surrogateescape")
    if b"\0" in data or len(data) > LONGEST:
        raise Refused(f"a statement of more than {LONGEST} bytes cannot be judged")
    if len(data) > _SHORT and _nesting(text) > DEEPEST:
        raise Refused("the statement is nested too deep to be judged", hint="split it into several")
    result = library.pg_query_parse(data)
    try:
        if result.error:
            problem = result.error.contents.message.decode("utf-8", "replace")
            raise NotSql(f"the statement cannot be judged: {problem}")
        tree = json.loads(result.parse_tree)
    except (RecursionError, ValueError):
        raise Refused("the statement is nested too deep to be judged", hint="split it into several") from None
    finally:
        library.pg_query_free_parse_result(result)
    return [found["stmt"] for found in tree.get("stmts", ())]


def _nesting(text: str) -> int:
    """How many of its words may nest the tree."""
    from postgast import PgQueryError, scan
    from postgast.pg_query_pb2 import Token

    flat = {number for name, number in Token.items() if name in _FLAT}
    try:
        return sum(token.token not in flat for token in scan(text).tokens)
    except PgQueryError as error:
        raise NotSql(f"the statement cannot be judged: {error}") from None


@cache
def _library() -> ctypes.CDLL:
    try:
        from postgast.native import lib
    except (ImportError, OSError):
        raise Unavailable(
            "statements cannot be judged: the parser is not installed here", hint="install `lapse[guard]`"
        ) from None
    library: ctypes.CDLL = lib
    return library
