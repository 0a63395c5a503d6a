"""The language of `integrations.yaml`: every key, once, with its shape and its meaning.

`INTEGRATIONS_FILE` is read by `read_integrations` and written out as JSON Schema by `python -m` this module;
`docs/integrations.md` explains it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from lapse.bootstrap.integration_parts import (
    LINE,
    NAME,
    POINTER,
    SECRET,
    URL_OR_SECRET,
    WEB_KEYS,
    ByKind,
    Pairs,
    build_web,
    template_of,
    url_of,
)
from lapse.bootstrap.integration_settings import (
    CalendarSettings,
    ExportSettings,
    HookSettings,
    IntegrationSettings,
    MailSettings,
    RotaSettings,
    ServiceSettings,
    ShiftSettings,
    TicketSystem,
    WaySettings,
)
from lapse.domain.errors import InvalidInput
from lapse.domain.names import shown
from lapse.domain.notices import NoticeKind
from lapse.policy.parts import DURATION, ZONE
from lapse.policy.problems import PolicyErrors, Problem
from lapse.policy.shape import Found, Key, Many, Record, Sink, Text, Unreadable, Whole
from lapse.policy.yaml_tree import read_tree
from lapse.tickets import recipes
from lapse.tickets.export import Columns
from lapse.tickets.http import Mapping as TicketMapping
from lapse.tickets.numbers import NumberForm

MOST = 50
_NUMBER, _AT = frozenset({"number"}), frozenset({"at"})
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}", re.ASCII)
_MAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", re.ASCII)
_SERVER = re.compile(r"([A-Za-z0-9.-]{1,253}|\[[0-9a-fA-F:]{2,45}\]):[0-9]{1,5}", re.ASCII)


def _word(kind: Any, what: str) -> Text[Any]:
    words = [str(word) for word in kind]

    def parse(text: str) -> Any:
        if text not in words:
            raise InvalidInput(f"`{shown(text)}` is not {what}", hint=f"it is one of {', '.join(words)}")
        return kind(text)

    return Text(parse, {"enum": words})


def _matching(pattern: re.Pattern[str], what: str, example: str) -> Text[str]:
    def parse(text: str) -> str:
        if not pattern.fullmatch(text) or ".." in text:
            raise InvalidInput(f"`{shown(text)}` is not {what}", hint=f"write it as `{example}`")
        return text

    return Text(parse, {"examples": [example]})


_REPOSITORY_TEXT = _matching(_REPOSITORY, "a repository", "owner/name")
_ADDRESS = _matching(_MAIL, "a mail address", "security@example.com")
_SERVER_TEXT = _matching(_SERVER, "a mail server", "smtp.example.com:587")
_KIND = Key("kind", LINE, "What it is.", required=True)
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
                _KIND,
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
                _KIND,
                _SYSTEM,
                Key("url", LINE, "What to GET, with `{number}` where the number goes.", required=True),
                Key("state", POINTER, "Where the answer says the state (a JSON pointer).", required=True),
                _STATES,
                Key("state_name", POINTER, "Where it says what people call the state."),
                Key("title", POINTER, "Where it says the title."),
                Key("assignee", POINTER, "Where it says who works on it."),
                Key("numbers", _word(NumberForm, "a form of number"), "What a number looks like; `text` if left out."),
                _KEEP,
                *WEB_KEYS,
            ),
            _build_http,
        ),
        "jira": Record(
            "a Jira",
            (_KIND, _SYSTEM, Key("url", LINE, "Its address.", required=True), _KEEP, *WEB_KEYS),
            _build_jira,
        ),
        "github": Record(
            "GitHub issues",
            (
                _KIND,
                _SYSTEM,
                Key("repository", _REPOSITORY_TEXT, "Whose issues.", required=True),
                Key("url", LINE, "The API of a GitHub Enterprise; that of github.com if left out."),
                _KEEP,
                *WEB_KEYS,
            ),
            _build_github,
        ),
    },
)

_ROTA = Key("name", NAME, "The name that `oncall:NAME` uses.", required=True)
_ROTA_KEYS = (
    Key("people", Pairs(NAME, "people"), "What names or addresses in the rota mean: principals' names."),
    Key("prefix", LINE, "What stands before the name in titles, e.g. `On call: `."),
    Key("keep_for", DURATION, "How long an answer is believed; 30s if left out."),
)


def _rota(found: Found, source: ShiftSettings | CalendarSettings | ServiceSettings) -> RotaSettings:
    return RotaSettings(
        name=found.values["name"],
        kind=found.values["kind"],
        source=source,
        web=build_web(found),
        people=found.get("people", {}),
        prefix=found.get("prefix", ""),
        keep_for=found.get("keep_for", timedelta(seconds=30)),
    )


def _build_calendar(found: Found, sink: Sink) -> RotaSettings:
    if ("file" in found.values) == ("url" in found.values):
        raise sink.report(found.place, "a calendar is in one place", "give `file` or `url`")
    source = CalendarSettings(
        timezone=found.get("timezone", "UTC"),
        file=found.get("file", ""),
        url=url_of(found, sink) if "url" in found.values else None,
        fresh_for=found.get("fresh_for", timedelta(minutes=5)),
        believed_for=found.get("believed_for", timedelta(minutes=15)),
    )
    return _rota(found, source)


def _build_service(found: Found, sink: Sink) -> RotaSettings:
    source = ServiceSettings(
        url=template_of(found, sink, _AT), people=found.get("list", ""), names=found.get("names", ("",))
    )
    return _rota(found, source)


ROTAS = ByKind(
    "a rota",
    {
        "shifts": Record(
            "a rota in a file of shifts",
            (_KIND, _ROTA, Key("file", LINE, "The file; relative to the home folder.", required=True), *_ROTA_KEYS),
            lambda found, _: _rota(found, ShiftSettings(file=found.values["file"])),
        ),
        "calendar": Record(
            "a rota as an iCalendar feed",
            (
                _KIND,
                _ROTA,
                Key("file", LINE, "The feed in a file."),
                Key("url", URL_OR_SECRET, "The feed's URL; private feeds have a secret one."),
                Key("timezone", ZONE, "Where times without a zone are meant; `UTC` if left out."),
                Key("fresh_for", DURATION, "How often it is fetched; 5m if left out."),
                Key("believed_for", DURATION, "How long the last one is believed if it cannot be fetched; 15m."),
                *_ROTA_KEYS,
                *WEB_KEYS,
            ),
            _build_calendar,
        ),
        "web": Record(
            "a rota that a web service knows",
            (
                _KIND,
                _ROTA,
                Key("url", LINE, "What to GET; `{at}` is the time asked about.", required=True),
                Key("list", POINTER, "Where the list of those on call stands; the whole answer if left out."),
                Key("names", Many(POINTER, 5), "Where each says who it is: the element itself if left out."),
                *_ROTA_KEYS,
                *WEB_KEYS,
            ),
            _build_service,
        ),
    },
)

_WAY = Key("name", NAME, "What it is called in lists.", required=True)
_KINDS = Key("kinds", Many(_word(NoticeKind, "a kind of notice"), len(NoticeKind)), "Which notices; all if left out.")


def _build_hook(found: Found, sink: Sink) -> WaySettings:
    chat = found.values["kind"] == "chat"
    hook = HookSettings(url=url_of(found, sink), chat=chat, key=found.get("key"))
    return _way(found, hook)


def _build_mail(found: Found, sink: Sink) -> WaySettings:
    if found.get("auth") is not None and found.values["auth"].bearer is not None:
        raise sink.report(found.place_of("auth"), "a mail server takes a `user` with a `password`")
    mail = MailSettings(
        server=found.values["server"],
        sender=found.values["from"],
        tls=found.get("tls", "starttls"),
        also_to=found.get("also_to", ()),
        link=found.get("link", ""),
    )
    return _way(found, mail)


def _way(found: Found, way: HookSettings | MailSettings) -> WaySettings:
    return WaySettings(
        name=found.values["name"],
        kind=found.values["kind"],
        way=way,
        web=build_web(found),
        kinds=frozenset(found.get("kinds", ())),
    )


_TLS = _matching(re.compile("starttls|tls|none"), "a way to encrypt", "starttls")
_URL = Key("url", URL_OR_SECRET, "Where to post; a URL that is secret in itself can be a secret.", required=True)
WAYS = ByKind(
    "a way to tell people",
    {
        "webhook": Record(
            "a webhook",
            (
                _KIND,
                _WAY,
                _URL,
                Key("key", SECRET, "What signs: HMAC-SHA256 over time and body, so that receivers can check it."),
                _KINDS,
                *WEB_KEYS,
            ),
            _build_hook,
        ),
        "chat": Record("a chat channel", (_KIND, _WAY, _URL, _KINDS, *WEB_KEYS), _build_hook),
        "mail": Record(
            "mail",
            (
                _KIND,
                _WAY,
                Key("server", _SERVER_TEXT, "The mail server and its port.", required=True),
                Key("from", _ADDRESS, "Whom the mail is from.", required=True),
                Key("tls", _TLS, "`starttls` (if left out), `tls`, or `none`, which is for this machine only."),
                Key("also_to", Many(_ADDRESS, 20), "Who gets all of it, besides those it is for."),
                Key("link", LINE, "What is written below: where people find lapse."),
                _KINDS,
                *(key for key in WEB_KEYS if key.name in {"auth", "seconds", "ca_file"}),
            ),
            _build_mail,
        ),
    },
)


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
