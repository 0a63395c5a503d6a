"""What was done to what, by events of use of Teleport. Called by the kind of source `teleport`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from lapse.review.sources.teleport.events import Event

_SFTP = {
    1: "open",
    2: "close",
    3: "read",
    4: "write",
    5: "lstat",
    6: "fstat",
    7: "setstat",
    8: "fsetstat",
    9: "opendir",
    10: "readdir",
    11: "remove",
    12: "mkdir",
    13: "rmdir",
    14: "realpath",
    15: "stat",
    16: "rename",
    17: "readlink",
    18: "symlink",
    19: "link",
}
_WORD = re.compile(r"\s*([A-Za-z]{2,20})\b", re.ASCII)


def action_of(event: Event) -> tuple[str, str]:
    """The action and the object of an event; either may be empty.

    Of commands and statements only the first word counts: what follows may be secret.
    """
    read = _ACTIONS.get(event.event)
    return read(event) if read else (event.event, event.db_name or event.name)


def _command(query: str) -> str:
    """The word that a statement begins with, in capitals; a query that is none is a `query`."""
    found = _WORD.match(query)
    return found[1].upper() if found else "query"


def _sftp(event: Event) -> str:
    name = _SFTP.get(event.action, "") if isinstance(event.action, int) else event.action
    return f"sftp {name or ''}".rstrip()


_ACTIONS: Mapping[str, Callable[[Event], tuple[str, str]]] = {
    "exec": lambda event: ("exec", "".join(event.command.split()[:1])),
    "scp": lambda event: (f"scp {event.action or ''}".rstrip(), event.path),
    "sftp": lambda event: (_sftp(event), event.path),
    "session.join": lambda event: (event.event, event.sid),
    "port": lambda event: ("port forwarding", event.addr),
    "kube.request": lambda event: (event.verb.lower(), event.request_path.partition("?")[0]),
    "app.session.request": lambda event: (event.method, event.path.partition("?")[0]),
    "db.session.query": lambda event: (_command(event.db_query), event.db_name),
}
