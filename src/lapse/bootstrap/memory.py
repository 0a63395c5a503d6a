"""Settings of the garbage collector for a long-running process that handles thousands of small values at once.

By default Python looks for cycles after every 700 new objects, which doubles the time in which ten thousand grants end
together. Values here are frozen and free of cycles; reference counts free them at once. Sessions of a gateway do form
cycles: the old are looked through often enough that these do not add up.
"""

from __future__ import annotations

import gc

NEW_OBJECTS, YOUNG_PASSES, OLD_PASSES = 100_000, 20, 10


def tune_memory() -> None:
    """Look for cycles rarely, and not at all among what start-up has made. Called once by the server."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, YOUNG_PASSES, OLD_PASSES)
