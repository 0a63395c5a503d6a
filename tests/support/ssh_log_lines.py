"""Lines of sshd in syslog and in the journal, written as those write them, and reading them."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta

from support.read_sources import read_as

START = datetime(2026, 7, 1, 10, tzinfo=UTC)
KEY = "SHA256:02d383+TJXD8o5dlzP3byFBsYUiUTsYGbP2T0VZZkPk"
CA = "SHA256:LuOvIM0j/QMM9QyU44n7hI1nb3mRdoKvA+czMARZR8E"
ACCEPTED = f"Accepted publickey for alice from 10.0.0.7 port 50182 ssh2: ED25519 {KEY}"
OPENED = "pam_unix(sshd:session): session opened for user alice(uid=1000) by (uid=0)"
CLOSED = "pam_unix(sshd:session): session closed for user alice"
LEFT = "Received disconnect from 10.0.0.7 port 50182:11: disconnected by user"
GONE = "Disconnected from user alice 10.0.0.7 port 50182"
SESSION = "web-1/1234/2026-07-01T10:00:00.000000Z"
_numbers = itertools.count(1)


def after(minutes):
    return START + timedelta(minutes=minutes)


def iso(message, minute=0, *, host="web-1", program="sshd", pid="1234"):
    """A line with its year and zone, as today's rsyslog writes it."""
    return f"{after(minute):%Y-%m-%dT%H:%M:%S.%f}+00:00 {host} {program}{f'[{pid}]' if pid else ''}: {message}\n"


def classic(message, at="Jul  1 10:00:00", *, host="web-1", program="sshd", pid="1234"):
    return f"{at} {host} {program}{f'[{pid}]' if pid else ''}: {message}\n"


def rfc5424(message, minute=0, data="-"):
    return f"<38>1 {after(minute):%Y-%m-%dT%H:%M:%S.%f}Z web-1 sshd 1234 - {data} {message}\n"


def journal(message, minute=0, **fields):
    """A line of `journalctl -o json`."""
    entry = {
        "__REALTIME_TIMESTAMP": str(int(after(minute).timestamp() * 1_000_000)),
        "_HOSTNAME": "web-1",
        "SYSLOG_IDENTIFIER": "sshd",
        "_COMM": "sshd",
        "_EXE": "/usr/sbin/sshd",
        "_PID": "1234",
        "_UID": "0",
        "MESSAGE": message,
    } | fields
    return json.dumps({k: v for k, v in entry.items() if v is not ...}) + "\n"


def read_log(tmp_path, *lines, rules=None, name="auth.log", **options):
    file = tmp_path / f"{next(_numbers)}-{name}"
    file.write_bytes(b"".join(line if isinstance(line, bytes) else line.encode() for line in lines))
    return read_as("sshd-log", file, tmp_path, rules, **{"taken_at": "2026-10-01T00:00:00Z", **options})
