"""Review SQL, written once in DuckDB's dialect, said in Spark's: the same rows, or a refusal. Pure.

Guarantees: what is translated reads only the named tables, calls only functions that are known here to mean the same
in both (`rewrites` mends those that do not by themselves), and has no value in it that was not in the SQL. Everything
else is refused before Spark sees it. Called by `spark_engine`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from lapse.domain.errors import InvalidInput
from lapse.domain.names import shown
from lapse.engines.rewrites import NAMED, REWRITES, refused

_SHAPE: frozenset[type[exp.Expr]] = frozenset(
    {
        *(exp.Select, exp.Union, exp.Intersect, exp.Except, exp.Subquery, exp.With, exp.CTE, exp.TableAlias),
        *(exp.From, exp.Join, exp.Table, exp.Where, exp.Group, exp.Having, exp.Order, exp.Ordered, exp.Distinct),
        *(exp.Limit, exp.Offset, exp.Qualify, exp.Window, exp.WindowSpec, exp.Filter, exp.Values, exp.Tuple),
        *(exp.Alias, exp.Column, exp.Identifier, exp.Star, exp.Literal, exp.Null, exp.Boolean, exp.Placeholder),
        *(exp.And, exp.Or, exp.Not, exp.Paren, exp.Neg, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod),
        *(exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Is, exp.NullSafeEQ, exp.NullSafeNEQ, exp.In),
        *(exp.Between, exp.Like, exp.ILike, exp.Escape, exp.DPipe, exp.Case, exp.If, exp.Exists),
        *(exp.Cast, exp.DataType, exp.Var, exp.Interval),
    }
)
_FUNCTIONS: frozenset[type[exp.Expr]] = frozenset(
    {
        *(exp.Coalesce, exp.Nullif, exp.Least, exp.Greatest, exp.Abs, exp.Sqrt, exp.Ln),
        *(exp.Length, exp.Lower, exp.Upper, exp.Substring, exp.Replace, exp.Left, exp.StrPosition),
        *(exp.StartsWith, exp.EndsWith, exp.Contains, exp.RegexpLike, exp.TimestampTrunc),
        *(exp.Count, exp.Sum, exp.Min, exp.Max, exp.Avg, exp.Median, exp.LogicalAnd, exp.LogicalOr),
        *(exp.Stddev, exp.StddevSamp, exp.StddevPop),
        *(exp.RowNumber, exp.Rank, exp.DenseRank, exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue),
    }
)
_PORTABLE = _SHAPE | _FUNCTIONS | REWRITES.keys()


@dataclass(frozen=True, slots=True, kw_only=True)
class SparkQuery:
    """SQL for Spark, with the `tables` it reads and the parameters that it names as `:name`."""

    sql: str
    tables: frozenset[str]
    parameters: frozenset[str]


def to_spark(sql: str, *, tables: Collection[str], whole: Collection[str] = ()) -> SparkQuery:
    """`sql` in Spark's dialect. `tables` may be read; the parameters called `whole` are whole numbers.

    Raises:
        InvalidInput: it is not one query, reaches for something that is not a table, or has something in it of which
            it is not known that Spark means the same by it.
    """
    query = _parsed(sql)
    read = _tables(query, tables)
    parameters = _parameters(query)
    for node in query.walk():
        _check(node)
    _rewrite(query, frozenset(whole))
    return SparkQuery(sql=_written(query), tables=read, parameters=parameters)


def _parsed(sql: str) -> exp.Expr:
    try:
        found = [tree for tree in sqlglot.parse(sql, read="duckdb") if tree is not None]
    except SqlglotError as error:
        raise refused(_problem(error)) from None
    if len(found) != 1 or not isinstance(found[0], (exp.Select, exp.SetOperation)):
        raise refused("it is not one SELECT")
    return found[0]


def _written(query: exp.Expr) -> str:
    try:
        return query.sql(dialect="spark", identify=True, comments=False, unsupported_level=sqlglot.ErrorLevel.RAISE)
    except SqlglotError as error:
        raise refused(_problem(error)) from None


def _problem(error: SqlglotError) -> str:
    details = getattr(error, "errors", None)
    return str(details[0].get("description", error)) if details else str(error)


def _tables(query: exp.Expr, known: Collection[str]) -> frozenset[str]:
    """The tables it reads; those that it defines itself are not among them."""
    own = {cte.alias.lower() for cte in query.find_all(exp.CTE)}
    read = set()
    for table in query.find_all(exp.Table):
        name = table.name.lower()
        if not isinstance(table.this, exp.Identifier) or table.db or table.catalog or name not in own.union(known):
            raise InvalidInput(f"the query cannot be run: there is no table `{shown(table.sql(dialect='duckdb'))}`")
        read.add(name)
    return frozenset(read.intersection(known))


def _parameters(query: exp.Expr) -> frozenset[str]:
    names = [placeholder.name for placeholder in query.find_all(exp.Placeholder)]
    if any(not name.isidentifier() for name in names):
        raise refused("its parameters need names, such as `$as_of`")
    return frozenset(names)


def _check(node: exp.Expr) -> None:
    kind = type(node)
    known = node.name.lower() in NAMED if kind is exp.Anonymous else kind in _PORTABLE
    if not known:
        raise _unknown(node.sql(dialect="duckdb", comments=False))
    _CHECKS.get(kind, _no_check)(node)


def _no_check(_: exp.Expr) -> None:
    """Most nodes are what they are."""


def _check_join(node: exp.Expr) -> None:
    if node.args.get("method"):
        raise _unknown(f"{node.text('method')} JOIN")


def _check_distinct(node: exp.Expr) -> None:
    if node.args.get("on"):
        raise _unknown("DISTINCT ON")


def _check_with(node: exp.Expr) -> None:
    if node.args.get("recursive"):
        raise _unknown("WITH RECURSIVE")


def _check_star(node: exp.Expr) -> None:
    if any(value for name, value in node.args.items() if name != "except_"):
        raise _unknown("* REPLACE")


def _check_window(node: exp.Expr) -> None:
    if node.text("kind").upper() == "GROUPS" or node.args.get("exclude"):
        raise _unknown("a window by GROUPS or with EXCLUDE")


def _check_type(node: exp.Expr) -> None:
    if not isinstance(node, exp.DataType) or node.this not in _TYPES or node.expressions:
        raise _unknown(f"the type {node.sql(dialect='duckdb')}")


_TYPES = frozenset(
    {
        *(exp.DataType.Type.TEXT, exp.DataType.Type.VARCHAR, exp.DataType.Type.BOOLEAN, exp.DataType.Type.DATE),
        *(exp.DataType.Type.INT, exp.DataType.Type.BIGINT, exp.DataType.Type.DOUBLE, exp.DataType.Type.TIMESTAMPTZ),
    }
)
_CHECKS: dict[type[exp.Expr], Callable[[exp.Expr], None]] = {
    exp.Join: _check_join,
    exp.Distinct: _check_distinct,
    exp.With: _check_with,
    exp.Star: _check_star,
    exp.WindowSpec: _check_window,
    exp.DataType: _check_type,
}


def _unknown(what: str) -> InvalidInput:
    return refused(
        f"of `{shown(what, 60)}` it is not known that Spark means the same by it",
        hint="say it with what docs/review-engines.md lists, or run the review on DuckDB",
    )


def _rewrite(query: exp.Expr, whole: frozenset[str]) -> None:
    """Mend `query` in place, what is inside first."""
    for node in reversed(list(query.walk())):
        if isinstance(node, exp.Placeholder):
            _widen(node, whole)
            continue
        kind = type(node)
        rewrite = NAMED[node.name.lower()] if kind is exp.Anonymous else REWRITES.get(kind)
        if rewrite is not None:
            node.replace(rewrite(node))


def _widen(placeholder: exp.Placeholder, whole: frozenset[str]) -> None:
    """Spark takes a small number for one of 32 bits, with which `3600 * $hours` overflows; LIMIT wants just that."""
    if placeholder.name in whole and not isinstance(placeholder.parent, (exp.Limit, exp.Offset)):
        placeholder.replace(exp.cast(placeholder.copy(), "bigint"))
