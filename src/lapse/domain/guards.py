"""What a session may do beyond what the target allows, and how the gateway treats a resource's sessions.

Plain values, read from the catalog and carried to the gateway with each admission. `Guard` and its masks belong to an
entitlement, `GatewayRules` to a resource.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum


class StatementClass(StrEnum):
    """What a statement does, as guards name it. A statement may be of several classes; all must be allowed."""

    READ = "read"
    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"
    DEFINE = "define"
    PRIVILEGE = "privilege"
    COPY_IN = "copy_in"
    COPY_OUT = "copy_out"
    CALL = "call"
    TRANSACTION = "transaction"
    SETTING = "setting"
    MAINTENANCE = "maintenance"
    OTHER = "other"


class MaskKind(StrEnum):
    """How a masked value looks: its type and length stay valid."""

    FULL = "full"
    EMAIL = "email"
    CARD = "card"
    PHONE = "phone"
    LAST4 = "last4"
    HASH = "hash"
    NULL = "null"
    CUSTOM = "custom"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mask:
    """Which result columns are masked and how.

    `columns` and `tables` are globs (`email`, `*.customers`); an empty `tables` means every table and computed columns
    too. `email`, `card` and `phone` mask what looks like one inside the values of text columns, `custom` what `pattern`
    finds there, which becomes `replacement`; the other kinds mask the whole value.
    """

    name: str
    kind: MaskKind = MaskKind.FULL
    columns: tuple[str, ...] = ("*",)
    tables: tuple[str, ...] = ()
    pattern: str = ""
    replacement: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """Limits of one entitlement. Empty means: no limit of this kind. Whatever cannot be judged is refused.

    `statements` are the classes that are allowed; `tables_allowed` and `tables_denied` are globs over
    `schema.table`; `denied_patterns` are regular expressions over the statement's text, `approval_patterns` and
    `approval_statements` say what waits for an approver (who is in `approvers`, a principal or `group:NAME`; empty:
    the resource's owner), at most `approval_timeout`.
    """

    read_only: bool = False
    statements: tuple[StatementClass, ...] = ()
    require_where: bool = False
    tables_allowed: tuple[str, ...] = ()
    tables_denied: tuple[str, ...] = ()
    denied_patterns: tuple[str, ...] = ()
    approval_statements: tuple[StatementClass, ...] = ()
    approval_patterns: tuple[str, ...] = ()
    approvers: tuple[str, ...] = ()
    approval_timeout: timedelta = timedelta(minutes=5)
    masks: tuple[Mask, ...] = ()

    @property
    def idle(self) -> bool:
        """Whether it limits nothing, so that a session need not be looked into."""
        return self == Guard(approvers=self.approvers, approval_timeout=self.approval_timeout)


class RecordParameters(StrEnum):
    """Whether the values of statements' parameters are kept in recordings."""

    KEEP = "keep"
    REDACT = "redact"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayRules:
    """How the gateway treats sessions on one resource.

    `only`: there is no way past the gateway, so no native credential is given out. `keep_for`: how long recordings
    are kept. `sessions`, `sessions_per_principal`: how many at a time. `cut_after_store_loss`: sessions end so long
    after lapse cannot be reached; None lets them run on to their deadline. `single_use`: a credential opens one
    session. `idle_timeout`: a session without traffic ends; None never.
    """

    only: bool = False
    keep_for: timedelta = timedelta(days=90)
    sessions: int = 2_000
    sessions_per_principal: int = 50
    cut_after_store_loss: timedelta | None = None
    single_use: bool = False
    idle_timeout: timedelta | None = None
    parameters: RecordParameters = RecordParameters.KEEP
    record_input: bool = False
    warn_before: tuple[timedelta, ...] = field(
        default=(timedelta(minutes=10), timedelta(minutes=2), timedelta(seconds=30))
    )
