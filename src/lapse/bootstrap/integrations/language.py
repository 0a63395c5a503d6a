"""The language of `integrations.yaml`: every key, once, with its shape and its meaning.

`INTEGRATIONS_FILE` is read by `read_integrations` and written out as JSON Schema by `python -m` this module;
`docs/integrations.md` explains it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from lapse.bootstrap.integrations.language_notices import WAYS
from lapse.bootstrap.integrations.language_rotas import ROTAS
from lapse.bootstrap.integrations.language_tickets import TICKETS
from lapse.bootstrap.integrations.settings import IntegrationSettings
from lapse.policy.parts import DURATION
from lapse.policy.problems import PolicyErrors, Problem
from lapse.policy.shape import Found, Key, Many, Record, Sink, Unreadable, Whole
from lapse.policy.yaml_tree import read_tree

MOST = 50


def _unique(found: Found, sink: Sink) -> None:
    for part in ("tickets", "rotas", "notices"):
        names = [one.name for one in found.get(part, ())]
        for name in {name for name in names if names.count(name) > 1}:
            sink.report(found.place_of(part), f"the name `{name}` is used twice in `{part}`", "rename one")


def _build_file(found: Found, sink: Sink) -> IntegrationSettings:
    _unique(found, sink)
    return IntegrationSettings(
        tickets=found.get("tickets", ()),
        rotas=found.get("rotas", ()),
        ways=found.get("notices", ()),
        give_up_after=min(found.get("give_up_after", timedelta(days=3)), timedelta(days=30)),
    )


INTEGRATIONS_FILE = Record(
    "the file of integrations",
    (
        Key("version", Whole(1, 1), "Version of the language: 1.", required=True),
        Key("tickets", Many(TICKETS, MOST), "Where tickets are looked up."),
        Key("rotas", Many(ROTAS, MOST), "Who is on call."),
        Key("notices", Many(WAYS, MOST), "How people are told."),
        Key("give_up_after", DURATION, "How long a notice is tried; 3d if left out, 30d at most."),
    ),
    _build_file,
)


def read_integrations(file: str, text: str) -> IntegrationSettings:
    """What a file of integrations says; an empty one says nothing.

    Raises:
        PolicyErrors: what is wrong with it, each with line and column.
    """
    sink, tree = Sink(file), read_tree(file, text)
    if tree is None:
        return IntegrationSettings()
    try:
        found = INTEGRATIONS_FILE.read(tree, sink)
    except Unreadable:
        raise PolicyErrors(
            sink.problems or [Problem(file=file, line=1, column=1, message="it cannot be read")]
        ) from None
    if sink.problems:
        raise PolicyErrors(sink.problems)
    return found


def integrations_schema() -> Mapping[str, Any]:
    """JSON Schema (draft 2020-12) of the file, for editors."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "lapse integrations"}
    return {**schema, **INTEGRATIONS_FILE.schema()}


def schema_text() -> str:
    """The schema as it is kept in `docs/integrations.schema.json`."""
    return json.dumps(integrations_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":  # pragma: no cover  a test compares what it prints
    sys.stdout.write(schema_text())
