"""Records of CloudTrail out of the bytes of a file: `{"Records": […]}`, a list, one a line, or `lookup-events`.

Guarantee: each record is yielded or reported as a `Fault` with its place; a file that is broken gives the records
before the break. The usual file is decoded in one go, without what no evidence needs; others go record by record.
Called by `trail_parts`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, TypeAlias

import msgspec

from lapse.review.sources.files import LONGEST_LINE

Moment: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]
_NOTHING = msgspec.Raw(b"null")
_WHOLE_AT_ONCE = 32 << 20
_HEAD_TEXT = re.compile(r'\s*\{\s*"Records"\s*:\s*\[')
_HEAD = re.compile(_HEAD_TEXT.pattern.encode())
_TAIL = re.compile(r"\]\s*\}?")
_BETWEEN = re.compile(r"[\s,]*")
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Identity(msgspec.Struct, rename="camel", gc=False):
    """`userIdentity`: who made the request. `session_context` is read where it is needed."""

    type: str = ""
    arn: str | None = None
    principal_id: str | None = None
    account_id: str | None = None
    access_key_id: str | None = None
    user_name: str | None = None
    session_context: msgspec.Raw = _NOTHING
    on_behalf_of: msgspec.Raw = _NOTHING


class Touched(msgspec.Struct, gc=False):
    """One of `resources`: what the request was about."""

    arn: str | None = msgspec.field(name="ARN", default=None)


class Record(msgspec.Struct, rename="camel", gc=False):
    """What evidence needs of one event. Parameters and answers of requests are read where they are needed."""

    event_time: Moment
    event_source: str
    event_name: str
    user_identity: Identity | None = None
    source_ip: str | None = msgspec.field(name="sourceIPAddress", default=None)
    user_agent: str | None = None
    error_code: str | None = None
    event_id: str | None = msgspec.field(name="eventID", default=None)
    event_type: str | None = None
    event_category: str | None = None
    recipient_account_id: str | None = None
    resources: list[Touched] | None = None
    request_parameters: msgspec.Raw = _NOTHING
    response_elements: msgspec.Raw = _NOTHING


class _Log(msgspec.Struct):
    records: list[Record] = msgspec.field(name="Records")


class _LookedUp(msgspec.Struct):
    event: str = msgspec.field(name="CloudTrailEvent")


class _Shape(msgspec.Struct):
    """A file of which something cannot be read, or which is none of CloudTrail's."""

    records: list[msgspec.Raw] | None = msgspec.field(name="Records", default=None)
    events: list[_LookedUp] | None = msgspec.field(name="Events", default=None)
    digest: Any = msgspec.field(name="digestS3Object", default=None)

    @property
    def is_known(self) -> bool:
        return self.records is not None or self.events is not None or self.digest is not None


@dataclass(frozen=True, slots=True)
class Fault:
    """A record, or the rest of a file, that could not be read."""

    place: str
    why: str


@dataclass(frozen=True, slots=True)
class Digest:
    """A file that says which log files there are, and holds none of their records."""


@dataclass(frozen=True, slots=True)
class Recoded:
    """Records of which some bytes are not UTF-8, and were read as Windows-1252."""

    place: str
    records: Sequence[Record]


Found: TypeAlias = list[Record] | Fault | Digest | Recoded
_LOG = msgspec.json.Decoder(_Log)
_SHAPE = msgspec.json.Decoder(_Shape)
_RAWS = msgspec.json.Decoder(list[msgspec.Raw])
_RECORD = msgspec.json.Decoder(Record)


def records_of(data: bytes, name: str) -> Iterator[Found]:
    """All records in `data`, the content of the file `name`."""
    if len(data) <= _WHOLE_AT_ONCE:
        try:
            yield _LOG.decode(data).records
        except _BROKEN:
            pass
        else:
            return
    yield from _record_by_record(data, name)


