"""How ticket systems are written in `integrations.yaml`. Part of `language`."""

from __future__ import annotations

import re
from datetime import timedelta

from lapse.bootstrap.integrations.parts import (
    KIND,
    LINE,
    NAME,
    POINTER,
    WEB_KEYS,
    ByKind,
    build_web,
    matching,
    template_of,
    word_of,
)
from lapse.bootstrap.integrations.settings import ExportSettings, TicketSystem
from lapse.policy.parts import DURATION
from lapse.policy.shape import Found, Key, Many, Record, Sink
from lapse.tickets import recipes
from lapse.tickets.export import Columns
from lapse.tickets.http import Mapping as TicketMapping
from lapse.tickets.numbers import NumberForm

_NUMBER = frozenset({"number"})
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}", re.ASCII)
_SYSTEM = Key("name", NAME, "The name that requests and policies use for the system.", required=True)
_KEEP = Key("keep_for", DURATION, "How long an open ticket is believed to be open; 1m if left out.")
_STATES = Key("open", Many(LINE, 100), "The states that mean open, whatever their case.", required=True)


def _ticket_system(found: Found, source: ExportSettings | TicketMapping) -> TicketSystem:
    return TicketSystem(
        name=found.values["name"],
        kind=found.values["kind"],
        source=source,
        web=build_web(found),
        keep_for=found.get("keep_for", timedelta(minutes=1)),
    )


def _states(found: Found) -> frozenset[str]:
    return frozenset(state.strip().casefold() for state in found.values["open"])


def _build_export(found: Found, _: Sink) -> TicketSystem:
    source = ExportSettings(
        file=found.values["file"],
        open_states=_states(found),
        columns=found.get("columns", Columns()),
        oldest=found.get("oldest", timedelta(days=1)),
    )
    return _ticket_system(found, source)


def _build_http(found: Found, sink: Sink) -> TicketSystem:
    source = TicketMapping(
        url=template_of(found, sink, _NUMBER),
        state=found.values["state"],
        open_states=_states(found),
        state_name=found.get("state_name", ""),
        title=found.get("title", ""),
        assignee=found.get("assignee", ""),
        numbers=found.get("numbers", NumberForm.TEXT),
    )
    if not source.url.names:
        raise sink.report(found.place_of("url"), "the URL does not say which ticket", "write `{number}` in it")
    return _ticket_system(found, source)


def _build_jira(found: Found, sink: Sink) -> TicketSystem:
    template_of(found, sink, frozenset())
    return _ticket_system(found, recipes.jira(found.values["url"], plain=found.get("plain", False)))


def _build_github(found: Found, sink: Sink) -> TicketSystem:
    base = found.get("url", recipes.GITHUB)
    template_of(found, sink, frozenset(), base)
    return _ticket_system(found, recipes.github(found.values["repository"], base, plain=found.get("plain", False)))


_COLUMNS = Record(
    "the columns of an export",
    tuple(
        Key(name, LINE, f"Which column holds the {name}; `{name}` if left out.")
        for name in ("number", "state", "title", "assignee")
    ),
    lambda found, _: Columns(**found.values),
)
TICKETS = ByKind(
    "a ticket system",
    {
        "export": Record(
            "an export",
            (
                KIND,
                _SYSTEM,
                Key("file", LINE, "CSV, JSON list (.json) or one JSON object a line (.jsonl).", required=True),
                Key("columns", _COLUMNS, "How the export calls what is needed."),
                _STATES,
                Key("oldest", DURATION, "An export older than this says nothing; 1d if left out."),
                _KEEP,
            ),
            _build_export,
        ),
        "http": Record(
            "a system that answers over HTTP",
            (
                KIND,
                _SYSTEM,
                Key("url", LINE, "What to GET, with `{number}` where the number goes.", required=True),
                Key("state", POINTER, "Where the answer says the state (a JSON pointer).", required=True),
                _STATES,
                Key("state_name", POINTER, "Where it says what people call the state."),
                Key("title", POINTER, "Where it says the title."),
                Key("assignee", POINTER, "Where it says who works on it."),
                Key("numbers", word_of(NumberForm, "a form of number"), "What numbers look like; `text` if left out."),
                _KEEP,
                *WEB_KEYS,
            ),
            _build_http,
        ),
        "jira": Record(
            "a Jira",
            (KIND, _SYSTEM, Key("url", LINE, "Its address.", required=True), _KEEP, *WEB_KEYS),
            _build_jira,
        ),
        "github": Record(
            "GitHub issues",
            (
                KIND,
                _SYSTEM,
                Key("repository", matching(_REPOSITORY, "a repository", "owner/name"), "Whose issues.", required=True),
                Key("url", LINE, "The API of a GitHub Enterprise; that of github.com if left out."),
                _KEEP,
                *WEB_KEYS,
            ),
            _build_github,
        ),
    },
)
