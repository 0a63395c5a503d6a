"""Ports of this machine that nobody uses. No two processes of a test run get the same ones."""

from __future__ import annotations

import os
import socket
from itertools import count

_FIRST, _LAST = 10_000, 32_000
"""Below what the system gives to outgoing connections, so that none of these takes a port before it is used."""
_EACH = 2_000

_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_next = count(os.getpid() % (_EACH // 2))


def free_port(consecutive: int = 1) -> int:
    """A port that is free, and so are the next ones if there are to be `consecutive` ones."""
    while True:
        ports = [_FIRST + _worker * _EACH % (_LAST - _FIRST) + next(_next) % _EACH for _ in range(consecutive)]
        if ports[-1] - ports[0] == consecutive - 1 and all(map(_is_free, ports)):
            return ports[0]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
