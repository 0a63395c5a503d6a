"""What a line of PostgreSQL's log says: a login, an end, a statement, or nothing of use.

Guarantee: only the server's own words count. A function can write any line (`RAISE LOG`), but the server says with it
where it was made; such a line is `FORGED` if it looks like one of the server's. Messages are known in English only.
Called by `following`.
"""

from __future__ import annotations

import re
from enum import Enum, auto

import msgspec

from lapse.review.sources.postgresql.audit import PREFIX, Audited, read_audit
from lapse.review.sources.postgresql.lines import LogLine


class Said(Enum):
    """What a line is."""

    LOGIN = auto()
    END = auto()
    STATEMENT = auto()
    AUDIT = auto()
    STEP = auto()
    FAILURE = auto()
    REFUSED = auto()
    SERVER = auto()
    OTHER = auto()
    FORGED = auto()
    FOREIGN = auto()


USED = (Said.LOGIN, Said.END, Said.STATEMENT, Said.AUDIT)
"""Lines of these kinds become rows."""
SKIPPED = {
    Said.STEP: "a step of a login or of a statement, not the thing itself",
    Said.FAILURE: "an error",
    Said.REFUSED: "a login that failed",
    Said.SERVER: "a line of the server itself, of no account",
    Said.OTHER: "a message that says nothing of use",
    Said.FORGED: "a line that a user's own code wrote",
    Said.FOREIGN: "a message in another language than English",
}
"""Why lines of the other kinds are no evidence."""


class Meaning(msgspec.Struct, frozen=True):
    """What a line says, with the command and the statement's text where it is one."""

    said: Said
    command: str = ""
    text: str = ""
    audited: Audited | None = None


_FAILURES = frozenset({"ERROR", "FATAL", "PANIC"})
_QUIET = frozenset({"WARNING", "NOTICE", "INFO", "DEBUG", *(f"DEBUG{n}" for n in range(1, 6))})
_LOGIN = ("connection authorized: ", "replication connection authorized: ")
_END = "disconnection: "
_STEPS = ("connection received: ", "connection authenticated: ", "connection ready: ")
_IDENTITY = re.compile(r'connection authenticated: identity="(.+)" method=\S+', re.DOTALL)
_STATEMENT = re.compile(
    r"(?:duration: [\d.]+ ms  )?(?:(statement: )|execute [^:]*(?::[^ ][^:]*)*: |(fastpath function call: )|(plan:\n))"
)
_TIMED_STEP = re.compile(r"duration: [\d.]+ ms(?:  (?:parse|bind) .*)?", re.DOTALL)
_TAG = re.compile(r"[A-Z]+(?: [A-Z]+)*")
_STEP_TAGS = frozenset({"PARSE", "BIND"})
_WORDS = re.compile(r"(?:\s|\(|--[^\n]*\n|/\*(?:[^*]|\*(?!/))*\*/)*([A-Za-z]{1,40})")
_OF_WHAT = frozenset({"CREATE", "ALTER", "DROP"})
_BETWEEN = frozenset({"OR", "REPLACE", "TEMP", "TEMPORARY", "GLOBAL", "LOCAL", "UNLOGGED", "UNIQUE"})
_LONGEST_START = 4_000
_REFUSED_CLASS = "28"


def meaning_of(line: LogLine) -> Meaning:
    """What `line` says.

    Raises:
        ValueError: it begins like a record of pgaudit, and is none.
    """
    if not line.user:
        return Meaning(Said.STEP if line.message.startswith(_STEPS) else Said.SERVER)
    if line.severity in _FAILURES:
        refused = line.severity != "ERROR" and line.state.startswith(_REFUSED_CLASS)
        return Meaning(Said.REFUSED if refused else Said.FAILURE)
    if line.severity != "LOG" and line.severity not in _QUIET:
        return Meaning(Said.FOREIGN)
    found = _own_words(line)
    if line.context and found.said is not Said.OTHER:
        return Meaning(Said.FORGED)
    return found


def identity_of(message: str) -> str:
    """Who was authenticated, as a certificate or a directory calls it (version 14 on); "" where that is not said."""
    found = _IDENTITY.match(message)
    return found[1] if found else ""


def command_of(text: str) -> str:
    """The command that a statement begins with, like a command tag: `SELECT`, `CREATE ROLE`; "" if there is none."""
    words = _WORDS.match(text, 0, _LONGEST_START)
    if words is None:
        return ""
    verb = words[1].upper()
    if verb not in _OF_WHAT:
        return verb
    while words := _WORDS.match(text, words.end(), _LONGEST_START):
        if words[1].upper() not in _BETWEEN:
            return f"{verb} {words[1].upper()}"
    return verb


def _own_words(line: LogLine) -> Meaning:
    message = line.message
    if message.startswith(PREFIX):
        audited = read_audit(message) if not line.context else None
        return Meaning(Said.AUDIT, audited.command if audited else "", audited.statement if audited else "", audited)
    if line.severity != "LOG":
        return Meaning(Said.OTHER)
    if message.startswith(_LOGIN):
        return Meaning(Said.LOGIN)
    if message.startswith(_END):
        return Meaning(Said.END)
    if message.startswith(_STEPS) or _TIMED_STEP.fullmatch(message):
        return Meaning(Said.STEP)
    found = _STATEMENT.match(message)
    return _statement(line, found) if found else Meaning(Said.OTHER)


def _statement(line: LogLine, found: re.Match[str]) -> Meaning:
    text = "" if found[2] or found[3] else line.message[found.end() :]
    if found[3] and line.context:
        return Meaning(Said.OTHER)
    shown = line.tag.removesuffix(" waiting")
    known = _TAG.fullmatch(shown) and shown not in _STEP_TAGS
    return Meaning(Said.STATEMENT, shown if known else command_of(text) or "FUNCTION", text)
