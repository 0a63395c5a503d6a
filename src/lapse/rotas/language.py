"""The language of rota files: every key, once, with its shape and its meaning.

`ROTA_FILE` reads one; `docs/rotas.md` explains it. All problems are reported with file, line and column.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date, datetime

from lapse.domain.errors import InvalidInput
from lapse.domain.names import check_name, shown
from lapse.policy.parts import CLOCK, NAME_SCHEMA, WINDOWS, ZONE
from lapse.policy.problems import PolicyErrors, Problem
from lapse.policy.shape import Found, Key, Many, OrWord, Record, Sink, Text, Unreadable, Whole, Word
from lapse.policy.windows import DAY_MINUTES
from lapse.policy.yaml_tree import read_tree
from lapse.rotas.shifts import Layer, Plan, Shift, instant

MOST_PEOPLE, MOST_LAYERS, MOST_SHIFTS = 200, 20, 2_000
MOST_DAYS = 366
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_LOCAL = re.compile(r"\d{4}-\d\d-\d\d[T ]([01]\d|2[0-3]):[0-5]\d", re.ASCII)
_EARLIEST, _LATEST = date(1990, 1, 1), date(2200, 1, 1)
"""Shifts outside are mistakes, and arithmetic far outside does not work."""


def _date(text: str) -> date:
    try:
        found = date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        found = None
    if found is None or not _EARLIEST <= found < _LATEST:
        raise InvalidInput(f"`{shown(text)}` is not a date", hint="write it as 2026-01-05")
    return found


def _local(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text) if _LOCAL.fullmatch(text) else None
    except ValueError:
        found = None
    if found is None or not _EARLIEST <= found.date() < _LATEST:
        raise InvalidInput(f"`{shown(text)}` is not a local time", hint="write it as 2026-12-24T09:00")
    return found


_PERSON = Text(lambda text: check_name(text, what="principal name"), NAME_SCHEMA)
_DATE_TEXT = Text(_date, {"format": "date"})
_LOCAL_TEXT = Text(_local, {"examples": ["2026-12-24T09:00"]})


def _build_layer(found: Found, sink: Sink) -> Layer:
    ends, starts = found.get("ends"), found.values["starts"]
    if ends is not None and ends <= starts:
        raise sink.report(found.place_of("ends"), "the layer ends before it starts")
    hand_over = found.get("hand_over", 540)
    if hand_over == DAY_MINUTES:
        raise sink.report(found.place_of("hand_over"), "a hand-over is at 00:00 to 23:59", 'write "00:00"')
    return Layer(
        people=found.values["people"],
        starts=starts,
        ends=ends,
        timezone="UTC",
        days=found.get("days", 7),
        hand_over=hand_over,
        windows=found.get("only", ()),
    )


def _build_shift(found: Found, sink: Sink) -> tuple[str, datetime, datetime]:
    begins, ends = found.values["from"], found.values["to"]
    if ends <= begins:
        raise sink.report(found.place_of("to"), "the shift ends before it begins")
    return found.values["who"], begins, ends


_LAYER = Record(
    "a layer of a rota",
    (
        Key("name", Text(lambda text: check_name(text, what="name of a layer"), NAME_SCHEMA), "What people call it."),
        Key("people", Many(_PERSON, MOST_PEOPLE), "Who takes turns, in this order.", required=True),
        Key("starts", _DATE_TEXT, "The day of the first hand-over.", required=True),
        Key("ends", _DATE_TEXT, "The day on which it is over, at the time of the hand-over."),
        Key("hand_over", CLOCK, 'The time of day of the hand-over, there; "09:00" if left out.'),
        Key("days", Whole(1, MOST_DAYS), "How many days a turn lasts; 7 if left out."),
        Key("only", WINDOWS, "On call only at these times of the week; always if left out."),
    ),
    _build_layer,
)


def _shift(what: str, *, or_nobody: bool) -> Record[tuple[str, datetime, datetime]]:
    who = OrWord(Word("nobody", ""), _PERSON) if or_nobody else _PERSON
    meaning = "Who is on call, or `nobody`." if or_nobody else "Who is on call."
    return Record(
        what,
        (
            Key("who", who, meaning, required=True),
            Key("from", _LOCAL_TEXT, "When it begins, on the clocks of the rota's time zone.", required=True),
            Key("to", _LOCAL_TEXT, "When it is over.", required=True),
        ),
        _build_shift,
    )


def _build(found: Found, sink: Sink) -> Plan:
    if not found.get("layers") and not found.get("shifts"):
        raise sink.report(found.place, "nobody is ever on call in this rota", "add `layers` or `shifts`")
    zone = found.values["timezone"]
    return Plan(
        layers=tuple(replace(layer, timezone=zone) for layer in found.get("layers", ())),
        shifts=tuple(_shift_there(shift, zone) for shift in found.get("shifts", ())),
        overrides=tuple(_shift_there(shift, zone) for shift in found.get("overrides", ())),
    )


def _shift_there(shift: tuple[str, datetime, datetime], zone: str) -> Shift:
    who, begins, ends = shift
    return Shift(who=who, begins=_instant(begins, zone), ends=_instant(ends, zone))


def _instant(local: datetime, zone: str) -> datetime:
    return instant(local.date(), local.hour * 60 + local.minute, zone)


ROTA_FILE = Record(
    "a rota file",
    (
        Key("version", Whole(1, 1), "Version of the language: 1.", required=True),
        Key("timezone", ZONE, "Where the clocks hang, e.g. `Europe/Berlin`.", required=True),
        Key("layers", Many(_LAYER, MOST_LAYERS), "Turns that repeat; several are on call together."),
        Key("shifts", Many(_shift("a shift", or_nobody=False), MOST_SHIFTS), "Single shifts, besides the layers."),
        Key(
            "overrides",
            Many(_shift("an override", or_nobody=True), MOST_SHIFTS),
            "Who is on call instead of everybody else for a while.",
        ),
    ),
    _build,
)


def schema_text() -> str:
    """JSON Schema (draft 2020-12) of rota files, for editors, as it is kept in `docs/rota.schema.json`."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "lapse rota", **ROTA_FILE.schema()}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def parse_rota(file: str, text: str) -> Plan:
    """The plan in a rota file.

    Raises:
        PolicyErrors: what is wrong with it, each with line and column.
    """
    sink, tree = Sink(file), read_tree(file, text)
    if tree is None:
        raise PolicyErrors([Problem(file=file, line=1, column=1, message="the file is empty")])
    try:
        plan = ROTA_FILE.read(tree, sink)
    except Unreadable:
        plan = None
    if plan is None or sink.problems:
        raise PolicyErrors(sink.problems)
    return plan
