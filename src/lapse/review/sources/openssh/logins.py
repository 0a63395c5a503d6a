"""Follows the lines of sshd's logs: logins with their ends, what was begun in them, commands as somebody else.

Guarantee: each line is counted once; a login's end is the one that the log shows, or none. Called by the kind
`sshd-log`.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from lapse.domain.names import shown
from lapse.domain.times import format_time
from lapse.review.collection.identities import Hints
from lapse.review.sources.marks import is_probe, mark_of_key_id
from lapse.review.sources.notes import Notes
from lapse.review.sources.openssh.events import SKIPPED, Event, Message, message_of_sshd, message_of_sudo
from lapse.review.sources.openssh.hosts import MOST_HOSTS, Hosts
from lapse.review.sources.openssh.syslog import LogEntry
from lapse.review.sources.reading import Reading
from lapse.review.sources.spill import Spill
from lapse.review.sources.windows import Windows

AGAIN = "a line that was read before"
_MOST_RECENT = 100_000
_ROOT = "0"


class Login(msgspec.Struct):
    """One login. `pam`: its opening was logged, so its closing will be. `over` once it was written."""

    id: str
    resource: str
    account: str
    address: str
    started: datetime
    ended: datetime | None = None
    reason: str = ""
    grant_id: str = ""
    principal: str | None = None
    pam: bool = False
    over: bool = False


class Alias(msgspec.Struct):
    """Another name of a login: its process, or its connection."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What the options say. `authorities`: fingerprints of lapse's CA; key ids of others are not believed then."""

    hosts: Hosts
    gap: timedelta
    taken_at: datetime
    authorities: frozenset[str] = frozenset()


