"""The errors that lapse raises on purpose.

Each answers two questions: whose fault is it, and is a retry useful? Edges map them: to an HTTP problem
(RFC 9457) in the API, to an exit code and one lowercase sentence in the CLI. The message says what is wrong
and where, with the user's input in backticks; the hint says what to do next.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class Fault(StrEnum):
    """Who can mend the error."""

    CALLER = "caller"
    SYSTEM = "system"


class LapseError(Exception):
    """An expected failure. Use a subclass."""

    code: ClassVar[str] = "error"
    fault: ClassVar[Fault] = Fault.SYSTEM
    retry: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InvalidInput(LapseError):  # noqa: N818  the name says what it is in a sentence
    """What was given cannot be right, whatever the state of the system."""

    code = "invalid-input"
    fault = Fault.CALLER


class NotFound(LapseError):  # noqa: N818
    """The named thing does not exist (or the caller may not know that it does)."""

    code = "not-found"
    fault = Fault.CALLER


class Refused(LapseError):  # noqa: N818
    """Understood, and not allowed: by policy, by role, by a lock or by the state of the thing."""

    code = "refused"
    fault = Fault.CALLER


class Conflict(LapseError):  # noqa: N818
    """Somebody else changed the same thing first; reading it again and retrying is useful."""

    code = "conflict"
    fault = Fault.CALLER
    retry = True


class Unavailable(LapseError):  # noqa: N818
    """A part that is needed (store, target, directory) does not answer; a retry may help."""

    code = "unavailable"
    retry = True


class Corrupt(LapseError):  # noqa: N818
    """Stored data is not what was written. Nothing is done with it; a person must look."""

    code = "corrupt"
