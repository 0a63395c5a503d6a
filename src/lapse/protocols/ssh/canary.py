"""Serial numbers that are kept for probes: what a host does with them shows what it would do with a client's.

`CHECK_SERIAL` is on every revocation list, so a host that takes a certificate with it has no list in force. Each grant
has one serial of its own that stands on the list with the grant's certificates: when the host refuses it, the list
that it read is one that has them too.
"""

from __future__ import annotations

from collections.abc import Callable

CHECK_SERIAL = 1
_FIRST = 1 << 62
"""Serial numbers of clients' certificates are below, those of probes above."""


def grant_serial(derive: Callable[[str, str], bytes], grant_id: str) -> int:
    """The serial of the probe of one grant, which nobody outside can tell beforehand."""
    return _FIRST | int.from_bytes(derive("ssh-probe", grant_id)[:8], "big") % _FIRST


def client_serial(random: int) -> int:
    """A serial for a client's certificate from 61 and more random bits; never one of a probe."""
    return 2 + random % (_FIRST - 2)
