"""How long a thread keeps Python's lock while another waits for it.

Statements run on the driver's threads, beside the event loop. A thread that wants to begin one waits up to 5 ms by
default, while the loop computes; what could go on at the same time then happens one after the other.
"""

from __future__ import annotations

import sys

SWITCH_SECONDS = 0.00005


def tune_threads() -> None:
    """Let threads that wait go on soon. Called once by the server."""
    sys.setswitchinterval(SWITCH_SECONDS)