@dataclass(slots=True)
class Logins:
    """The state of one source while its lines come in."""

    setting: Setting
    reading: Reading
    notes: Notes
    logins: Spill[Login]
    aliases: Spill[Alias]
    windows: dict[str, Windows] = field(default_factory=dict)
    recent: OrderedDict[bytes, None] = field(default_factory=OrderedDict)

    def take(self, entry: LogEntry) -> None:
        """One line, in the order of the files.

        Raises:
            ValueError: it is of a host that cannot be followed; nothing was done.
        """
        resource = self.setting.hosts.resource(entry.host)
        self._at(entry, self._windows(resource))
        message = _message(entry)
        if message is None:
            self.reading.skip("a line of another program")
        elif entry.forged or (message.event is Event.LOGIN and entry.user_id not in {"", _ROOT}):
            what = "lines that name themselves after sshd or sudo, and were written by another program"
            self.notes.add("usage", what, f"{entry.host}: {entry.message}")
            self.reading.skip("a line that another program wrote")
        elif message.event in _HANDLERS:
            _HANDLERS[message.event](self, resource, entry, message)
        else:
            self.reading.skip(SKIPPED[message.event])

    def finish(self) -> None:
        """No line follows: logins whose closing is missing are written as far as they are known."""
        for login in self.logins.values():
            if not login.over:
                self._write(login)

    def _windows(self, resource: str) -> Windows:
        if resource not in self.windows:
            if len(self.windows) >= MOST_HOSTS:
                raise ValueError("it is of one host more than are followed at a time")
            self.windows[resource] = Windows(self.setting.gap)
        return self.windows[resource]

    def _at(self, entry: LogEntry, windows: Windows) -> None:
        if entry.at > self.setting.taken_at:
            what = "lines that are later than the log was taken: a clock is wrong"
            self.notes.add("usage", what, f"{entry.host}: {entry.at}")
            return
        self.reading.at(entry.at)
        windows.see(entry.at)

    def login(self, resource: str, entry: LogEntry, message: Message) -> None:
        """Somebody logged in."""
        name = f"{entry.host}/{entry.pid or f'{message.address}:{message.port}'}/{format_time(entry.at)}"
        if self.logins.get(name) is not None:
            self.reading.skip(AGAIN)
            return
        believed = not self.setting.authorities or message.authority in self.setting.authorities
        if self.setting.authorities and believed and is_probe(message.key_id):
            self.reading.skip("an attempt of lapse's own to see that a host takes its certificates")
            return
        login = Login(name, resource, message.account, message.address, entry.at)
        self._whose(login, message, believed=believed)
        self._unfinished(self._of_process(entry))
        self.logins.put(name, login)
        self._call(_connection(entry, message), name)
        if entry.pid:
            self._call(_process(entry.host, entry.pid), name)
        self.reading.used()

    def child(self, _resource: str, entry: LogEntry, message: Message) -> None:
        """Another process goes on with the login."""
        login = self._of_process(entry)
        if login is not None:
            self._call(_process(entry.host, message.child), login.id)
        self.reading.skip(SKIPPED[Event.STEP])

    def opened(self, _resource: str, entry: LogEntry, message: Message) -> None:
        """PAM opened the session of a login."""
        login = self._of_process(entry)
        if login is None or login.account != message.account:
            self.reading.skip("a session whose login is not in the log")
            return
        login.pam = True
        self.reading.used()

    def started(self, resource: str, entry: LogEntry, message: Message) -> None:
        """A shell, command or subsystem was begun in a login."""
        if self._again(entry):
            return
        login = self._of(entry, message)
        what, thing = _begun(message.what)
        row = self._row(login, resource, message.account) | {"started_at": entry.at, "action": what, "object": thing}
        self.reading.add("usage", row | {"address": message.address})
        if login is not None and message.terminal:
            self._call(_terminal(entry.host, message.terminal, message.account), login.id)
        self.reading.used()

    def gone(self, _resource: str, entry: LogEntry, message: Message) -> None:
        """A connection ended."""
        login = self._of(entry, message)
        if login is None:
            self.reading.skip("an end whose login is not in the log")
        elif login.over or login.ended is not None:
            self.reading.skip("one more sign of an end that was seen")
        else:
            login.ended, login.reason = max(entry.at, login.started), message.what
            if not login.pam:
                self._write(login)
            self.reading.used()

    def closed(self, _resource: str, entry: LogEntry, message: Message) -> None:
        """PAM closed the session of a login."""
        login = self._of_process(entry)
        if login is None or login.account != message.account:
            self.reading.skip("an end whose login is not in the log")
        elif login.over:
            self.reading.skip("one more sign of an end that was seen")
        else:
            login.ended = max(entry.at, login.ended or login.started)
            self._write(login)
            self.reading.used()

    def sudo(self, resource: str, entry: LogEntry, message: Message) -> None:
        """Somebody ran a command as somebody else."""
        if self._again(entry):
            return
        login = self._known(_terminal(entry.host, message.terminal, message.account))
        row = self._row(login, resource, message.account)
        row |= {
            "started_at": entry.at,
            "action": "sudo",
            "object": message.what or None,
            "role": message.target or None,
        }
        self.reading.add("usage", row)
        self.reading.used()

    def _whose(self, login: Login, message: Message, *, believed: bool) -> None:
        mark = mark_of_key_id(message.key_id)
        if mark and not believed:
            what = "certificates that name a grant, signed by an authority that is not lapse's: not believed"
            self.notes.add("sessions", what, f"{login.id}: {message.key_id} by {message.authority}")
            mark = None
        owner = self.reading.principal(login.resource, login.account)
        holder = self.reading.named_by(Hints(key=message.key)) if message.key and not message.key_id else None
        login.principal = (mark.person if mark else None) or holder or owner
        login.grant_id = mark.grant_id if mark else ""

    def _unfinished(self, login: Login | None) -> None:
        """Its process id belongs to another login: it ended, and the log does not show when."""
        if login is not None and not login.over:
            self._write(login)

    def _write(self, login: Login) -> None:
        login.over = True
        row = self._row(login, login.resource, login.account) | {
            "started_at": login.started,
            "ended_at": login.ended,
            "address": login.address,
        }
        reason = shown(login.reason, 200) or None
        self.reading.add("sessions", row | {"protocol": "ssh", "end_reason": reason})
        self.reading.add("usage", row | {"action": "login"})

    def _row(self, login: Login | None, resource: str, account: str) -> dict[str, object]:
        owner = self.reading.principal(resource, account)
        known = login if login is not None and login.account == account else None
        return {
            "resource": resource,
            "account": account,
            "principal": known.principal if known else owner,
            "grant_id": (known.grant_id or None) if known else None,
            "session_id": known.id if known else None,
            "source": self.reading.source,
        }

    def _of(self, entry: LogEntry, message: Message) -> Login | None:
        """The login of a connection, or of the process that the line is of."""
        return self._known(_connection(entry, message)) or self._of_process(entry)

    def _of_process(self, entry: LogEntry) -> Login | None:
        return self._known(_process(entry.host, entry.pid)) if entry.pid else None

    def _known(self, name: str) -> Login | None:
        alias = self.aliases.get(name)
        return self.logins.get(alias.id) if alias else None

    def _call(self, name: str, login: str) -> None:
        alias = self.aliases.get(name)
        if alias is None:
            self.aliases.put(name, Alias(login))
        else:
            alias.id = login

    def _again(self, entry: LogEntry) -> bool:
        """Whether just this line was read lately; it is counted then."""
        text = "\x1f".join((entry.host, entry.pid, format_time(entry.at), entry.message))
        digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()
        if digest in self.recent:
            self.reading.skip(AGAIN)
            return True
        self.recent[digest] = None
        if len(self.recent) > _MOST_RECENT:
            self.recent.popitem(last=False)
        return False


_HANDLERS = {
    Event.LOGIN: Logins.login,
    Event.CHILD: Logins.child,
    Event.OPENED: Logins.opened,
    Event.STARTED: Logins.started,
    Event.GONE: Logins.gone,
    Event.CLOSED: Logins.closed,
    Event.SUDO: Logins.sudo,
}


def _message(entry: LogEntry) -> Message | None:
    if entry.program == "sudo":
        return message_of_sudo(entry.message)
    return message_of_sshd(entry.message) if entry.program in {"sshd", "sshd-session", "sshd-auth"} else None


def _begun(what: str) -> tuple[str, str | None]:
    """What was begun as (action, what on), e.g. (`subsystem`, `sftp`)."""
    kind, _, rest = what.partition(" ")
    inside = rest.partition("'")[2].removesuffix("'")
    return kind, inside or None


def _connection(entry: LogEntry, message: Message) -> str:
    return f"c\x1f{entry.host}\x1f{message.address}\x1f{message.port}"


def _process(host: str, pid: str) -> str:
    return f"p\x1f{host}\x1f{pid}"


def _terminal(host: str, terminal: str, account: str) -> str:
    return f"t\x1f{host}\x1f{terminal}\x1f{account}"
