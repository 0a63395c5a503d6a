"""Tables of what access was used for, and how much of that was recorded."""

from __future__ import annotations

from lapse.review.evidence.columns import BOOL, TEXT, TIME, Column, Table
from lapse.review.evidence.shared import ACCOUNT, RESOURCE, must

USE = (
    Table(
        "usage",
        "Proof that an account was used. No row proves nothing by itself: see `coverage`.",
        (
            RESOURCE,
            ACCOUNT,
            must("started_at", TIME, "when the use began"),
            Column("ended_at", TIME, "when it ended; null is not known"),
            Column("grant_id", TEXT, "grant it was made under, where known"),
            Column("role", TEXT, "native role used, where known"),
            Column("action", TEXT, "what was done, where known"),
            Column("source", TEXT, "where this comes from"),
            Column("object", TEXT, "what it was done to, where known"),
            Column("principal", TEXT, "whose identity was used, where the telemetry says so"),
            Column("address", TEXT, "network address it came from"),
            Column("device", TEXT, "device it came from"),
            Column("session_id", TEXT, "session it was part of"),
        ),
    ),
    Table(
        "sessions",
        "Connections that used access, each as a whole.",
        (
            must("session_id", TEXT, "id of the session"),
            RESOURCE,
            ACCOUNT,
            must("started_at", TIME, "when it began"),
            Column("ended_at", TIME, "when it ended; null is not known"),
            Column("grant_id", TEXT, "grant it was made under"),
            Column("principal", TEXT, "who it was"),
            Column("protocol", TEXT, "`postgresql`, `ssh`, ..."),
            Column("address", TEXT, "network address it came from"),
            Column("device", TEXT, "device it came from"),
            Column("end_reason", TEXT, "why it ended"),
            Column("recorded", BOOL, "whether its recording is whole; null where none was wanted"),
            Column("source", TEXT, "where this comes from"),
        ),
    ),
    Table(
        "coverage",
        "Windows in which usage of a resource was recorded.",
        (
            RESOURCE,
            must("from_at", TIME, "start of the window"),
            must("to_at", TIME, "end of the window"),
            must("complete", BOOL, "every use in the window is recorded; false for samples"),
            Column("source", TEXT, "telemetry it speaks of"),
            Column("actions", BOOL, "every single action is recorded with its object, not only that there was use"),
        ),
    ),
)