def record_in_line(line: bytes, name: str) -> Iterator[Found]:
    """The record, or the whole log, in one line of a file; `name` says where that is."""
    if len(line) > LONGEST_LINE:
        yield Fault(name, f"the line is longer than {LONGEST_LINE} bytes")
        return
    found = _one(line, name)
    shape = _shape(line) if isinstance(found, Fault) else None
    if shape is None or not shape.is_known:
        yield found
    else:
        yield from _of_shape(shape, name)


def _record_by_record(data: bytes, name: str) -> Iterator[Found]:
    shape = _shape(data)
    if shape is not None and shape.is_known:
        yield from _of_shape(shape, name)
    elif shape is not None:
        found = _one(data, name)
        yield (
            Fault(name, "it is no log of CloudTrail: it has no list of `Records`")
            if isinstance(found, Fault)
            else found
        )
    elif _HEAD.match(data) and not _is_line(data):
        yield from _until_broken(data, name)
    elif data.lstrip()[:1] == b"[" and (listed := _list(data)) is not None:
        yield from _each(listed, name)
    elif data.strip():
        for number, line in enumerate(data.split(b"\n"), start=1):
            if line.strip():
                yield from record_in_line(line, f"{name}:{number}")
    else:
        yield Fault(name, "the file is empty")


def _is_line(data: bytes) -> bool:
    """Whether the first line is something by itself."""
    line, end, _ = data.lstrip().partition(b"\n")
    return bool(end) and _shape(line) is not None


def _shape(data: bytes) -> _Shape | None:
    try:
        return _SHAPE.decode(data)
    except msgspec.ValidationError:
        return _Shape() if data.lstrip()[:1] == b"{" else None
    except _BROKEN:
        return None


def _list(data: bytes) -> list[msgspec.Raw] | None:
    try:
        return _RAWS.decode(data)
    except _BROKEN:
        return None


def _of_shape(shape: _Shape, name: str) -> Iterator[Found]:
    if shape.records is not None:
        yield from _each(shape.records, name)
    elif shape.events is not None:
        yield from _each([one.event.encode("utf-8", "replace") for one in shape.events], name)
    else:
        yield Digest()


def _each(raws: Sequence[msgspec.Raw | bytes], name: str) -> Iterator[Found]:
    for number, raw in enumerate(raws, start=1):
        yield _one(raw, f"{name}: record {number}")


def _one(raw: msgspec.Raw | bytes, place: str) -> Found:
    try:
        return [_RECORD.decode(raw)]
    except RecursionError:
        return Fault(place, "it is nested too deeply")
    except UnicodeDecodeError:
        found = _one(bytes(raw).decode("cp1252", errors="replace").encode(), place)
        return Recoded(place, found) if isinstance(found, list) else found
    except msgspec.DecodeError as error:
        return Fault(place, str(error))


def _until_broken(data: bytes, name: str) -> Iterator[Found]:
    """The records of a log that is cut off or damaged, up to there; and of logs that follow one another."""
    text = data.decode("utf-8", errors="replace")
    number = 0
    scan = json.JSONDecoder().raw_decode
    head = _HEAD_TEXT.match(text)
    while head is not None:
        at = head.end()
        while not text.startswith("]", at := _skipped(text, at)):
            number += 1
            try:
                _, end = scan(text, at)
            except (ValueError, RecursionError):
                why = "the file ends inside of it" if text[-1:] != "}" or at >= len(text) else "it is no JSON"
                yield Fault(f"{name}: record {number}", f"{why}; nothing after it could be read")
                return
            yield _one(text[at:end].encode("utf-8", "replace"), f"{name}: record {number}")
            at = end
        at = _TAIL.match(text, at).end()  # type: ignore[union-attr]  # it begins with what was just found
        head = _HEAD_TEXT.match(text, at)
    if text[at:].strip():
        yield Fault(name, f"what follows record {number} could not be read")


def _skipped(text: str, at: int) -> int:
    found = _BETWEEN.match(text, at)
    return found.end() if found else at
