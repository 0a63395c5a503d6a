"""Where log lines go: to a stream, by a thread of their own. Called by `logs`.

Guarantee: whoever logs never waits. A reader that has stopped (a full pipe, a terminal on hold) must stop neither
deadlines nor sessions nor the API. Lines that it does not take are counted, and told as a number when it reads again.
"""

from __future__ import annotations

import atexit
import json
import queue
import threading
from contextlib import suppress
from typing import TextIO

MOST_WAITING = 10_000
"""Lines that wait for the reader; further ones are dropped."""
LAST_SECONDS = 2.0
"""How long the end of the process waits for what was logged last."""


class LogLines:
    """Writes lines to `stream`. Has what a file needs for a logger: `write` and `flush`."""

    def __init__(self, stream: TextIO, *, most_waiting: int = MOST_WAITING) -> None:
        self._stream = stream
        self._waiting: queue.Queue[str] = queue.Queue(most_waiting)
        self._dropped = 0
        self._lock = threading.Lock()
        threading.Thread(target=self._run, name="log lines", daemon=True).start()
        atexit.register(self.drained, LAST_SECONDS)

    def write(self, text: str) -> None:
        """Write `text` soon, if there is room."""
        try:
            self._waiting.put_nowait(text)
        except queue.Full:
            with self._lock:
                self._dropped += 1

    def flush(self) -> None:
        """Nothing: lines are flushed where they are written."""

    def drained(self, seconds: float) -> bool:
        """Wait until everything is written, at most so long; whether it is."""
        with self._waiting.all_tasks_done:
            return self._waiting.all_tasks_done.wait_for(lambda: not self._waiting.unfinished_tasks, seconds)

    def _run(self) -> None:
        while True:
            text = self._waiting.get()
            # A reader that is gone for good is no reason to end.
            with suppress(OSError, ValueError):
                self._stream.write(text + self._told_dropped())
                self._stream.flush()
            self._waiting.task_done()

    def _told_dropped(self) -> str:
        with self._lock:
            dropped, self._dropped = self._dropped, 0
        line = {"event": "log lines dropped", "level": "warning", "lines": dropped}
        return json.dumps(line) + "\n" if dropped else ""
