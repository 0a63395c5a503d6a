"""What Spark would mean something else by, said so that it means what DuckDB does. Pure; called by `dialect`.

Each function takes one node of DuckDB's SQL, whose parts are in Spark's already, and returns what stands in its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlglot import exp

from lapse.domain.errors import InvalidInput
from lapse.domain.names import shown

Rewrite = Callable[[exp.Expr], exp.Expr]

_NO_SUCH_PART = 2_147_483_647
_UNITS = frozenset({"MICROSECOND", "MILLISECOND", "SECOND", "MINUTE", "HOUR", "DAY", "MONTH", "QUARTER", "YEAR"})
_STRFTIME = {"Y": "yyyy", "m": "MM", "d": "dd", "H": "HH", "M": "mm", "S": "ss", "f": "SSSSSS", "%": "%"}
_DIRECTIVES = re.compile(r"%(.)|([^%]+)", re.DOTALL)
_PLAIN = re.compile(r"[ :/.,-]*")
_LENGTHS = ("DAY", "HOUR", "MINUTE", "SECOND")
_NEVER_ESCAPES = "\x01"


def refused(why: str, *, hint: str = "") -> InvalidInput:
    """The error of a query that cannot be run, to be raised."""
    return InvalidInput(f"the query cannot be run: {shown(why, 200)}", hint=hint)


def _call(name: str, *arguments: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this=name, expressions=list(arguments))


def _number(value: float) -> exp.Expr:
    return exp.Literal.number(value)


def _double(value: exp.Expr) -> exp.Expr:
    return exp.cast(value, "double")


def _int(value: exp.Expr) -> exp.Expr:
    return exp.cast(value, "int")


def _date_diff(node: exp.Expr) -> exp.Expr:
    """DuckDB counts the boundaries between two times, Spark the whole units."""
    unit = node.text("unit").upper()
    if unit not in _UNITS:
        raise refused(f"date_diff by `{unit}`")
    cut = [_call("DATE_TRUNC", exp.Literal.string(unit), node.args[end]) for end in ("expression", "this")]
    return _call("TIMESTAMPDIFF", exp.var(unit), *cut)


def _strftime(node: exp.Expr) -> exp.Expr:
    given = node.args.get("format")
    if not isinstance(given, exp.Literal) or not given.is_string:
        raise refused("strftime needs a format that is written out")
    return _call("DATE_FORMAT", node.this, exp.Literal.string(spark_format(given.name)))


def spark_format(text: str) -> str:
    """A format of strftime in the letters of Spark's date_format; raises `InvalidInput` for what has none here."""
    parts = []
    for directive, plain in _DIRECTIVES.findall(text):
        if directive and directive not in _STRFTIME:
            raise refused(f"strftime with `%{directive}`")
        parts.append(_STRFTIME[directive] if directive else _quoted(plain))
    if "".join(f"%{d}" if d else p for d, p in _DIRECTIVES.findall(text)) != text:
        raise refused("strftime with a `%` at its end")
    return "".join(parts)


