"""Follows the lines of a PostgreSQL log: rows of `usage`, `sessions` and `access_periods` come out of them.

Guarantee: each line is counted once; what the log does not say stays null. Called by the kind `postgresql-log`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from lapse.domain.names import shown
from lapse.review.collection.identities import Hints
from lapse.review.sources.clocks import Clock
from lapse.review.sources.marks import mark_of_application
from lapse.review.sources.notes import Notes
from lapse.review.sources.postgresql.lines import LogLine, read_start
from lapse.review.sources.postgresql.messages import SKIPPED, USED, Meaning, Said, identity_of, meaning_of
from lapse.review.sources.postgresql.periods import TABLE as PERIODS
from lapse.review.sources.postgresql.periods import Changes
from lapse.review.sources.postgresql.sessions import Session
from lapse.review.sources.reading import Reading
from lapse.review.sources.spill import Spill
from lapse.review.sources.windows import Windows

AGAIN = "a line that was read before"
_NO_NAME = " application_name="
_AFTER_NAME = (" SSL enabled (", " GSS (")
_DOWN = "database system was shut down at "
_MOST_UNSEEN = 10_000
_ACTIONS = (Said.STATEMENT, Said.AUDIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What the options say. `gateways`: a grant named from any other address is not believed; empty is all."""

    resource: str
    clock: Clock
    taken_at: datetime
    actions: bool = False
    gateways: frozenset[str] = frozenset()


