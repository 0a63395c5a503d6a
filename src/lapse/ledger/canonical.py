"""Entries as canonical bytes (RFC 8785) and back: what the tree hashes, and what an auditor can re-create.

Guarantee: `decode(encode(entry)) == entry`, `encode(decode(body)) == body`, and `encode` gives the bytes that
RFC 8785 gives. That holds for the fast encoder because entries have no floats, only ASCII keys and only integers
that a double holds exactly; everything else is refused. Called by the store (encode) and by all who read or verify.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from types import NoneType
from typing import Any

import msgspec

from lapse.domain.data import Json
from lapse.domain.errors import Corrupt, InvalidInput
from lapse.domain.names import shown
from lapse.domain.times import format_time
from lapse.ledger.entry import Entry

VERSION = 1
LARGEST_INTEGER = 2**53 - 1
DEEPEST = 16

_ATOMS = frozenset({str, bool, NoneType})
_TEXT = frozenset({str})
_KINDS = frozenset({*_ATOMS, int, list, dict})
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)


class _Wire(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The members of an entry's JSON object, all present."""

    actor: str
    after: dict[str, Any] | None
    at: str
    before: dict[str, Any] | None
    context: dict[str, Any]
    policy_version: str
    subject: str
    type: str
    v: int


_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder(_Wire).decode


def encode(entry: Entry) -> bytes:
    """The canonical bytes of `entry`.

    Raises:
        InvalidInput: it holds something that has no canonical form (a float, a key that is not ASCII, an integer
            beyond 2^53-1, half a surrogate pair, a time without a zone, nesting deeper than 16).
    """
    texts = (entry.type, entry.actor, entry.subject, entry.policy_version)
    if not _TEXT.issuperset(map(type, texts)) and not all(isinstance(text, str) for text in texts):
        raise _no_form("its type, actor, subject or policy version is not text")
    wire = _to_wire(entry)
    try:
        body = _encode(wire)
    except UnicodeEncodeError:
        raise _no_form("it holds half of a surrogate pair, which is not text") from None
    except TypeError:
        raise _no_form("it holds a key that is not text") from None
    if not body.isascii():
        _check_keys(wire)
    return body


def decode(body: bytes) -> Entry:
    """The entry that `body` spells.

    Raises:
        Corrupt: `body` is not the canonical form of an entry.
    """
    wire = _read(body)
    return Entry(
        type=wire.type,
        at=datetime.fromisoformat(wire.at),
        actor=wire.actor,
        subject=wire.subject,
        before=wire.before,
        after=wire.after,
        policy_version=wire.policy_version,
        context=wire.context,
    )


def check(body: bytes) -> None:
    """Return if `body` is the canonical form of an entry; quicker than `decode`.

    Raises:
        Corrupt: it is not.
    """
    _read(body)


def _read(body: bytes) -> _Wire:
    try:
        wire = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Corrupt("not the JSON of a ledger entry") from None
    if _encode(wire) != body:
        raise Corrupt("not in canonical form")
    if wire.v != VERSION:
        raise Corrupt(f"written in version {wire.v} of the ledger, this program reads {VERSION}")
    _check_time(wire.at)
    # A type that says this to the decoder doubles with each level of nesting, and takes a third of a second to build.
    if not (_fits_or_none(wire.context) and _fits_or_none(wire.after) and _fits_or_none(wire.before)):
        raise Corrupt("it holds a float, an integer beyond 2^53-1, or is nested too deep")
    if not body.isascii():
        _check_stored_keys(wire)
    return wire


def _check_time(text: str) -> None:
    try:
        if _TIME.fullmatch(text):
            datetime.fromisoformat(text)
            return
    except ValueError:
        pass
    raise Corrupt("its time is not RFC 3339 in UTC with microseconds")


def _to_wire(entry: Entry) -> dict[str, object]:
    return {
        "actor": entry.actor,
        "after": None if entry.after is None else _plain(entry.after, "after"),
        "at": _time(entry.at),
        "before": None if entry.before is None else _plain(entry.before, "before"),
        "context": _plain(entry.context, "context"),
        "policy_version": entry.policy_version,
        "subject": entry.subject,
        "type": entry.type,
        "v": VERSION,
    }


def _time(at: datetime) -> datetime | str:
    """The encoder writes a UTC time as `format_time` does, only quicker, unless its microseconds are zero."""
    if at.tzinfo is UTC and at.microsecond:
        return at
    if at.tzinfo is None:
        raise _no_form("its time has no zone")
    return format_time(at)


def _plain(value: Mapping[str, Json], where: str) -> dict[str, Json]:
    """`value` as a dict whose content is JSON of the allowed kinds."""
    plain = value if type(value) is dict else dict(value)
    if not _fits(plain.values(), DEEPEST):
        _name_misfit(plain, (where,))
    return plain


def _fits(items: Iterable[Any], depth: int) -> bool:
    for item in items:
        kind = type(item)
        if kind in _ATOMS:
            continue
        if kind is int:
            if not -LARGEST_INTEGER <= item <= LARGEST_INTEGER:
                return False
        elif kind is dict or kind is list:
            inside = item.values() if kind is dict else item
            if depth == 1 or not _fits(inside, depth - 1):
                return False
        elif not isinstance(item, StrEnum):
            return False
    return True


def _fits_or_none(part: dict[str, Any] | None) -> bool:
    return part is None or _fits(part.values(), DEEPEST)


def _name_misfit(value: object, path: tuple[str, ...]) -> None:
    """Raise for the first part of `value` that does not fit; a second pass, so that the first can be quick."""
    if isinstance(value, int) and not -LARGEST_INTEGER <= value <= LARGEST_INTEGER:
        raise _no_form(f"`{_shown(path)}` is an integer beyond 2^53-1")
    if type(value) not in _KINDS and not isinstance(value, StrEnum):
        raise _no_form(f"`{_shown(path)}` is a {type(value).__name__}")
    if isinstance(value, (dict, list)):
        if len(path) > DEEPEST:
            raise _no_form(f"`{_shown(path[:4])}` is nested deeper than {DEEPEST}")
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            _name_misfit(item, (*path, str(key)))


def _check_keys(value: object) -> None:
    """Only ASCII keys sort the same by code point (here) and by UTF-16 unit (RFC 8785, section 3.2.3)."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not key.isascii():
                raise _no_form(f"the key `{_shown((key,))}` is not ASCII")
            _check_keys(item)
    elif isinstance(value, list):
        for item in value:
            _check_keys(item)


def _check_stored_keys(wire: _Wire) -> None:
    try:
        _check_keys([wire.before, wire.after, wire.context])
    except InvalidInput:
        raise Corrupt("it has a key that is not ASCII") from None


def _shown(path: tuple[str, ...]) -> str:
    return shown(".".join(path))


def _no_form(reason: str) -> InvalidInput:
    return InvalidInput(
        f"the ledger entry cannot be written: {reason}",
        hint="entries hold text, booleans, integers up to 2^53-1, null, lists and objects with ASCII keys",
    )
