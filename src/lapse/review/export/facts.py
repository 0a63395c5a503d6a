"""What every export needs: who made it, when, stable ids, texts in one line. Pure."""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass, field
from datetime import datetime

from lapse.domain.data import Json, to_data
from lapse.domain.errors import Corrupt
from lapse.domain.names import is_printable
from lapse.review.pack.standalone_manifest import FileEntry

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:lapse:review")
"""Of all ids in exports: they are version 5 (RFC 9562, section 5.5), made from what they are about."""

_SPACES = re.compile(r"\s+")
_LONGEST_LINE = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportFacts:
    """What an export says beyond the result. `files` of the pack are those already written, by path."""

    title: str
    made_at: datetime
    product_version: str
    files: dict[str, FileEntry] = field(default_factory=dict)


def stable_id(kind: str, *parts: str) -> str:
    """The same id for the same thing in every export, as text."""
    return str(uuid.uuid5(NAMESPACE, "\x1f".join((kind, *parts))))


def one_line(text: str, otherwise: str = "not said") -> str:
    """`text` in one line that shows what is there: white space once, control characters as escapes, never empty."""
    plain = _SPACES.sub(" ", text).strip()
    seen = "".join(c if is_printable(c) else c.encode("unicode_escape").decode() for c in plain)
    return (seen[:_LONGEST_LINE] + "…" if len(seen) > _LONGEST_LINE else seen) or otherwise


def milliseconds(at: datetime) -> int:
    """Milliseconds since 1970, UTC."""
    return int(at.timestamp() * 1000)


def document(body: Json) -> bytes:
    """JSON with sorted keys, ASCII and a final newline.

    Raises:
        Corrupt: a number in it is not finite.
    """
    return line(body, indent=1)


def line(body: Json, indent: int | None = None) -> bytes:
    """The same in one line, unless it is indented."""
    try:
        text = json.dumps(to_data(body), sort_keys=True, indent=indent, ensure_ascii=True, allow_nan=False)
    except ValueError:
        raise Corrupt("the review holds a number that is not finite, which JSON cannot say") from None
    return text.encode("ascii") + b"\n"
