"""Where calls may go: addresses from configuration, and templates into which outside text is put.

Whatever is put in, scheme, host, port and the number of parts of the path stay what configuration says: the text
becomes one part of the path or one value of the query, percent-encoded whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from lapse.domain.errors import InvalidInput
from lapse.domain.names import is_printable, shown

LONGEST_URL = 2_000
LONGEST_VALUE = 200
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_PLACEHOLDER = re.compile(r"\{([a-z]+)\}")
_URL_CHARACTERS = re.compile(r"[A-Za-z0-9:/?#\[\]@!$&'()*+,;=._~%{}-]+")


def check_url(text: str, *, plain: bool = False) -> str:
    """Return `text` if it is an address to call: https, or http to this machine (or anywhere if `plain`).

    Raises:
        InvalidInput: another scheme, no host, a user or password in it, a fragment, or characters no URL has.
    """
    if len(text) > LONGEST_URL or not _URL_CHARACTERS.fullmatch(text):
        raise InvalidInput(f"`{shown(_public(text))}` is not a URL", hint="write it as `https://host/path`")
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise InvalidInput(f"`{shown(_public(text))}` is not a URL", hint="write it as `https://host/path`") from None
    if parts.scheme not in {"https", "http"} or not host:
        raise InvalidInput(f"`{shown(_public(text))}` is not a URL to call", hint="write it as `https://host/path`")
    if parts.username is not None or parts.password is not None:
        raise InvalidInput("a URL must not hold a user or password", hint="give them under `auth`")
    if parts.fragment or "#" in text:
        raise InvalidInput(f"`{shown(_public(text))}` has a fragment, which is never sent", hint="leave `#…` out")
    if parts.scheme == "http" and host not in _LOOPBACK and not plain:
        raise InvalidInput(
            f"`{shown(_public(text))}` is called without TLS", hint="use https, or say `plain: true` if that is meant"
        )
    return text


@dataclass(frozen=True)
class UrlTemplate:
    """A URL with places like `{number}` in its path or query."""

    text: str
    names: frozenset[str]

    @classmethod
    def parse(cls, text: str, known: frozenset[str], *, plain: bool = False) -> UrlTemplate:
        """Check a template; each of its places must be one of `known`, and stand in the path or the query."""
        names = frozenset(_PLACEHOLDER.findall(text))
        if wrong := sorted(names - known):
            listed = ", ".join(f"`{{{name}}}`" for name in sorted(known))
            raise InvalidInput(f"`{{{wrong[0]}}}` means nothing in this URL", hint=f"known here: {listed}")
        if "{" in _PLACEHOLDER.sub("", text) or "}" in _PLACEHOLDER.sub("", text):
            raise InvalidInput(f"`{shown(text)}` has a brace too many", hint="write `{number}` where the number goes")
        check_url(_PLACEHOLDER.sub("x", text), plain=plain)
        if "{" in "".join(urlsplit(text)[:2]):
            raise InvalidInput(
                "what is looked up must not choose the host", hint="write `{…}` in the path or the query"
            )
        return cls(text, names)

    def fill(self, **values: str) -> str:
        """The URL with `values` in their places.

        Raises:
            InvalidInput: a value is empty, too long, not printable, or `.` or `..`, which would move within the path.
        """
        for value in values.values():
            if not value or len(value) > LONGEST_VALUE or not is_printable(value) or set(value) <= {"."}:
                raise InvalidInput(f"`{shown(value)}` cannot be part of a URL")
        return _PLACEHOLDER.sub(lambda found: quote(values[found[1]], safe=""), self.text)


def origin_of(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of a URL: where a call really goes."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)


def _public(text: str) -> str:
    """`text` without a user and password, for messages."""
    return re.sub(r"//[^/@]*@", "//…@", text)
