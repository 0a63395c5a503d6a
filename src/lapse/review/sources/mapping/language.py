"""The language of mappings: every key, once, with its shape and its meaning.

`parse_mapping` reads it, and `python -m lapse.review.sources.mapping.language` writes it out as JSON Schema, as it is
kept in `docs/source-mapping.schema.json`; `docs/sources-mapped.md` explains it. Called by the kinds `mapped` and
`ocsf`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lapse.domain.errors import InvalidInput
from lapse.domain.names import check_text, shown
from lapse.policy.parts import PROSE, ZONE
from lapse.policy.problems import PolicyErrors, Problem
from lapse.policy.shape import Either, Flag, Found, Key, Many, Record, Sink, Text, Unreadable, Whole
from lapse.policy.yaml_tree import read_tree
from lapse.review.evidence.columns import Kind, Table
from lapse.review.sources.mapping.model import MAPPABLE, Cell, Rule, Skip, SourceMapping, Test
from lapse.review.sources.mapping.paths import PATTERN, parse_path, parse_single
from lapse.review.sources.mapping.shapes import Named, Single, Words
from lapse.review.sources.mapping.values import STRPTIME, WAYS, Way, has_zone, parse_way, read_value, text_of

MOST_RULES = 50
MOST_TESTS = 20
MOST_PATHS = 20
MOST_VALUES = 200
FORMATS = ("json", "csv", "parquet")
_LONGEST_REASON = 80
_PATH_SCHEMA = {"pattern": PATTERN, "examples": ["$.actor.user.name", "$['a name']", "$.resources[0].uid", "@.name"]}
_MANY_SCHEMA = {"pattern": PATTERN, "examples": ["$.resources[*]"]}
SINGLE = Named("path", Text(parse_single, _PATH_SCHEMA))
_MANY = Named("paths", Text(parse_path, _MANY_SCHEMA))
_VALUE = Named("value", Single())


def _reason(text: str) -> str:
    return check_text(text, what="reason", longest=_LONGEST_REASON)


def _format(text: str) -> str:
    if text not in FORMATS:
        raise InvalidInput(f"`{shown(text)}` is no format", hint=f"one of {', '.join(FORMATS)}")
    return text


def _delimiter(text: str) -> str:
    if len(text) != 1 or text in {'"', "\r", "\n"}:
        raise InvalidInput(f"`{shown(text)}` separates no fields", hint='one character, e.g. ";"')
    return text


def _build_test(found: Found, sink: Sink) -> Test:
    ways = [name for name in ("equals", "in", "not_in", "exists") if name in found.values]
    if len(ways) != 1:
        raise sink.report(found.place, "a condition has exactly one of `equals`, `in`, `not_in` and `exists`")
    path, way = found.values["path"], ways[0]
    if way == "exists":
        return Test(path, exists=found.values["exists"])
    values = found.values[way] if way != "equals" else (found.values["equals"],)
    return Test(path, texts=frozenset(map(text_of, values)), negated=way == "not_in")


_TEST = Named(
    "condition",
    Record(
        "a condition",
        (
            Key("path", SINGLE, "Which field it is about.", required=True),
            Key("equals", _VALUE, "It must be this."),
            Key("in", Many(_VALUE, MOST_VALUES), "It must be one of these."),
            Key(
                "not_in",
                Many(_VALUE, MOST_VALUES),
                "It must be none of these; a field that is not there is none of them.",
            ),
            Key("exists", Flag(), "Whether it must be there, and not null."),
        ),
        _build_test,
    ),
)
_TESTS = Many(_TEST, MOST_TESTS, or_one=True)


def _cell(kind: Kind) -> Named[Cell]:
    """A column of this kind as it may be written: a path, or a map that says more."""

    def build(found: Found, sink: Sink) -> Cell:
        return _build_cell(found, sink, kind)

    def path(text: str) -> Cell:
        return Cell(paths=(parse_single(text),), way=Way(WAYS[kind][0]))

    ways = [*WAYS[kind], *([f"{STRPTIME}%d.%m.%Y %H:%M"] if kind is Kind.TIME else [])]
    way = Text(lambda text: parse_way(text, kind), {"examples": ways})
    keys = (
        Key("path", SINGLE, "The field that has the value."),
        Key(
            "first", Many(SINGLE, MOST_PATHS), "Fields of which the first that is there, and not empty, has the value."
        ),
        Key(
            "join", Many(SINGLE, MOST_PATHS), "Fields whose texts are put together; if one is not there, there is none."
        ),
        Key("with", Text(lambda text: text, {"maxLength": 20}), 'What comes between joined texts; "/" if left out.'),
        Key("value", _VALUE, "The value, whatever the record says."),
        Key("as", way, f"How it is written; `{ways[0]}` if left out."),
        Key("timezone", ZONE, "The zone of times that do not say theirs; that of the mapping if left out."),
        Key("map", Words(), "Texts of the field, and the texts that stand for them."),
        Key("default", _VALUE, "The value where there is none, or none that `map` has."),
    )
    return Named(f"{kind}_column", Either(Text(path, _PATH_SCHEMA), Record(f"a column of kind {kind}", keys, build)))


_CELLS: Mapping[Kind, Named[Cell]] = {kind: _cell(kind) for kind in Kind}


def _build_cell(found: Found, sink: Sink, kind: Kind) -> Cell:
    sources = [name for name in ("path", "first", "join", "value") if name in found.values]
    if len(sources) != 1:
        raise sink.report(found.place, "a column has exactly one of `path`, `first`, `join` and `value`")
    if "with" in found.values and sources != ["join"]:
        raise sink.report(found.place_of("with"), "only what is joined has something between", "write `join`")
    if "map" in found.values and (kind is Kind.TIME or sources == ["value"]):
        raise sink.report(found.place_of("map"), "only what is read from fields that are no times can be mapped")
    way = Way(found.get("as", WAYS[kind][0]), found.get("timezone", ""))
    source = found.values[sources[0]]
    return Cell(
        paths=() if sources == ["value"] else source if isinstance(source, tuple) else (source,),
        joined_with=found.get("with", "/") if sources == ["join"] else None,
        value=_fixed(found, sink, "value", kind),
        way=way,
        words=found.get("map"),
        default=_fixed(found, sink, "default", kind),
        place=found.place_of("as"),
    )


def _fixed(found: Found, sink: Sink, name: str, kind: Kind) -> Any:
    if name not in found.values:
        return None
    try:
        return read_value(found.values[name], kind, Way(WAYS[kind][0]))
    except ValueError as error:
        raise sink.report(found.place_of(name), str(error), f"the column is of kind {kind}") from None


def _rule(table: Table) -> Record[Rule]:
    def build_columns(found: Found, _: Sink) -> Mapping[str, Cell]:
        return found.values

    def build(found: Found, _: Sink) -> Rule:
        return Rule(
            table=table,
            cells=found.values["columns"],
            kinds={column.name: column.kind for column in table.columns},
            tests=found.get("where", ()),
            items=found.get("from"),
            person=found.get("person"),
        )

    columns = tuple(
        Key(c.name, _CELLS[c.kind], f"{c.doc[:1].upper()}{c.doc[1:]}.", required=c.required) for c in table.columns
    )
    return Record(
        f"a rule for `{table.name}`",
        (
            Key("from", _MANY, "Items of the record of which each makes a row, as `@`; the record itself if left out."),
            Key("where", _TESTS, "What must hold of the record for this rule to be about it."),
            Key("person", SINGLE, "A name or mail address in the record that says whose it is."),
            Key("columns", Record(f"the columns of `{table.name}`", columns, build_columns), table.doc, required=True),
        ),
        build,
    )


def _build_tables(found: Found, sink: Sink) -> tuple[Rule, ...]:
    rules = tuple(rule for name in MAPPABLE if name in found.values for rule in found.values[name])
    if not rules:
        raise sink.report(found.place, "the mapping fills no table", "name at least one")
    return rules


_RULES = {name: Named(f"{name}_rule", _rule(table)) for name, table in MAPPABLE.items()}
_TABLES = Record(
    "the tables of a mapping",
    tuple(Key(name, Many(rule, MOST_RULES, or_one=True), MAPPABLE[name].doc) for name, rule in _RULES.items()),
    _build_tables,
)
_SKIP = Record(
    "records to skip",
    (
        Key("where", _TESTS, "What holds of them.", required=True),
        Key("reason", Text(_reason, {"maxLength": _LONGEST_REASON}), "Why they are no evidence.", required=True),
    ),
    lambda found, _: Skip(found.values["where"], found.values["reason"]),
)


def _build_file(found: Found, sink: Sink) -> SourceMapping:
    zone = found.get("timezone", "")
    rules = tuple(_with_zone(rule, zone, found, sink) for rule in found.values["tables"])
    if "delimiter" in found.values and found.get("format", "csv") != "csv":
        raise sink.report(found.place_of("delimiter"), "only CSV has fields that are separated", "write `format: csv`")
    return SourceMapping(
        rules=rules,
        skips=found.get("skip", ()),
        identity=found.get("id", ()),
        records=found.get("records"),
        format=found.get("format", ""),
        delimiter=found.get("delimiter", ","),
    )


def _with_zone(rule: Rule, zone: str, found: Found, sink: Sink) -> Rule:
    cells = dict(rule.cells)
    for name, cell in cells.items():
        if rule.kinds[name] is not Kind.TIME or not cell.paths:
            continue
        where = cell.way.zone or zone
        if not where and not has_zone(cell.way.name):
            what = f"the format of `{rule.table.name}.{name}` says no time zone, and nothing else does"
            raise sink.report(
                cell.place or found.place_of("tables"), what, "add `timezone` to the column or to the mapping"
            )
        cells[name] = replace(cell, way=Way(cell.way.name, where))
    return replace(rule, cells=cells)


MAPPING_FILE = Record(
    "a mapping",
    (
        Key("version", Whole(1, 1), "Version of the language: 1.", required=True),
        Key("title", PROSE, "What it maps, for people."),
        Key("format", Text(_format, {"enum": list(FORMATS)}), "What the files are; by their names if left out."),
        Key(
            "delimiter",
            Text(_delimiter, {"minLength": 1, "maxLength": 1}),
            'What separates fields of CSV; "," if left out.',
        ),
        Key("records", _MANY, "Where the records are in an object of the file; the object itself if left out."),
        Key(
            "id",
            Many(SINGLE, MOST_PATHS, or_one=True),
            "What, with its time, tells a record from others, to count it once.",
        ),
        Key("timezone", ZONE, "The zone of times that do not say theirs."),
        Key("skip", Many(_SKIP, MOST_RULES, or_one=True), "Records that are no evidence; the first that fits counts."),
        Key("tables", _TABLES, "What the records are evidence of.", required=True),
    ),
    _build_file,
)


def parse_mapping(file: str, text: str) -> SourceMapping:
    """The mapping in a file called `file`.

    Raises:
        PolicyErrors: everything that is wrong with it, each with line and column.
    """
    sink, tree = Sink(file), read_tree(file, text)
    if tree is None:
        raise PolicyErrors([Problem(file=file, line=1, column=1, message="the mapping is empty")])
    try:
        found = MAPPING_FILE.read(tree, sink)
    except Unreadable:
        raise PolicyErrors(sink.problems) from None
    if sink.problems:
        raise PolicyErrors(sink.problems)
    return found


def schema_text() -> str:
    """JSON Schema (draft 2020-12) of mappings, for editors, as it is kept in `docs/source-mapping.schema.json`."""
    named = (SINGLE, _MANY, _VALUE, _TEST, *_CELLS.values(), *_RULES.values())
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "lapse source mapping",
        **MAPPING_FILE.schema(),
        "$defs": {one.name: one.shape.schema() for one in named},
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":  # pragma: no cover  a test compares what it prints
    sys.stdout.write(schema_text())
