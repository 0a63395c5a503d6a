"""What sshd and sudo say in a message: a login, what was begun in it, its end, a command as somebody else.

Guarantee: only whole messages count, from their first word on, so that a name which somebody chose for a failed login
can never pass for one that succeeded. Called by `logins`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum, auto

import msgspec


class Event(Enum):
    """What a message is about."""

    LOGIN = auto()
    CHILD = auto()
    OPENED = auto()
    STARTED = auto()
    GONE = auto()
    CLOSED = auto()
    SUDO = auto()
    REFUSED = auto()
    SUDO_REFUSED = auto()
    STEP = auto()
    OTHER = auto()


SKIPPED = {
    Event.REFUSED: "a login that failed, or was not finished",
    Event.SUDO_REFUSED: "a command that sudo refused",
    Event.STEP: "a step of a login or of a session, not the thing itself",
    Event.OTHER: "a message that says nothing of use",
}
"""Why messages of these kinds are no evidence."""


class Message(msgspec.Struct, frozen=True):
    """One message; fields that its kind does not have are "".

    `what` is the method of a login, the kind of a session started, the reason of an end, the command of sudo; `key` and
    `authority` are fingerprints, `key_id` is that of a certificate, `target` the account that sudo ran as.
    """

    event: Event
    account: str = ""
    address: str = ""
    port: str = ""
    what: str = ""
    key: str = ""
    key_id: str = ""
    authority: str = ""
    terminal: str = ""
    target: str = ""
    child: str = ""


_PREAUTH = " [preauth]"
_LOGIN = re.compile(r"Accepted (\S+) for (.+) from (\S+) port (\d+) ssh2(?:: (.*))?")
_CERTIFICATE = re.compile(
    r"\S+-CERT (?:(SHA256:\S+|MD5:\S+|[0-9a-f:]{47}) )?ID (.*) \(serial \d+\) CA \S+ (\S+?)(?:, .*)?"
)
_KEY = re.compile(r"\S+ (SHA256:[^\s,]+)(?:, .*)?")
_CHILD = re.compile(r"User child is on pid (\d+)")
_PAM = re.compile(r"pam_\w+\(sshd:session\): session (opened|closed) for user ([^\s(]+)(?:\(uid=\d+\))?(?: by .*)?")
_STARTED = re.compile(r"Starting session: (.+?)(?: on (\S+))? for (\S+) from (\S+) port (\d+)(?: id \d+)?")
_ENDS = (
    (re.compile(r"Received disconnect from (?P<address>\S+) port (?P<port>\d+):\d+: ?(?P<why>.*)"), ""),
    (re.compile(r"Disconnected from (?:user .+ )?(?P<address>\S+) port (?P<port>\d+)(?P<why>)"), "disconnected"),
    (
        re.compile(r"Connection closed by (?:user .+ )?(?P<address>\S+) port (?P<port>\d+)(?P<why>)"),
        "connection closed",
    ),
    (re.compile(r"Connection reset by (?:user .+ )?(?P<address>\S+) port (?P<port>\d+)(?P<why>)"), "connection reset"),
    (
        re.compile(r"Timeout, client not responding from (?:user .+ )?(?P<address>\S+) port (?P<port>\d+)(?P<why>)"),
        "client did not respond",
    ),
    (re.compile(r"Connection from (?:user .+ )?(?P<address>\S+) port (?P<port>\d+) timed out(?P<why>)"), "timed out"),
    (re.compile(r"Read error from remote host (?P<address>\S+) port (?P<port>\d+): (?P<why>.*)"), "read error"),
)
_REFUSED = re.compile(
    r"Failed |Invalid user |Postponed |Partial |Connection (?:closed|reset) by (?:authenticating|invalid) user "
    r"|Disconnect(?:ed from|ing) (?:authenticating|invalid) user |(?:error: )?maximum authentication attempts "
    r"|User .* not allowed because |ROOT LOGIN REFUSED |error: PAM: |Refusing certificate |error: Refusing certificate "
    r"|pam_\w+\(sshd:auth\): |Unable to negotiate |Bad protocol version |banner exchange: |Authentication tried for "
)
_STEPS = ("Connection from ", "Close session: ", "Accepted key ", "Accepted certificate ", "Server listening on ")
_FIELD = re.compile(r"[A-Z]+=.*", re.DOTALL)


def message_of_sshd(text: str) -> Message:
    """What a message of sshd says."""
    if text.endswith(_PREAUTH):
        return Message(Event.REFUSED)
    for pattern, read in _READERS:
        found = pattern.fullmatch(text)
        if found:
            return read(found)
    if _REFUSED.match(text):
        return Message(Event.REFUSED)
    return _end(text) or Message(Event.STEP if text.startswith(_STEPS) else Event.OTHER)


def message_of_sudo(text: str) -> Message:
    """What a message of sudo says."""
    account, colon, rest = text.strip().partition(" : ")
    before, command, after = rest.partition("COMMAND=")
    if not colon or not command:
        return Message(Event.OTHER)
    fields = [field for field in before.split(" ; ") if field.strip()]
    if not fields or not all(map(_FIELD.fullmatch, fields)):
        return Message(Event.SUDO_REFUSED, account)
    named = [field.removeprefix("USER=") for field in fields if field.startswith("USER=")]
    terminal = next((field.removeprefix("TTY=") for field in fields if field.startswith("TTY=")), "")
    # A folder may be called like a field: then who it was run as is not known.
    target = named[0] if len(named) == 1 and after.count(" ; USER=") == 0 else ""
    return Message(Event.SUDO, account, what=after.strip(), terminal=terminal.strip(), target=target.strip())


def _login(found: re.Match[str]) -> Message:
    method, account, address, port, detail = found.groups("")
    certificate = _CERTIFICATE.fullmatch(detail)
    if certificate:
        key, key_id, authority = certificate.groups("")
        return Message(Event.LOGIN, account, address, port, method, key, key_id, authority)
    plain = _KEY.fullmatch(detail)
    return Message(Event.LOGIN, account, address, port, method, plain[1] if plain else "")


def _pam(found: re.Match[str]) -> Message:
    return Message(Event.OPENED if found[1] == "opened" else Event.CLOSED, account=found[2])


def _started(found: re.Match[str]) -> Message:
    what, terminal, account, address, port = found.groups("")
    return Message(Event.STARTED, account, address, port, what, terminal=terminal)


def _child(found: re.Match[str]) -> Message:
    return Message(Event.CHILD, child=found[1])


_READERS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Message]], ...] = (
    (_LOGIN, _login),
    (_PAM, _pam),
    (_STARTED, _started),
    (_CHILD, _child),
)


def _end(text: str) -> Message | None:
    text = text.removeprefix("error: ").removeprefix("fatal: ")
    for pattern, name in _ENDS:
        found = pattern.fullmatch(text)
        if found:
            why = ": ".join(part for part in (name, found["why"].strip()) if part)
            return Message(Event.GONE, address=found["address"], port=found["port"], what=why)
    return None
