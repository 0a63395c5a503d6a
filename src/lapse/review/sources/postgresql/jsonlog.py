"""PostgreSQL's jsonlog, of version 15 and later: one object a line. Called by `reader`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from lapse.review.sources.clocks import Clock
from lapse.review.sources.postgresql.lines import LogLine, check_session, clean, read_time


class _Object(msgspec.Struct):
    """The keys that are used, as `jsonlog.c` writes them."""

    timestamp: str
    session_id: str
    line_num: int
    user: str = ""
    dbname: str = ""
    remote_host: str = ""
    ps: str = ""
    session_start: str = ""
    vxid: str = ""
    error_severity: str = ""
    state_code: str = ""
    message: str = ""
    context: str = ""
    statement: str = ""
    application_name: str = ""
    backend_type: str = ""


_DECODER = msgspec.json.Decoder(_Object)


def read_object(text: bytes | str, clock: Clock) -> LogLine:
    """The line that a JSON object is.

    Raises:
        ValueError: it is none; the message says why.
    """
    found = _decoded(text)
    check_session(found.session_id, found.line_num)
    at: datetime = read_time(found.timestamp, clock)
    return LogLine(
        format="json",
        at=at,
        user=clean(found.user),
        database=clean(found.dbname),
        address=clean(found.remote_host),
        session=found.session_id,
        number=found.line_num,
        tag=clean(found.ps),
        began=found.session_start,
        transaction=found.vxid,
        severity=clean(found.error_severity),
        # It is left out where it is the one of success.
        state=found.state_code or "00000",
        message=clean(found.message),
        context=found.context,
        query=found.statement,
        application=clean(found.application_name),
        backend=found.backend_type,
    )


def _decoded(text: bytes | str) -> _Object:
    try:
        found: Any = _DECODER.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise ValueError(f"it is not an object of jsonlog: {error}") from None
    if not isinstance(found, _Object):
        raise ValueError("it is not an object of jsonlog")  # noqa: TRY004  what is wrong is the text
    return found
