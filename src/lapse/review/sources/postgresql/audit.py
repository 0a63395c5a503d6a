"""The records that pgaudit writes into PostgreSQL's log: `AUDIT: SESSION,1,1,READ,SELECT,TABLE,public.t,…`.

Called by `messages`.
"""

from __future__ import annotations

import msgspec

from lapse.review.sources.postgresql.fields import csv_fields

PREFIX = "AUDIT: "
_KINDS = frozenset({"SESSION", "OBJECT"})
_CLASSES = frozenset({"READ", "WRITE", "FUNCTION", "ROLE", "DDL", "MISC", "MISC_SET"})
_FIELDS = (9, 10)
"""The tenth is the number of rows, where `pgaudit.log_rows` is on."""
_NO_TEXT = frozenset({"<not logged>", "<previously logged>"})


class Audited(msgspec.Struct, frozen=True, gc=False):
    """One record. `name` is the object with its schema, "" where pgaudit names none; so is `statement`."""

    command: str
    name: str
    statement: str


def read_audit(message: str) -> Audited:
    """The record in a message that begins with `PREFIX`.

    Raises:
        ValueError: it is none.
    """
    fields = csv_fields(message.removeprefix(PREFIX))
    if len(fields) not in _FIELDS or fields[0] not in _KINDS or fields[3] not in _CLASSES:
        raise ValueError("it begins like a record of pgaudit, and is none")
    if not all(number.isascii() and number.isdigit() for number in fields[1:3]):
        raise ValueError("its statement ids are none")
    command = fields[4] if fields[4] not in {"", "???"} else fields[3]
    return Audited(command, fields[6], "" if fields[7] in _NO_TEXT else fields[7])
