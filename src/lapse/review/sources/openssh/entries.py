"""Lines of authorized_keys files, read as sshd reads them: options, kind, key, comment (sshd(8)).

Guarantee: a line that sshd does not take is never shown as access, and says why; one that sshd could take is never left
out. Called by the kind `authorized-keys`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from lapse.review.sources.openssh.keys import PublicKey, is_certificate, is_key_type, read_key

_FLAGS = frozenset({"restrict", "cert-authority"})
_SWITCHES = frozenset(
    {"port-forwarding", "agent-forwarding", "x11-forwarding", "touch-required", "verify-required", "pty", "user-rc"}
)
_ONCE = frozenset({"command", "principals", "from"})
_VALUED = _ONCE | {"expiry-time", "environment", "permitopen", "permitlisten", "tunnel"}
# A backslash means itself, except before a quote.
_OPTION = re.compile(r'([A-Za-z0-9-]+)(?:="((?:\\"|[^"\\]|\\(?!"))*)")?')
_SPACE = re.compile(r"[ \t]+")
_ENVIRONMENT = re.compile(r"[A-Za-z0-9_]+=.*", re.DOTALL)
_PROTOCOL_1 = re.compile(r"\d{3,5} \d+ \d{50,}")
_EXPIRY = re.compile(r"(\d{8}|\d{12}|\d{14})(Z|UTC)?", re.IGNORECASE | re.ASCII)
_FORMATS = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}


class Ignored(ValueError):  # noqa: N818  the name says what it is in a sentence
    """A sound line that sshd does not take as a key; the message says why, in words that do not vary."""


@dataclass(frozen=True, slots=True)
class Expiry:
    """When a key ends: a naive time, in UTC or in the zone of the host."""

    local: datetime
    utc: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """One key that opens an account. `authority`: not the key, but whoever has a certificate that it signed."""

    key: PublicKey
    comment: str
    authority: bool = False
    expires: tuple[Expiry, ...] = ()


def read_entry(line: str) -> Entry:
    """The entry in a line that is neither empty nor a comment.

    Raises:
        Ignored: sshd does not take it, e.g. because of its options.
        ValueError: it cannot be read.
    """
    text = line.strip(" \t")
    if "\0" in text:
        raise ValueError("it has NUL bytes")
    if _PROTOCOL_1.match(text):
        raise Ignored("a key of protocol 1, which no sshd takes since version 7.6")
    if _starts_with_key(text):
        return _entry("", text)
    end = _end_of_options(text)
    rest = text[end:].strip(" \t")
    if not _starts_with_key(rest):
        raise ValueError("there is no key in it")
    return _entry(text[:end], rest)


def _end_of_options(text: str) -> int:
    """Where the first space or tab outside of quotes is."""
    place, quoted = 0, False
    while place < len(text) and (quoted or text[place] not in " \t"):
        if text.startswith('\\"', place):
            place += 1
        elif text[place] == '"':
            quoted = not quoted
        place += 1
    if quoted:
        raise ValueError("a quote in its options is never closed")
    return place


def _starts_with_key(text: str) -> bool:
    parts = _SPACE.split(text, 1)
    return len(parts) > 1 and is_key_type(parts[0])


def _entry(options: str, text: str) -> Entry:
    kind, blob, *comment = _SPACE.split(text, 2)
    if is_certificate(kind):
        raise Ignored("a certificate, which sshd does not take from this file")
    key = read_key(kind, blob)
    found = _options(options)
    authority = "cert-authority" in found
    if "principals" in found and not authority:
        raise Ignored("a key with principals that is no authority's")
    return Entry(key, comment[0] if comment else "", authority, _expiries(found.get("expiry-time", [])))


def _options(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    place = 0
    while place < len(text):
        option = _OPTION.match(text, place)
        if option is None:
            raise _bad()
        name, value = option[1].lower(), option[2]
        _check(name, value, found)
        found.setdefault(name, []).append((value or "").replace('\\"', '"'))
        place = option.end()
        if place == len(text):
            break
        if text[place] != ",":
            raise _bad()
        place += 1
        if place == len(text):
            raise _bad()
    return found


def _check(name: str, value: str | None, found: dict[str, list[str]]) -> None:
    if value is None:
        known = name in _FLAGS or name in _SWITCHES or name.removeprefix("no-") in _SWITCHES
    else:
        known = name in _VALUED and not (name in _ONCE and name in found)
        known = known and not (name == "environment" and not _ENVIRONMENT.fullmatch(value))
    if not known:
        raise _bad()


def _expiries(texts: list[str]) -> tuple[Expiry, ...]:
    return tuple(map(_expiry, texts))


def _expiry(text: str) -> Expiry:
    found = _EXPIRY.fullmatch(text)
    if found is None:
        raise _bad()
    try:
        local = datetime.strptime(found[1], _FORMATS[len(found[1])])  # noqa: DTZ007  the zone is the host's
    except ValueError:
        raise _bad() from None
    return Expiry(local, bool(found[2]))


def _bad() -> Ignored:
    return Ignored("a line with options that sshd does not know, for which it leaves the key out")
