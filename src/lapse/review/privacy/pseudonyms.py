"""Pseudonyms: HMAC-SHA256 (RFC 2104) of a name under a key of one review, and where names stand in a text.

Guarantee: the same name has the same pseudonym throughout one review, whoever wrote it in which case, and without the
key nobody can tell which name a pseudonym is of by trying names. Called by `export`. Pure.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata

from lapse.review.privacy.fields import Holds

KEY_BYTES = 32
_DIGITS = 12
_TOKEN = re.compile(r"[\w@.+\\-]*\w")
_DERIVED = re.compile(r"(itm|grp)_([0-9a-f]{16,20})")
_SHORTEST_IN_TEXT = 3
_APART = re.compile(r"(\s*;\s*)")


class Pseudonyms:
    """The pseudonyms of one review. Names are added first, so that they are found in texts as well."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a key of pseudonyms has {KEY_BYTES} bytes")
        self._key = key
        self._known: dict[str, str] = {}
        self._kept: set[str] = set()
        self._longer: dict[str, list[str]] = {}

    def add(self, kind: Holds, value: str) -> None:
        """Remember a name; several, separated by `;`, are several names."""
        for part in value.split(";"):
            name = _bare(part)
            if not name or _folded(name) in self._known or _folded(name) in self._kept:
                continue
            self._known[_folded(name)] = f"{kind}-{self._digest(_folded(name))[:_DIGITS]}"
            first = _TOKEN.match(name)
            if first is None or first[0] != name:
                self._longer.setdefault(_folded(first[0] if first else name[:1]), []).append(name)

    def keep(self, name: str) -> None:
        """Let a name stay, such as that of a role that nobody logs in with; not if it is also somebody's."""
        if _folded(name) not in self._known:
            self._kept.add(_folded(name))

    def of(self, kind: Holds, value: str) -> str:
        """The pseudonyms of a whole field of names; `group:` and `rota:` before one stay."""
        return "".join(part if _APART.fullmatch(part) else self._one(kind, part) for part in _APART.split(value))

    def keyed(self, value: str) -> str:
        """A hash that was made of names without a key, made anew with it: as long as before."""
        return self._digest(value)[: max(_DIGITS, len(value))] if value else value

    def text(self, text: str) -> str:
        """`text` with every known name in it replaced; of fewer than three letters, only where it stands alone."""
        out, place = [], 0
        for token in _TOKEN.finditer(text):
            if token.start() < place:
                continue
            found, end = self._at(text, token)
            out.append(text[place : token.start()] + found)
            place = end
        return "".join(out) + text[place:]

    def _at(self, text: str, token: re.Match[str]) -> tuple[str, int]:
        """What stands for the name that begins at `token`, or for the token itself, and where it ends."""
        for name in sorted(self._longer.get(_folded(token[0]), ()), key=len, reverse=True):
            if _folded(text[token.start() : token.start() + len(name)]) == _folded(name):
                return self._known[_folded(name)], token.start() + len(name)
        derived = _DERIVED.fullmatch(token[0])
        if derived is not None:
            return f"{derived[1]}_{self._digest(token[0])[: len(derived[2])]}", token.end()
        known = self._known.get(_folded(token[0]))
        if known is None or (len(token[0]) < _SHORTEST_IN_TEXT and not _marked(text, token)):
            return token[0], token.end()
        return known, token.end()

    def _one(self, kind: Holds, part: str) -> str:
        name = _bare(part)
        if not name:
            return part
        self.add(kind, name)
        return part.replace(name, self._known.get(_folded(name), name))

    def _digest(self, value: str) -> str:
        return hmac.new(self._key, value.encode("utf-8", "backslashreplace"), hashlib.sha256).hexdigest()


def _bare(part: str) -> str:
    """A name without what says what kind of party it is; a group is no person and keeps its name."""
    name = part.strip()
    if name.startswith(("group:", "owner:", "rota:")) and not name.startswith("rota:"):
        return ""
    return name.rpartition(":")[2] if name.startswith("rota:") else name


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _marked(text: str, token: re.Match[str]) -> bool:
    """Whether the token stands alone: between backticks or slashes, or as the whole text."""
    before, after = text[token.start() - 1 : token.start()], text[token.end() : token.end() + 1]
    return before in {"", "`", "/"} and after in {"", "`", "/"}
