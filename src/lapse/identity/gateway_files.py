"""What a catalog file says about sessions: `guard:` of an entitlement and `gateway:` of a resource.

What is read can be applied: every expression compiles, every wildcard is one, every mask says what it does. Called by
`catalog_files`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from lapse.domain.errors import InvalidInput
from lapse.domain.guards import GatewayRules, Guard, Mask, MaskKind, RecordParameters, StatementClass
from lapse.domain.names import check_name, check_native, is_printable, shown
from lapse.domain.regexes import check_regex
from lapse.identity.located import Reader
from lapse.policy.yaml_tree import Map, Tree

MOST_RULES = 200
"""Elements of one list of a guard."""

MOST_SESSIONS = 1_000_000
LONGEST_HOLD = timedelta(hours=12)
LONGEST_KEPT = timedelta(days=36_500)
_LONGEST_REPLACEMENT = 100
_NO_REPLACEMENT = "\"'\\<>&,{}"
_DAY = timedelta(days=1)


def read_guard(read: Reader, node: Tree) -> Guard | None:
    """The guard of an entitlement; None if it is no map."""
    values = read.fields(
        node,
        {
            "read_only": read.flag,
            "require_where": read.flag,
            **{name: partial(_classes, read, name) for name in ("statements", "approval_statements")},
            **{name: partial(_texts, read, name, check_table_glob) for name in ("tables_allowed", "tables_denied")},
            **{name: partial(_texts, read, name, check_regex) for name in ("denied_patterns", "approval_patterns")},
            "approvers": lambda n: read.references_in(n, "approvers", "party"),
            "approval_timeout": lambda n: read.duration(n, LONGEST_HOLD),
            "masks": lambda n: read.list_of(n, "masks", partial(_mask, read), MOST_RULES),
        },
        "guard",
    )
    _check_empty_lists(read, node, values)
    _check_masks_apart(read, node, values.get("masks", ()))
    return Guard(**values)


def read_gateway_rules(read: Reader, node: Tree) -> GatewayRules | None:
    """How sessions on a resource are treated."""
    values = read.fields(
        node,
        {
            **dict.fromkeys(("only", "single_use", "record_input"), read.flag),
            **{name: lambda n: read.count(n, MOST_SESSIONS) for name in ("sessions", "sessions_per_principal")},
            **{name: lambda n: read.duration(n, _DAY) for name in ("cut_after_store_loss", "idle_timeout")},
            "keep_for": lambda n: read.duration(n, LONGEST_KEPT),
            "parameters": lambda n: read.choice(n, RecordParameters),
            "warn_before": lambda n: read.list_of(n, "warn_before", lambda i: read.duration(i, _DAY), 10),
        },
        "gateway",
    )
    return GatewayRules(**values)


def check_table_glob(text: str) -> str:
    """Return `text` if it names tables as `schema.table`, with `*` and `?`."""
    check_native(text, what="table")
    schema, dot, table = text.partition(".")
    if not (schema and dot and table):
        raise InvalidInput(
            f"`{shown(text)}` is not a table of a schema",
            hint=f"write it as `public.{shown(text.strip('.'))}`, or `*.{shown(text.strip('.'))}` for every schema",
        )
    return text


def check_replacement(text: str) -> str:
    """Return `text` if it can stand in any text in place of what is masked, JSON included."""
    if len(text) > _LONGEST_REPLACEMENT or not is_printable(text) or set(text) & set(_NO_REPLACEMENT):
        raise InvalidInput(
            f"`{shown(text)}` cannot replace what is masked",
            hint=f"use at most {_LONGEST_REPLACEMENT} characters, none of them one of `{_NO_REPLACEMENT}`",
        )
    return text


def _classes(read: Reader, what: str, node: Tree) -> tuple[StatementClass, ...] | None:
    return read.list_of(node, what, lambda item: read.choice(item, StatementClass), len(StatementClass))


def _texts(read: Reader, what: str, check: Callable[[str], str], node: Tree) -> tuple[str, ...] | None:
    return read.list_of(node, what, lambda item: read.checked(item, check), MOST_RULES)


def _check_empty_lists(read: Reader, node: Tree, values: dict[str, Any]) -> None:
    """An empty list of what is allowed would allow everything: whoever wrote it meant something else."""
    for name in ("statements", "tables_allowed"):
        if values.get(name) == ():
            read.report(node, f"`{name}` allows nothing", "name what is allowed, or leave the key out")
    holds = values.get("approval_statements") or values.get("approval_patterns")
    if not holds and values.get("approvers"):
        read.report(node, "`approvers` decide on nothing here", "add `approval_statements` or `approval_patterns`")


def _check_masks_apart(read: Reader, node: Tree, masks: tuple[Mask, ...]) -> None:
    names = [mask.name for mask in masks]
    for name in sorted({name for name in names if names.count(name) > 1}):
        read.report(node, f"the mask `{name}` is here twice", "give each its own name")


def _mask(read: Reader, node: Tree) -> Mask | None:
    values = read.fields(
        node,
        {
            "name": lambda n: read.checked(n, partial(check_name, what="mask name")),
            "kind": lambda n: read.choice(n, MaskKind),
            "columns": lambda n: _texts(read, "columns", partial(check_native, what="column"), n),
            "tables": partial(_texts, read, "tables", check_table_glob),
            "pattern": lambda n: read.checked(n, check_regex),
            "replacement": lambda n: read.checked(n, check_replacement),
        },
        "mask",
    )
    if not read.required(node, values, ("name",), "mask"):
        return None
    mask = Mask(**values)
    whole = isinstance(node, Map) and len(values) == len(node.entries)
    for message, hint in _mask_problems(mask) if whole else ():
        read.report(node, message, hint)
    return mask


def _mask_problems(mask: Mask) -> list[tuple[str, str]]:
    custom = mask.kind is MaskKind.CUSTOM
    finds = custom or mask.kind in {MaskKind.EMAIL, MaskKind.CARD, MaskKind.PHONE}
    found = []
    if not mask.columns:
        found.append((f"the mask `{mask.name}` names no columns", "leave `columns` out for all of them"))
    if custom and not mask.pattern:
        found.append((f"the mask `{mask.name}` does not say what it replaces", "add `pattern: …`"))
    if not finds and mask.columns == ("*",) and not mask.tables:
        found.append((f"the mask `{mask.name}` would mask everything", "add `columns` or `tables`"))
    if not custom and (mask.pattern or mask.replacement):
        found.append(
            (f"`pattern` and `replacement` mean nothing to a mask of kind `{mask.kind}`", "use `kind: custom`")
        )
    return found
