"""What lapse writes into other systems' logs so that use can be told apart by grant. Called by sources of logs.

The gateway names itself `lapse:PERSON:GRANT:PROGRAM` to PostgreSQL, cut at 63 bytes; certificates carry the key id
`lapse grant GRANT of PERSON` or `lapse grant GRANT by gateway`. Whoever can write such a log entry could write such a
name: a mark is worth as much as where it comes from.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# The colon after the grant shows that it was not cut.
_APPLICATION = re.compile(r"lapse:([^:\s]{1,128}):([A-Za-z0-9_-]{1,64}):")
_KEY_ID = re.compile(r"lapse grant ([A-Za-z0-9_-]{1,64}) (?:of (\S{1,128})|by gateway)")
_PROBE = re.compile(r"lapse probe \S+")


@dataclass(frozen=True, slots=True)
class Mark:
    """Whose grant it was; `person` is "" where only the grant is named."""

    grant_id: str
    person: str


def mark_of_application(name: str) -> Mark | None:
    """The mark in an application name, if it is one of lapse's gateway."""
    found = _APPLICATION.match(name)
    return Mark(found[2], found[1]) if found else None


def mark_of_key_id(text: str) -> Mark | None:
    """The mark in the key id of a certificate, if it is one of lapse's."""
    found = _KEY_ID.fullmatch(text)
    return Mark(found[1], found[2] or "") if found else None


def is_probe(key_id: str) -> bool:
    """Whether the key id is that of lapse's own attempts to log in, which check a host and are no use of it."""
    return _PROBE.fullmatch(key_id) is not None
