"""The narrower PostgreSQL role as statements that a person reads and runs. Pure; every name is quoted.

Guarantee: nothing that came from a target or a file reaches the text but as a quoted name or inside a comment of one
line. What cannot be spelled safely is left as a comment that says so. Called by `spelling`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from lapse.domain.errors import InvalidInput
from lapse.protocols.postgres import quoting
from lapse.review.roles.model import Right

_PRIVILEGES = frozenset(
    {
        *("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN"),
        *("USAGE", "CREATE", "CONNECT", "TEMPORARY", "EXECUTE"),
    }
)
_KINDS = {
    "table": "TABLE",
    "view": "TABLE",
    "materialized view": "TABLE",
    "foreign table": "TABLE",
    "partitioned table": "TABLE",
    "column": "TABLE",
    "sequence": "SEQUENCE",
    "schema": "SCHEMA",
    "database": "DATABASE",
    "function": "FUNCTION",
    "procedure": "PROCEDURE",
    "foreign server": "FOREIGN SERVER",
    "tablespace": "TABLESPACE",
}
_PARTS = {"TABLE": 2, "SEQUENCE": 2, "SCHEMA": 1, "DATABASE": 1, "FOREIGN SERVER": 1, "TABLESPACE": 1}
_ARGUMENTS = re.compile(r"[\w \[\],.]*", re.ASCII)
_GUESSED = {"CONNECT": "database", "TEMPORARY": "database", "EXECUTE": "function"}


def take_away(role: str, unused: Iterable[Right]) -> str:
    """Statements that leave `role` with what is used, for everybody who holds it."""
    return _text(_statements("REVOKE", "FROM", role, unused))


def new_role(role: str, kept: Iterable[Right], like: str) -> str:
    """Statements that make `role`, with what `like` was used for; nothing is taken from anybody."""
    made = [quoting.comment(f"what {like} was used for"), f"CREATE ROLE {quoting.role(role)} NOLOGIN;"]
    return _text([*made, *_statements("GRANT", "TO", role, kept)])


def _statements(verb: str, preposition: str, role: str, rights: Iterable[Right]) -> Iterator[str]:
    who, database = quoting.role(role), ""
    for right, actions in by_object(rights):
        if right.database != database:
            database = right.database
            yield quoting.comment(f"in the database {database}")
        try:
            target = _target(right)
            what = _privileges(right, actions)
        except (InvalidInput, ValueError):
            yield quoting.comment(f"by hand: {', '.join(actions)} on {right.kind or 'object'} {right.object}")
            continue
        yield f"{verb} {what} ON {target} {preposition} {who};"


def by_object(rights: Iterable[Right]) -> Iterator[tuple[Right, list[str]]]:
    """A right of each object, with all the actions on it, in order of database, kind and name."""
    found: dict[tuple[str, str, str], list[Right]] = defaultdict(list)
    for right in rights:
        found[right.database, right.kind, right.object].append(right)
    for key in sorted(found):
        yield found[key][0], sorted({right.action for right in found[key]})


def _privileges(right: Right, actions: Sequence[str]) -> str:
    if not set(actions) <= _PRIVILEGES:
        raise ValueError(actions)
    if right.kind != "column":
        return ", ".join(actions)
    column = quoting.identifier(right.object.rpartition(".")[2])
    return ", ".join(f"{action} ({column})" for action in actions)


def _target(right: Right) -> str:
    """The object with its keyword.

    Raises:
        ValueError: its kind is not known here, or it cannot be told apart where its parts end.
        InvalidInput: it is no name.
    """
    kind = right.kind.removesuffix(" (security definer)") or _guessed(right)
    keyword = _KINDS.get(kind)
    if keyword is None:
        raise ValueError(kind)
    if keyword in {"FUNCTION", "PROCEDURE"}:
        return f"{keyword} {_routine(right.object)}"
    name = right.object.rpartition(".")[0] if kind == "column" else right.object
    parts = name.split(".")
    if _PARTS[keyword] == 1:
        parts = [name]
    if len(parts) != _PARTS[keyword]:
        raise ValueError(name)
    return f"{keyword} {quoting.qualified(parts)}"


def _guessed(right: Right) -> str:
    return _GUESSED.get(right.action) or ("table" if right.object.count(".") == 1 else "")


def _routine(text: str) -> str:
    name, bracket, arguments = text.partition("(")
    parts = name.split(".")
    if not bracket or not arguments.endswith(")") or len(parts) != _PARTS["TABLE"]:
        raise ValueError(text)
    if not _ARGUMENTS.fullmatch(arguments[:-1]):
        raise ValueError(text)
    return f"{quoting.qualified(parts)}({arguments[:-1]})"


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
