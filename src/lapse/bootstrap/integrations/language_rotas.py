"""How rotas are written in `integrations.yaml`. Part of `language`."""

from __future__ import annotations

from datetime import timedelta

from lapse.bootstrap.integrations.parts import (
    KIND,
    LINE,
    NAME,
    POINTER,
    URL_OR_SECRET,
    WEB_KEYS,
    ByKind,
    Pairs,
    build_web,
    template_of,
    url_of,
)
from lapse.bootstrap.integrations.settings import CalendarSettings, RotaSettings, ServiceSettings, ShiftSettings
from lapse.policy.parts import DURATION, ZONE
from lapse.policy.shape import Found, Key, Many, Record, Sink

_AT = frozenset({"at"})
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
            (KIND, _ROTA, Key("file", LINE, "The file; relative to the home folder.", required=True), *_ROTA_KEYS),
            lambda found, _: _rota(found, ShiftSettings(file=found.values["file"])),
        ),
        "calendar": Record(
            "a rota as an iCalendar feed",
            (
                KIND,
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
                KIND,
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
