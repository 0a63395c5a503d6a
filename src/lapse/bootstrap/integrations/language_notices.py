"""How ways to tell people are written in `integrations.yaml`. Part of `language`."""

from __future__ import annotations

import re

from lapse.bootstrap.integrations.parts import (
    KIND,
    LINE,
    NAME,
    SECRET,
    URL_OR_SECRET,
    WEB_KEYS,
    ByKind,
    build_web,
    matching,
    url_of,
    word_of,
)
from lapse.bootstrap.integrations.settings import HookSettings, MailSettings, WaySettings
from lapse.domain.notices import NoticeKind
from lapse.policy.shape import Found, Key, Many, Record, Sink

_MAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", re.ASCII)
_SERVER = re.compile(r"([A-Za-z0-9.-]{1,253}|\[[0-9a-fA-F:]{2,45}\]):[0-9]{1,5}", re.ASCII)
ADDRESS = matching(_MAIL, "a mail address", "security@example.com")
SERVER = matching(_SERVER, "a mail server", "smtp.example.com:587")
_WAY = Key("name", NAME, "What it is called in lists.", required=True)
_KINDS = Key("kinds", Many(word_of(NoticeKind, "a kind of notice"), len(NoticeKind)), "Which notices; all if left out.")


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


_TLS = matching(re.compile("starttls|tls|none"), "a way to encrypt", "starttls")
_URL = Key("url", URL_OR_SECRET, "Where to post; a URL that is secret in itself can be a secret.", required=True)
WAYS = ByKind(
    "a way to tell people",
    {
        "webhook": Record(
            "a webhook",
            (
                KIND,
                _WAY,
                _URL,
                Key("key", SECRET, "What signs: HMAC-SHA256 over time and body, so that receivers can check it."),
                _KINDS,
                *WEB_KEYS,
            ),
            _build_hook,
        ),
        "chat": Record("a chat channel", (KIND, _WAY, _URL, _KINDS, *WEB_KEYS), _build_hook),
        "mail": Record(
            "mail",
            (
                KIND,
                _WAY,
                Key("server", SERVER, "The mail server and its port.", required=True),
                Key("from", ADDRESS, "Whom the mail is from.", required=True),
                Key("tls", _TLS, "`starttls` (if left out), `tls`, or `none`, which is for this machine only."),
                Key("also_to", Many(ADDRESS, 20), "Who gets all of it, besides those it is for."),
                Key("link", LINE, "What is written below: where people find lapse."),
                _KINDS,
                *(key for key in WEB_KEYS if key.name in {"auth", "seconds", "ca_file"}),
            ),
            _build_mail,
        ),
    },
)
