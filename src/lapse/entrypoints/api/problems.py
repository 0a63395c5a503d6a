"""Every error as `application/problem+json` (RFC 9457), never with a traceback.

`type` is a path below `/api/v1/problems/` that explains the kind; `code` is the same kind as a word, `detail` is the
sentence, `hint` says what to do next, `retry` whether the same call may succeed later, `errors` lists what is wrong in
files, each with file, line and column.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from lapse.domain.data import Json, to_data
from lapse.domain.errors import Conflict, Corrupt, InvalidInput, LapseError, NotFound, Refused, Unavailable

PROBLEM_JSON: Final = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem: its HTTP status, its title and what it means."""

    status: int
    title: str
    meaning: str


KINDS: Final[Mapping[str, Kind]] = {
    InvalidInput.code: Kind(422, "Invalid input", "What was given cannot be right, whatever the state of lapse."),
    NotFound.code: Kind(404, "Not found", "It does not exist, or the caller may not know that it does."),
    Refused.code: Kind(403, "Refused", "Understood, and not allowed by policy, role, lock or the state of the thing."),
    Conflict.code: Kind(409, "Conflict", "Somebody else changed the same thing first. Read it again and retry."),
    Unavailable.code: Kind(503, "Unavailable", "A part that is needed does not answer. A retry may help."),
    Corrupt.code: Kind(500, "Corrupt data", "Stored data is not what was written. A person must look."),
    "not-authenticated": Kind(401, "Not authenticated", "The call carries no token, or one that is not valid."),
    "malformed": Kind(400, "Malformed", "The call could not be read."),
    "method-not-allowed": Kind(405, "Method not allowed", "There is something here, but not for this method."),
    "too-large": Kind(413, "Too large", "The body is larger than this call accepts."),
    "not-json": Kind(415, "Not JSON", "The body must be JSON, with content type application/json."),
    "idempotency-key-reused": Kind(422, "Idempotency key reused", "The key was used for another call before."),
    "idempotency-key-in-use": Kind(
        409, "Idempotency key in use", "A call with this key is under way, or was carried out and its answer was lost."
    ),
    "internal": Kind(500, "Internal error", "Something went wrong inside lapse. Its log has the details."),
}


class ProblemError(Exception):
    """A problem of the HTTP call itself, which no use case raises."""

    def __init__(self, code: str, detail: str, *, hint: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.problem = Problem(code=code, detail=detail, hint=hint, headers=headers or {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One error, ready to be answered."""

    code: str
    detail: str
    hint: str = ""
    retry: bool = False
    instance: str = ""
    errors: Json = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def status(self) -> int:
        """The HTTP status."""
        return KINDS[self.code].status

    def body(self) -> bytes:
        """The problem as JSON."""
        members = {
            "type": f"/api/v1/problems/{self.code}",
            "title": KINDS[self.code].title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "retry": self.retry,
        }
        extra = {"hint": self.hint, "instance": self.instance, "errors": self.errors}
        return msgspec.json.encode(members | {name: value for name, value in extra.items() if value})


def problem_of(error: Exception) -> Problem | None:
    """The problem that an expected error is; None for a bug."""
    if isinstance(error, ProblemError):
        return error.problem
    if isinstance(error, LapseError):
        return Problem(
            code=_kind_of(type(error)),
            detail=error.message,
            hint=error.hint,
            retry=error.retry,
            errors=to_data(getattr(error, "problems", ())),
        )
    return None


def _kind_of(error: type[LapseError]) -> str:
    """The nearest kind of error that the API tells apart; a refinement of one is answered like it."""
    codes = (getattr(parent, "code", "") for parent in error.__mro__)
    return next((code for code in codes if code in KINDS), "internal")
