"""Eyes that are not lapse's: when does PostgreSQL itself refuse a login, and when does a live session break?"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import psycopg

_PAUSE = 0.004
_GIVE_UP = 30.0


@dataclass
class Watch:
    """Two threads: one logs in again and again until it is refused, one waits in a session until it breaks."""

    dsn: str
    refused_at: datetime | None = None
    refusal: str = ""
    cut_at: datetime | None = None
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Open the session, then watch."""
        session = psycopg.connect(self.dsn, autocommit=True)
        self._threads = [
            threading.Thread(target=self._log_in_until_refused, daemon=True),
            threading.Thread(target=self._wait_for_the_cut, args=(session,), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """Wait until both have seen the end."""
        for thread in self._threads:
            thread.join(_GIVE_UP)

    def _log_in_until_refused(self) -> None:
        deadline = time.monotonic() + _GIVE_UP
        while time.monotonic() < deadline:
            try:
                psycopg.connect(self.dsn, connect_timeout=5).close()
            except psycopg.OperationalError as error:
                self.refused_at, self.refusal = datetime.now(UTC), _last_line(error)
                return
            time.sleep(_PAUSE)

    def _wait_for_the_cut(self, session: psycopg.Connection[tuple[object, ...]]) -> None:
        deadline = time.monotonic() + _GIVE_UP
        while time.monotonic() < deadline:
            try:
                session.execute("SELECT 1")
            except psycopg.Error:
                self.cut_at = datetime.now(UTC)
                return
            time.sleep(_PAUSE)


def dsn_of(credential: Mapping[str, str]) -> str:
    """A connection string for what `lapse grant credential` gave."""
    return psycopg.conninfo.make_conninfo(
        host=credential["host"],
        port=credential["port"],
        user=credential["user"],
        password=credential["password"],
        dbname=credential["dbname"],
    )


def lateness_ms(promised: datetime, seen: datetime | None) -> float | None:
    """Milliseconds from the promised end to what was seen; None if it was not seen."""
    return None if seen is None else (seen - promised).total_seconds() * 1000


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1].rpartition("FATAL:")[2].strip()