@dataclass(slots=True)
class Following:
    """The state of one log while its lines come in."""

    setting: Setting
    reading: Reading
    windows: Windows
    notes: Notes
    sessions: Spill[Session]
    changes: Changes
    logins: int = 0
    actions: int = 0
    others: int = 0
    unseen: list[datetime] = field(default_factory=list)
    source: str = ""

    def __post_init__(self) -> None:
        self.source = self.reading.source

    def take(self, line: LogLine) -> None:
        """One line, in the order of the files.

        Raises:
            ValueError: it cannot be understood; nothing was done.
        """
        meaning = meaning_of(line)
        self._at(line)
        if meaning.said is Said.SERVER:
            self._server(line)
        session = self.sessions.get(line.session)
        if session is None:
            session = self.sessions.put(line.session, Session(id=line.session))
        if not session.fresh(line):
            self.reading.skip(AGAIN)
        elif meaning.said in USED:
            self._use(line, meaning, session)
            self.reading.used()
        else:
            self._skip(line, meaning, session)

    def finish(self) -> None:
        """No line follows: sessions that go on are written without an end, roles that are held as well."""
        for session in self.sessions.values():
            self.changes.keep(session.waiting, session.account)
            if session.open:
                self._write(session, None)
        for period in self.changes.periods():
            self.reading.add(
                PERIODS,
                {
                    "resource": self.setting.resource,
                    "account": period.account,
                    "role": period.role,
                    "from_at": period.since,
                    "to_at": period.until,
                    "principal": self.reading.principal(self.setting.resource, period.account),
                    "changed_by": period.by or None,
                    "source": self.source,
                },
            )

    def _at(self, line: LogLine) -> None:
        if line.at > self.setting.taken_at:
            self.notes.add("usage", "lines that are later than the log was taken: a clock is wrong", f"{line.at}")
            return
        self.reading.at(line.at)
        self.windows.see(line.at)

    def _server(self, line: LogLine) -> None:
        """While the server was down it was not used: its own word for when that began closes the gap."""
        if line.message.startswith(_DOWN) and line.backend in {"", "startup"} and not line.context:
            try:
                down = read_start(line.message.removeprefix(_DOWN), self.setting.clock)
            except ValueError:
                return
            if down <= line.at <= self.setting.taken_at:
                self.windows.covers(down, line.at)

    def _skip(self, line: LogLine, meaning: Meaning, session: Session) -> None:
        if meaning.said is Said.FORGED:
            what = "lines that look like the server's own, written by a user's code (RAISE)"
            self.notes.add("usage", what, f"{line.user}: {line.message}")
        elif meaning.said is Said.FOREIGN:
            self.notes.add("usage", "messages that are not in English, so that use in them is not seen", line.severity)
        elif meaning.said is Said.STEP and identity_of(line.message) not in {"", line.user}:
            session.identity = identity_of(line.message)
        elif meaning.said is Said.FAILURE:
            self.changes.failed(session.waiting, line.transaction, line.user)
            if session.open and line.severity != "ERROR":
                session.reason = line.message[:200]
        elif line.user:
            self.others += 1
        self.reading.skip(SKIPPED[meaning.said])

    def _use(self, line: LogLine, meaning: Meaning, session: Session) -> None:
        self.logins += meaning.said is Said.LOGIN
        if not session.over:
            self._follow(line, meaning, session)
        if meaning.said in _ACTIONS:
            self.actions += 1
            self._action(line, meaning, session)
        elif meaning.said is Said.END and session.open:
            self.changes.keep(session.waiting, session.account)
            self._write(session, line.at)
            session.close()

    def _follow(self, line: LogLine, meaning: Meaning, session: Session) -> None:
        if not session.open:
            self._begin(line, session, authorized=meaning.said is Said.LOGIN)
        elif meaning.said is Said.LOGIN:
            session.authorized = True
        self._name(line, session, meaning)

    def _begin(self, line: LogLine, session: Session, *, authorized: bool) -> None:
        session.open, session.authorized = True, authorized
        session.account, session.database, session.address = line.user, line.database, line.address
        session.started = line.at if authorized else self._start(line)

    def _start(self, line: LogLine) -> datetime:
        try:
            return min(read_start(line.began, self.setting.clock), line.at)
        except ValueError:
            return line.at

    def _name(self, line: LogLine, session: Session, meaning: Meaning) -> None:
        """A session is what it called itself first: a later name may be anybody's."""
        name = _login_name(line) if meaning.said is Said.LOGIN else line.application
        mark = mark_of_application(name)
        if not session.named:
            session.application = name
            # Since version 13 the login says the name, or that there is none.
            session.named = bool(name) or (meaning.said is Said.LOGIN and bool(line.backend))
            if mark and self.setting.gateways and session.address not in self.setting.gateways:
                what = "sessions that name a grant, from an address that is no gateway's: not believed"
                self.notes.add("sessions", what, f"{session.account} from {session.address}: {name}")
            elif mark:
                session.grant_id, session.person = mark.grant_id, mark.person
        elif mark and name != session.application and mark.grant_id != session.grant_id:
            what = "sessions that took the name of a grant later on: not believed"
            self.notes.add("sessions", what, f"{session.account}: {name}")

    def _action(self, line: LogLine, meaning: Meaning, session: Session) -> None:
        known = meaning.audited.name if meaning.audited else ""
        # With every action on record, an object that is not known must not pass for one that is.
        where = "" if self.setting.actions else line.database
        row = self._whose(session, line.user) | {
            "started_at": line.at,
            "action": shown(meaning.command, 100),
            "object": known or where or None,
            "address": line.address or None,
            "device": line.application or None,
        }
        self.reading.add("usage", row)
        if meaning.text:
            self.changes.statement(session.waiting, line.transaction, line.at, line.user, meaning.text)
        else:
            self.changes.moved_on(session.waiting, line.transaction, line.user)

    def _write(self, session: Session, ended: datetime | None) -> None:
        if session.started is None:
            return
        if not session.authorized and len(self.unseen) < _MOST_UNSEEN:
            self.unseen.append(session.started)
        row = self._whose(session, session.account) | {
            "started_at": session.started,
            "ended_at": ended,
            "address": session.address or None,
            "device": session.application or None,
        }
        self.reading.add("sessions", row | {"protocol": "postgresql", "end_reason": session.reason or None})
        self.reading.add("usage", row | {"action": "connect", "object": session.database or None})

    def _whose(self, session: Session, account: str) -> dict[str, object]:
        # Several may use one account (pg_ident.conf): then the login says who it was.
        hints = Hints(session=session.identity) if session.identity else None
        owner = self.reading.principal(self.setting.resource, account, hints)
        return {
            "resource": self.setting.resource,
            "account": account,
            "principal": session.person or owner,
            "grant_id": session.grant_id or None,
            "session_id": session.id,
            "source": self.source,
        }


def _login_name(line: LogLine) -> str:
    """The application's name in `connection authorized: user=… database=… application_name=… SSL enabled (…)`."""
    start = f"user={line.user}" + (f" database={line.database}" if line.database else "") + _NO_NAME
    _, _, rest = line.message.partition(start)
    for after in _AFTER_NAME:
        rest = rest.rpartition(after)[0] or rest
    return rest
