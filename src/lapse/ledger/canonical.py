"""Entries as canonical bytes (RFC 8785) and back: what the tree hashes, and what an auditor can re-create.

Guarantee: `decode(encode(entry)) == entry`, `encode(decode(body)) == body`, and `encode` gives the bytes that
RFC 8785 gives. That holds for the fast encoder because entries have no floats, only ASCII keys and only integers
that a double holds exactly; everything else is refused. Called by the store (encode) and by all who read or verify.
"""

from __future__ import annotations

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
_KINDS = frozenset({*_ATOMS, int, list, dict})


class _Wire(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The members of an entry's JSON object, all present, in the order of their keys."""

    actor: str
    after: dict[str, Any] | None
    at: datetime
    before: dict[str, Any] | None
    context: dict[str, Any]
    policy_version: str
    subject: str
    type: str
    v: int


_encode = msgspec.json.Encoder(order="deterministic").encode
"""Sorts what has no order of its own, the keys of dicts; the members of `_Wire` come as they stand."""

_decode = msgspec.json.Decoder(_Wire).decode


def encode(entry: Entry) -> bytes:
    """The canonical bytes of `entry`.

    Raises:
        InvalidInput: it holds something that has no canonical form (a float, a key that is not ASCII, an integer
            beyond 2^53-1, half a surrogate pair, a time without a zone, nesting deeper than 16).
    """
    wire = _to_wire(entry)
    try:
        body = _spelled(wire)
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
        at=wire.at,
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
    if wire.at.tzinfo is not UTC:
        raise Corrupt("its time is not in UTC")
    if _spelled(wire) != body:
        raise Corrupt("not in canonical form")
    if wire.v != VERSION:
        raise Corrupt(f"written in version {wire.v} of the ledger, this program reads {VERSION}")
    # A type that says this to the decoder doubles with each level of nesting, and takes a third of a second to build.
    if not _contents_fit(wire):
        raise Corrupt("it holds a float, an integer beyond 2^53-1, or is nested too deep")
    if not body.isascii():
        _check_stored_keys(wire)
    return wire


def _to_wire(entry: Entry) -> _Wire:
    kind, actor, subject, policy = entry.type, entry.actor, entry.subject, entry.policy_version
    if not type(kind) is type(actor) is type(subject) is type(policy) is str:
        _check_texts(kind, actor, subject, policy)
    if entry.at.tzinfo is None:
        raise _no_form("its time has no zone")
    before, after = entry.before, entry.after
    return _Wire(
        actor=actor,
        after=None if after is None else _plain(after, "after"),
        at=entry.at,
        before=None if before is None else _plain(before, "before"),
        context=_plain(entry.context, "context"),
        policy_version=policy,
        subject=subject,
        type=kind,
        v=VERSION,
    )


def _spelled(wire: _Wire) -> bytes:
    """`wire` in bytes. The encoder writes a UTC time as `format_time` does, unless its microseconds are zero."""
    at = wire.at
    if at.tzinfo is UTC and at.microsecond:
        return _encode(wire)
    return _encode(msgspec.structs.replace(wire, at=format_time(at)))


def _check_texts(*texts: object) -> None:
    if not all(isinstance(text, str) for text in texts):
        raise _no_form("its type, actor, subject or policy version is not text")


def _plain(value: Mapping[str, Json], where: str) -> dict[str, Json]:
    """`value` as a dict whose content is JSON of the allowed kinds."""
    plain = value if type(value) is dict else dict(value)
    if not _fits(plain.values(), DEEPEST):
        _name_misfit(plain, (where,))
    return plain


def _fits(items: Iterable[Any], depth: int) -> bool:
    for item in items:
        kind = type(item)
        if kind is str or kind in _ATOMS:
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


def _contents_fit(wire: _Wire) -> bool:
    before, after = wire.before, wire.after
    return (
        (before is None or _fits(before.values(), DEEPEST))
        and (after is None or _fits(after.values(), DEEPEST))
        and _fits(wire.context.values(), DEEPEST)
    )


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


def _check_keys(wire: _Wire) -> None:
    for content in (wire.before, wire.after, wire.context):
        _check_keys_in(content)


def _check_keys_in(value: object) -> None:
    """Only ASCII keys sort the same by code point (here) and by UTF-16 unit (RFC 8785, section 3.2.3)."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not key.isascii():
                raise _no_form(f"the key `{_shown((key,))}` is not ASCII")
            _check_keys_in(item)
    elif isinstance(value, list):
        for item in value:
            _check_keys_in(item)


def _check_stored_keys(wire: _Wire) -> None:
    try:
        _check_keys(wire)
    except InvalidInput:
        raise Corrupt("it has a key that is not ASCII") from None


def _shown(path: tuple[str, ...]) -> str:
    return shown(".".join(path))


def _no_form(reason: str) -> InvalidInput:
    return InvalidInput(
        f"the ledger entry cannot be written: {reason}",
        hint="entries hold text, booleans, integers up to 2^53-1, null, lists and objects with ASCII keys",
    )
