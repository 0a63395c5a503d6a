"""Formulas for the solver. What is known already stays a Python `bool`, so that formulas remain small.

Every formula belongs to a context of its own (`context`), so that proofs in different threads do not meet. Called by
the other modules of this package, which is the only place that knows z3.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import z3

Formula: TypeAlias = Any
"""A Python `bool` or a Boolean term of z3."""

Number: TypeAlias = Any
"""A Python `int` or an integer term of z3."""


def new_context() -> Any:
    """A context whose formulas are used by one thread at a time."""
    return z3.Context()


def boolean(name: str, context: Any) -> Formula:
    """The unknown yes or no called `name`."""
    return z3.Bool(name, context)


def integer(name: str, context: Any) -> Number:
    """The unknown whole number called `name`."""
    return z3.Int(name, context)


def constant(value: int, context: Any) -> Number:
    """A whole number as a term."""
    return z3.IntVal(value, context)


def relation(name: str, context: Any) -> Any:
    """An unknown set of whole numbers: applied to one, whether it is in it."""
    return z3.Function(name, z3.IntSort(context), z3.BoolSort(context))


def no(one: Formula) -> Formula:
    """Not `one`."""
    return not one if isinstance(one, bool) else z3.BoolRef(z3.Z3_mk_not(one.ctx.ref(), one.as_ast()), one.ctx)


def both(*parts: Formula) -> Formula:
    """All of `parts`."""
    return all_of(parts)


def either(*parts: Formula) -> Formula:
    """At least one of `parts`."""
    return any_of(parts)


def all_of(parts: Iterable[Formula]) -> Formula:
    """All of `parts`; true if there are none."""
    open_parts = []
    for part in parts:
        if part is False:
            return False
        if part is not True:
            open_parts.append(part)
    return _joined(open_parts, z3.Z3_mk_and, otherwise=True)


def any_of(parts: Iterable[Formula]) -> Formula:
    """At least one of `parts`; false if there are none."""
    open_parts = []
    for part in parts:
        if part is True:
            return True
        if part is not False:
            open_parts.append(part)
    return _joined(open_parts, z3.Z3_mk_or, otherwise=False)


def _joined(parts: Sequence[Formula], join: Any, *, otherwise: bool) -> Formula:
    """Made directly: z3's own functions look at every part again, to find out that all are of one context."""
    if len(parts) < 2:  # noqa: PLR2004  nothing to join
        return parts[0] if parts else otherwise
    context = parts[0].ctx
    return z3.BoolRef(join(context.ref(), len(parts), (z3.Ast * len(parts))(*[part.ast for part in parts])), context)


def implies(one: Formula, other: Formula) -> Formula:
    """`other` wherever `one`."""
    return either(no(one), other)


def same(one: Formula, other: Formula) -> Formula:
    """Both or neither."""
    if isinstance(one, bool):
        return other if one else no(other)
    if isinstance(other, bool):
        return one if other else no(one)
    return one == other


def choose(condition: Formula, yes: Any, otherwise: Any) -> Any:
    """`yes` if `condition`, else `otherwise`: two formulas, or two numbers of which one is a term."""
    if isinstance(condition, bool):
        return yes if condition else otherwise
    if isinstance(yes, bool) or isinstance(otherwise, bool):
        return either(both(condition, yes), both(no(condition), otherwise))
    if isinstance(yes, int) and isinstance(otherwise, int):
        return yes if yes == otherwise else z3.If(condition, *(z3.IntVal(n, condition.ctx) for n in (yes, otherwise)))
    return z3.If(condition, yes, otherwise)


def largest(one: Number, other: Number) -> Number:
    """The larger of two numbers."""
    return choose(other <= one, one, other) if not _known(one, other) else max(one, other)


def smallest(one: Number, other: Number) -> Number:
    """The smaller of two numbers."""
    return choose(one <= other, one, other) if not _known(one, other) else min(one, other)


def _known(one: Number, other: Number) -> bool:
    return isinstance(one, int) and isinstance(other, int)
