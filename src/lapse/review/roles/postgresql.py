"""PostgreSQL: which rights the statements on record needed. Pure; called by `check`.

Logs name statements, not rights, so what a statement may have needed besides is kept: an `UPDATE` reads, an `INSERT`
may update where there is a conflict, and whatever is used lies in a schema. Rights that no log names are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from lapse.review.roles.matching import Use
from lapse.review.roles.model import Right, RightState

_DML = ("SELECT", "INSERT", "UPDATE", "DELETE")
_NEEDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "SELECT": (("SELECT",), ()),
    "INSERT": (("INSERT",), ("SELECT", "UPDATE")),
    "UPDATE": (("UPDATE",), ("SELECT",)),
    "DELETE": (("DELETE",), ("SELECT",)),
    "MERGE": ((), _DML),
    "COPY": ((), ("SELECT", "INSERT")),
    "TRUNCATE": (("TRUNCATE",), ()),
    "TRUNCATE TABLE": (("TRUNCATE",), ()),
    "CREATE TRIGGER": (("TRIGGER",), ()),
    "LOCK": ((), (*_DML, "TRUNCATE", "MAINTAIN")),
    "LOCK TABLE": ((), (*_DML, "TRUNCATE", "MAINTAIN")),
    **dict.fromkeys(("VACUUM", "ANALYZE", "CLUSTER", "REINDEX", "REFRESH MATERIALIZED VIEW"), (("MAINTAIN",), ())),
}
"""What a command surely needs on its object, and what it may need besides, since a log names one thing of it."""

_HARMLESS = frozenset(
    {
        *("CONNECT", "SET", "SHOW", "RESET", "BEGIN", "START", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE"),
        *("DISCARD", "LISTEN", "NOTIFY", "UNLISTEN", "FETCH", "CLOSE", "MOVE", "DEALLOCATE", "CHECKPOINT"),
    }
)
_LOCKING = "SELECT FOR"
_TABLES = frozenset({"table", "view", "materialized view", "foreign table", "partitioned table", "column"})
_ON_TABLES = frozenset({*_DML, "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN"})
_DEFINING = ("CREATE", "ALTER", "DROP", "COMMENT", "GRANT", "REVOKE", "REASSIGN", "IMPORT", "SECURITY")
_STATEMENTS = frozenset({*_DML, "MERGE", "COPY", "TRUNCATE", "TRUNCATE TABLE"})
_FILLING = frozenset({"INSERT", "UPDATE", "MERGE", "COPY"})
_CALLS = frozenset({"EXECUTE", "CALL", "FUNCTION"})
K = TypeVar("K", str, tuple[str, str])


@dataclass(slots=True)
class _Seen:
    """When what was last needed: rights by object (object "" is any), schemas by what was done in them ("" is any).

    `made` has schemas in which something was made or changed, `filled` those in which rows were written.
    """

    sure: dict[tuple[str, str], datetime] = field(default_factory=dict)
    maybe: dict[tuple[str, str], datetime] = field(default_factory=dict)
    touched: dict[str, datetime] = field(default_factory=dict)
    made: dict[str, datetime] = field(default_factory=dict)
    filled: dict[str, datetime] = field(default_factory=dict)
    called: dict[str, datetime] = field(default_factory=dict)
    anything: datetime | None = None


def judge(rights: Sequence[Right], uses: Sequence[Use]) -> list[Right]:
    """`rights` with what is known of their use."""
    seen = _seen(uses)
    return [_judged(right, seen) for right in rights]


def tables_are_named(uses: Iterable[Use]) -> bool:
    """Whether the telemetry of a target names the tables of statements, from all that was done on it.

    A statement that writes has a table, so one without shows that they are not always named.
    """
    statements = [use for use in uses if use.action.upper() in _STATEMENTS]
    hidden = any(use.object is None and use.action.upper() != "SELECT" for use in statements)
    return not hidden and any(use.object is not None for use in statements)


def without_tableless(uses: Iterable[Use]) -> list[Use]:
    """Without queries that read no table (`SELECT 1`); only right where tables are named."""
    return [use for use in uses if use.object is not None or use.action.upper() != "SELECT"]


def _seen(uses: Iterable[Use]) -> _Seen:
    seen = _Seen()
    for use in uses:
        seen.anything = _later(seen.anything, use.last)
        if use.action.upper().split(" ", 1)[0] not in _HARMLESS:
            _note(seen, use.action.upper(), use.object or "", use.last)
    return seen


def _note(seen: _Seen, command: str, name: str, at: datetime) -> None:
    schema = name.partition(".")[0] if "." in name else ""
    _keep(seen.touched, schema, at)
    if command in _CALLS and name:
        _keep(seen.called, name, at)
        return
    if command.startswith(_DEFINING):
        _keep(seen.made, schema, at)
    if command in _FILLING:
        _keep(seen.filled, schema, at)
    sure, maybe = _needs(command)
    if not name:
        # A statement of which no table is known may have done anything to several.
        sure, maybe = (), (*sure, *maybe, *_DML)
        _keep(seen.filled, "", at)
    for register, privileges in ((seen.sure, sure), (seen.maybe, maybe)):
        for privilege in privileges:
            _keep(register, (privilege, name), at)


def _keep(register: dict[K, datetime], key: K, at: datetime) -> None:
    register[key] = _later(register.get(key), at)


def _needs(command: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if command.startswith(_LOCKING):
        return ("SELECT", "UPDATE"), ()
    return _NEEDS.get(command, ((), (*_DML, "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN")))


def _judged(right: Right, seen: _Seen) -> Right:
    if right.wildcard:
        return _kept(right, "what an owner may do cannot be given singly")
    if right.kind in _TABLES or (not right.kind and "." in right.object and right.action in _ON_TABLES):
        return _judged_table(right, seen)
    return _JUDGES.get(right.kind, _judged_other)(right, seen)


def _judged_table(right: Right, seen: _Seen) -> Right:
    name = right.object.rpartition(".")[0] if right.kind == "column" else right.object
    names = (name, name.partition(".")[2])
    used = _last(seen.sure.get((right.action, one)) for one in names)
    if used is not None:
        return replace(right, state=RightState.USED, last_used=used)
    perhaps = _last(seen.maybe.get((right.action, one)) for one in (*names, ""))
    if perhaps is not None:
        return _kept(right, "what was done may have needed it", perhaps)
    if right.action == "REFERENCES" and seen.made:
        return _kept(right, "tables were made or changed, which may refer to it", _last(seen.made.values()))
    return replace(right, state=RightState.UNUSED)


def _judged_schema(right: Right, seen: _Seen) -> Right:
    if right.action == "CREATE":
        return _needed(right, seen.made, right.object, "things were made or changed in it")
    return _needed(right, seen.touched, right.object, "things in it are used")


def _judged_sequence(right: Right, seen: _Seen) -> Right:
    why = "rows were written in its schema, whose numbers may come from it"
    return _needed(right, seen.filled, right.object.partition(".")[0], why)


def _judged_database(right: Right, seen: _Seen) -> Right:
    if right.action == "CONNECT" and seen.anything:
        return _kept(right, "whoever uses anything connects", seen.anything)
    if right.action == "CREATE" and not seen.made:
        return replace(right, state=RightState.UNUSED)
    return _judged_other(right, seen)


def _judged_other(right: Right, seen: _Seen) -> Right:
    called = seen.called.get(right.object.partition("(")[0])
    if called is not None:
        return replace(right, state=RightState.USED, last_used=called)
    return _kept(right, "its use is not recorded by name")


_JUDGES: Mapping[str, Callable[[Right, _Seen], Right]] = {
    "schema": _judged_schema,
    "sequence": _judged_sequence,
    "database": _judged_database,
}


def _needed(right: Right, register: Mapping[str, datetime], schema: str, why: str) -> Right:
    """Kept if the register knows the schema, or something of which the schema is not known."""
    found = _last((register.get(schema), register.get("")))
    return replace(right, state=RightState.UNUSED) if found is None else _kept(right, why, found)


def _kept(right: Right, why: str, at: datetime | None = None) -> Right:
    return replace(right, state=RightState.KEPT, why=why, last_used=at)


def _last(times: Iterable[datetime | None]) -> datetime | None:
    return max((at for at in times if at is not None), default=None)


def _later(one: datetime | None, other: datetime) -> datetime:
    return other if one is None else max(one, other)