def _quoted(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else "'" + text.replace("'", "''") + "'"


def _div(node: exp.Expr) -> exp.Expr:
    """DuckDB divides as floating point, and by 0 gives infinity or no number; Spark divides decimals, or fails."""
    above, below = _double(node.this), node.args["expression"]
    quotient = exp.Div(this=above, expression=_double(below))
    if _never_zero(below):
        return quotient
    infinite = exp.Mul(this=above.copy(), expression=_double(exp.Literal.string("Infinity")))
    return exp.Case(
        ifs=[exp.If(this=exp.EQ(this=below.copy(), expression=_number(0)), true=infinite)], default=quotient
    )


def _never_zero(value: exp.Expr) -> bool:
    if isinstance(value, exp.Nullif):
        return isinstance(value.args["expression"], exp.Literal) and float(value.args["expression"].name) == 0
    return isinstance(value, exp.Literal) and not value.is_string and float(value.name) != 0


def _trim(node: exp.Expr) -> exp.Expr:
    """DuckDB trims every kind of space of Unicode, Spark the usual one."""
    if node.args.get("expression") is not None:
        raise refused("trim of other characters than spaces")
    front, back = r"^\p{Zs}+", r"\p{Zs}+$"
    pattern = {"LEADING": front, "TRAILING": back}.get(node.text("position").upper(), f"{front}|{back}")
    return _call("REGEXP_REPLACE", node.this, exp.Literal.string(pattern), exp.Literal.string(""))


def _split_part(node: exp.Expr) -> exp.Expr:
    """Part 0 is empty in DuckDB and an error in Spark, which wants 32 bits besides."""
    index = node.args["part_index"]
    if not _never_zero(index):
        is_zero = exp.EQ(this=index.copy(), expression=_number(0))
        index = exp.If(this=is_zero, true=_number(_NO_SUCH_PART), false=index)
    return _call("SPLIT_PART", node.this, node.args["delimiter"], _int(index))


def _quantile_disc(node: exp.Expr) -> exp.Expr:
    """Spark's own gives floating point for whole numbers, and nothing else for anything else."""
    share = node.args.get("expression")
    if not isinstance(share, exp.Literal) or share.is_string or not 0 <= float(share.name) <= 1:
        raise refused("quantile_disc needs one share between 0 and 1 that is written out")
    rank = exp.Mul(this=share, expression=exp.Count(this=node.this.copy()))
    place = _call("GREATEST", _call("CEIL", rank), _number(1))
    return _call("TRY_ELEMENT_AT", _call("ARRAY_SORT", _call("COLLECT_LIST", _alone(node, node.this))), _int(place))


def _string_agg(node: exp.Expr) -> exp.Expr:
    """Spark's own fails beside another DISTINCT."""
    if not isinstance(node.this, exp.Order):
        raise refused("string_agg needs an ORDER BY, else every engine has its own order")
    if not isinstance(node.this.this, exp.Distinct):
        return node
    value, keys = node.this.this.expressions[0], node.this.expressions
    if len(keys) != 1 or keys[0].this != value or keys[0].args.get("desc"):
        raise refused("string_agg of DISTINCT texts goes with an ORDER BY of the same")
    texts = _call("ARRAY_SORT", _call("COLLECT_SET", _alone(node, value)))
    joined = _call("ARRAY_JOIN", texts, node.args.get("separator") or exp.Literal.string(","))
    some = exp.GT(this=exp.Count(this=value.copy()), expression=_number(0))
    return exp.Case(ifs=[exp.If(this=some, true=joined)])


def _alone(node: exp.Expr, value: exp.Expr) -> exp.Expr:
    """`value`, if `node` can become an expression of several aggregates."""
    if isinstance(node.parent, (exp.Filter, exp.Window)):
        raise refused("with FILTER or OVER, string_agg of DISTINCT and quantile_disc")
    return value


def _like(node: exp.Expr) -> exp.Expr:
    r"""In DuckDB nothing escapes unless ESCAPE says so, in Spark `\` does."""
    if isinstance(node.parent, exp.Escape) and node.arg_key == "this":
        return node
    return exp.Escape(this=node.copy(), expression=exp.Literal.string(_NEVER_ESCAPES))


def _cast(node: exp.Expr) -> exp.Expr:
    """DuckDB rounds to whole numbers, Spark cuts off."""
    kind = node.args["to"].this
    if kind in {exp.DataType.Type.INT, exp.DataType.Type.BIGINT} and _is_floating(node.this):
        return exp.cast(_call("RINT", node.this), kind)
    return node


def _is_floating(value: exp.Expr) -> bool:
    """Whether it is seen to be floating point, without knowing the types of columns."""
    if isinstance(value, (exp.Paren, exp.Neg, exp.Abs)):
        return _is_floating(value.this)
    if isinstance(value, (exp.Add, exp.Sub, exp.Mul)):
        return _is_floating(value.this) or _is_floating(value.expression)
    if isinstance(value, exp.Cast):
        return value.args["to"].this is exp.DataType.Type.DOUBLE
    if isinstance(value, exp.Case):
        return _is_floating(value.args.get("default") or exp.null())
    if isinstance(value, exp.Anonymous):
        return bool(value.this == "ROUND")
    return isinstance(value, (exp.Div, exp.Avg, exp.Median, exp.Sqrt, exp.Ln))


def _round(node: exp.Expr) -> exp.Expr:
    """DuckDB rounds the shifted number, Spark the digits that it would print."""
    digits, value = node.args.get("decimals"), _double(node.this)
    if digits is None:
        return _call("ROUND", value)
    if not isinstance(digits, exp.Literal) or digits.is_string:
        raise refused("round needs a number of digits that is written out")
    shift = _double(_number(10 ** int(digits.name)))
    shifted = _call("ROUND", exp.Mul(this=value, expression=shift))
    return exp.Div(this=shifted, expression=shift.copy())


def _whole(name: str) -> Rewrite:
    """DuckDB's floor and ceil give floating point."""
    return lambda node: _double(_call(name, _double(node.this)))


def _extract(node: exp.Expr) -> exp.Expr:
    return _part(node.name, node.args["expression"])


def _date_part(node: exp.Expr) -> exp.Expr:
    name, value = node.expressions
    if not isinstance(name, exp.Literal):
        raise refused("date_part needs a part that is written out")
    return _part(name.name, value)


def _part(name: str, value: exp.Expr) -> exp.Expr:
    """Days of the week begin at 0 on Sundays in DuckDB, and at 1 on Mondays by ISO."""
    match name.upper():
        case "YEAR" | "QUARTER" | "MONTH" | "DAY" | "HOUR" | "MINUTE" as plain:
            return _call(plain, value)
        case "DOW" | "DAYOFWEEK" | "WEEKDAY":
            return exp.paren(exp.Sub(this=_call("DAYOFWEEK", value), expression=_number(1)))
        case "ISODOW":
            return exp.paren(exp.Add(this=_call("WEEKDAY", value), expression=_number(1)))
        case _:
            raise refused(f"the part `{name}` of a time")


def _part_called(name: str) -> Rewrite:
    return lambda node: _part(name, node.this)


def _epoch(node: exp.Expr) -> exp.Expr:
    micros = _double(_call("UNIX_MICROS", node.this))
    return exp.paren(exp.Div(this=micros, expression=_double(_number(1_000_000))))


def _interval(node: exp.Expr) -> exp.Expr:
    unit = node.text("unit").upper().removesuffix("S")
    value = node.this
    if isinstance(value, exp.Literal) and value.is_string:
        value = _number(int(value.name)) if re.fullmatch(r"-?\d{1,9}", value.name) else None
    if unit not in _LENGTHS or value is None:
        raise refused("an INTERVAL is a whole number of days, hours, minutes or seconds")
    return _length(unit, value)


def _length(unit: str, value: exp.Expr) -> exp.Expr:
    return _call("MAKE_DT_INTERVAL", *(_int(value) if name == unit else _number(0) for name in _LENGTHS))


def _length_called(unit: str) -> Rewrite:
    return lambda node: _length(unit, node.expressions[0])


REWRITES: dict[type[exp.Expr], Rewrite] = {
    exp.DateDiff: _date_diff,
    exp.TimeToStr: _strftime,
    exp.Div: _div,
    exp.Trim: _trim,
    exp.SplitPart: _split_part,
    exp.PercentileDisc: _quantile_disc,
    exp.GroupConcat: _string_agg,
    exp.Like: _like,
    exp.ILike: _like,
    exp.Cast: _cast,
    exp.Round: _round,
    exp.Floor: _whole("FLOOR"),
    exp.Ceil: _whole("CEIL"),
    exp.Extract: _extract,
    exp.Year: _part_called("YEAR"),
    exp.Month: _part_called("MONTH"),
    exp.Day: _part_called("DAY"),
    exp.Hour: _part_called("HOUR"),
    exp.Minute: _part_called("MINUTE"),
    exp.DayOfWeek: _part_called("DOW"),
    exp.DayOfWeekIso: _part_called("ISODOW"),
    exp.TimeToUnix: _epoch,
    exp.Interval: _interval,
}
"""By the kind of node."""

NAMED: dict[str, Rewrite] = {
    "date_part": _date_part,
    "to_days": _length_called("DAY"),
    "to_hours": _length_called("HOUR"),
    "to_minutes": _length_called("MINUTE"),
    "to_seconds": _length_called("SECOND"),
}
"""By the name of a function that the parser knows nothing of."""
