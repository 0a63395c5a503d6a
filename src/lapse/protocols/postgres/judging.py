"""The verdict: what a guard says about one text of SQL. Pure; called by the guarded relay.

Guarantees: a text that cannot be parsed, decoded or judged is refused where a rule needs to know what it does; a table
without a schema is taken to be in every schema, so that it is denied if one of them is and allowed only if all are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from lapse.domain.errors import Refused
from lapse.domain.guards import Guard
from lapse.domain.guards import StatementClass as Class
from lapse.domain.regexes import regex_found
from lapse.domain.wildcards import wildcard_match
from lapse.protocols.postgres.backend import SqlState
from lapse.protocols.postgres.parser import NotSql
from lapse.protocols.postgres.statements import Judged, Setting, Table, judged

READ_ONLY, READ_ONLY_NOW = "default_transaction_read_only", "transaction_read_only"
STRINGS, ENCODING = "standard_conforming_strings", "client_encoding"

_READS = frozenset({Class.READ, Class.TRANSACTION, Class.SETTING, Class.COPY_OUT})
_FIXED: dict[str, frozenset[str]] = {
    STRINGS: frozenset({"on", "default", "1", "true", "yes"}),
    ENCODING: frozenset({"utf8", "utf-8", "unicode", "default"}),
}
"""Settings that the judgement of texts stands on, and the values that they may be given."""


class Outcome(StrEnum):
    """What happens with a statement."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`why` is one sentence: the rule that refuses the statement, or makes it wait for an approver.

    `sqlstate` is the code of the error that whoever sent it gets.
    """

    outcome: Outcome
    why: str = ""
    hint: str = ""
    sqlstate: SqlState = SqlState.INSUFFICIENT_PRIVILEGE


ALLOWED = Verdict(Outcome.ALLOWED)


def judges(guard: Guard) -> bool:
    """Whether the guard has a rule about statements: else none is looked into, but for its masks."""
    return bool(
        guard.read_only
        or guard.statements
        or guard.require_where
        or guard.tables_allowed
        or guard.tables_denied
        or guard.denied_patterns
        or approves(guard)
    )


def approves(guard: Guard) -> bool:
    """Whether statements may have to wait for an approver."""
    return bool(guard.approval_statements or guard.approval_patterns)


def verdict(guard: Guard, text: bytes, encoding: str = "UTF8") -> Verdict:
    """What `guard` says about `text`, which is in the client's `encoding` (PostgreSQL's name)."""
    judging = judges(guard)
    if not judging and (not guard.masks or b"copy" not in text.lower()):
        return ALLOWED
    try:
        words = decoded(text, encoding)
        found = judged(words)
        _refuse_unmasked(guard, found)
        if not judging:
            return ALLOWED
        _refuse(guard, words, found)
    except NotSql as error:
        return Verdict(Outcome.REFUSED, error.message, error.hint, SqlState.SYNTAX_ERROR)
    except Refused as error:
        return Verdict(Outcome.REFUSED, error.message, error.hint)
    return _held(guard, words, found)


def decoded(text: bytes, encoding: str) -> str:
    """`text` as a string. Raises `Refused` where it cannot be known what it says."""
    try:
        return text.decode("ascii" if encoding.upper() not in {"UTF8", "UNICODE"} else "utf-8")
    except UnicodeDecodeError:
        raise Refused(
            f"the statement is not plain text in {encoding}, so it cannot be judged",
            hint="set client_encoding to UTF8 when connecting",
        ) from None


def _refuse_unmasked(guard: Guard, found: Judged) -> None:
    if guard.masks and found.copies_out:
        raise Refused("COPY TO is not allowed here, since its rows could not be masked", hint="use SELECT")


def _refuse(guard: Guard, text: str, found: Judged) -> None:
    _refuse_settings(guard, found.settings)
    _refuse_writes(guard, found)
    if guard.statements and (others := found.classes - set(guard.statements)):
        raise Refused(
            f"statements of class {_listed(others)} are not allowed here",
            hint=f"allowed are {_listed(guard.statements)}",
        )
    if guard.require_where and found.everywhere:
        raise Refused("UPDATE and DELETE need a WHERE with a column here", hint="say which rows")
    _refuse_tables(guard, found)
    if pattern := _matching(guard.denied_patterns, text, found):
        raise Refused(f"the statement matches `{pattern}`, which is not allowed here")
    if (found.executes or found.prepares) and approves(guard):
        raise Refused(
            "PREPARE and EXECUTE are not allowed here", hint="send the statement itself, or prepare it by the protocol"
        )


def _refuse_settings(guard: Guard, settings: Iterable[Setting]) -> None:
    fixed = _FIXED | ({READ_ONLY: _FIXED[STRINGS], READ_ONLY_NOW: _FIXED[STRINGS]} if guard.read_only else {})
    for setting in settings:
        if not setting.name:
            raise Refused("set_config is allowed with a constant name only here")
        if setting.name in fixed and setting.value not in fixed[setting.name]:
            raise Refused(f"`{setting.name}` must stay as it is here")


def _refuse_writes(guard: Guard, found: Judged) -> None:
    if not guard.read_only:
        return
    if others := found.classes - _READS:
        raise Refused(f"access is read-only here, and the statement is of class {_listed(others)}")
    if found.writable:
        raise Refused("access is read-only here, so no transaction may be READ WRITE")


def _refuse_tables(guard: Guard, found: Judged) -> None:
    if not guard.tables_allowed and not guard.tables_denied:
        return
    if found.unseen:
        raise Refused(f"{_listed(found.unseen)} may use tables that cannot be seen, so it is not allowed here")
    for table in sorted(found.tables):
        if any(may_be(pattern, table) for pattern in guard.tables_denied):
            raise Refused(f"`{table}` is denied here", hint=_schema_hint(table))
        if guard.tables_allowed and not any(must_be(pattern, table) for pattern in guard.tables_allowed):
            raise Refused(f"`{table}` is not among the tables that are allowed here", hint=_schema_hint(table))


def may_be(pattern: str, table: Table) -> bool:
    """Whether `pattern` matches the table, in some schema if it names none."""
    if table.schema:
        return wildcard_match(pattern, str(table))
    for at in range(len(pattern)):
        head = pattern[: at + 1] if pattern[at] == "*" else pattern[:at]
        if head and head[-1] in ".*?" and wildcard_match(pattern[at:], table.name):
            return True
    return False


def must_be(pattern: str, table: Table) -> bool:
    """Whether `pattern` matches the table, in every schema if it names none.

    A name with a point in it could be read as another table's, and matches nothing.
    """
    if "." in table.schema or "." in table.name:
        return False
    if table.schema:
        return wildcard_match(pattern, str(table))
    # No pattern has a control character: what matches these schemas is a `*`, and matches every one.
    return all(wildcard_match(pattern, f"{schema}.{table.name}") for schema in ("\1", "\1\2"))


def _held(guard: Guard, text: str, found: Judged) -> Verdict:
    if waits := found.classes & set(guard.approval_statements):
        return Verdict(Outcome.HELD, f"statements of class {_listed(waits)} need an approval here")
    if pattern := _matching(guard.approval_patterns, text, found):
        return Verdict(Outcome.HELD, f"statements that match `{pattern}` need an approval here")
    return ALLOWED


def _matching(patterns: Iterable[str], text: str, found: Judged) -> str:
    """The first of `patterns` that is found in the text, or in the names it uses however they were spelled."""
    wanted = tuple(patterns)
    if not wanted:
        return ""
    names = "\n".join(sorted({*found.names, *map(str, found.tables)}))
    return next((pattern for pattern in wanted if regex_found(pattern, text) or regex_found(pattern, names)), "")


def _listed(words: Iterable[str]) -> str:
    return ", ".join(sorted(str(word) for word in words))


def _schema_hint(table: Table) -> str:
    return "" if table.schema else f"write its schema: `SCHEMA.{table.name}`"
