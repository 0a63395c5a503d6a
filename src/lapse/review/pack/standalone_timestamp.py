"""What a pack's time stamp says (RFC 3161), read from its DER: the hash that was stamped, when, and by whose clock.

Guarantee: `read_stamp` gives what the token in a response holds, or raises ValueError. It checks no signature: that
needs the authority's certificate, which is no part of a pack. This source is also part of the `verify.py` inside a
pack: Python 3.8 and its standard library only.
"""

from __future__ import annotations

from typing import NamedTuple

STAMP = "manifest.tsr"
LARGEST_STAMP = 1 << 20
_SEQUENCE, _INTEGER, _OCTETS, _OID, _TIME, _EXPLICIT = 0x30, 0x02, 0x04, 0x06, 0x18, 0xA0
_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")  # 1.2.840.113549.1.7.2
_TST_INFO = bytes.fromhex("2a864886f70d0109100104")  # 1.2.840.113549.1.9.16.1.4
_SHA256 = bytes.fromhex("608648016503040201")  # 2.16.840.1.101.3.4.2.1
_MOST_GRANTED = 1  # PKIStatus: 0 granted, 1 granted with modifications
_LONG_FORM, _MOST_LENGTH_BYTES = 0x80, 4
_SHORTEST_TIME = 15


class Stamp(NamedTuple):
    """SHA-256 (hex) of what was stamped, and the time (UTC, `YYYYMMDDHHMMSS[.f]Z`) that the authority put there."""

    sha256: str
    time: str

    @property
    def shown(self) -> str:
        """The time as RFC 3339 writes it."""
        t = self.time
        return f"{t[:4]}-{t[4:6]}-{t[6:8]}T{t[8:10]}:{t[10:12]}:{t[12:]}"


def read_stamp(response: bytes) -> Stamp:
    """What the time-stamp response `response` says (RFC 3161, section 2.4.2).

    Raises:
        ValueError: it is no such response, was refused, or is over another kind of hash than SHA-256.
    """
    status, token = _children(_whole(response, _SEQUENCE))[:2]
    granted = _children(_is(status, _SEQUENCE))[0]
    if int.from_bytes(_is(granted, _INTEGER), "big") > _MOST_GRANTED:
        raise ValueError("the authority refused it")
    kind, content = _children(_is(token, _SEQUENCE))[:2]
    if _is(kind, _OID) != _SIGNED_DATA:
        raise ValueError("it holds no signed data")
    signed = _children(_whole(_is(content, _EXPLICIT), _SEQUENCE))
    kind, content = _children(_is(signed[2], _SEQUENCE))[:2]
    if _is(kind, _OID) != _TST_INFO:
        raise ValueError("what is signed is no time stamp")
    return _read_info(_whole(_is(content, _EXPLICIT), _OCTETS))


def _read_info(raw: bytes) -> Stamp:
    info = _children(_whole(raw, _SEQUENCE))
    algorithm, message = _children(_is(info[2], _SEQUENCE))[:2]
    if _is(_children(_is(algorithm, _SEQUENCE))[0], _OID) != _SHA256:
        raise ValueError("it is not over a SHA-256")
    time = _is(info[4], _TIME).decode("ascii")
    if len(time) < _SHORTEST_TIME or not time[:14].isdigit() or not time.endswith("Z"):
        raise ValueError("its time cannot be read")
    return Stamp(_is(message, _OCTETS).hex(), time)


def _children(contents: bytes) -> list[tuple[int, bytes]]:
    """Tag and contents of each value in a constructed one; at least five, so that callers need not count."""
    found, rest = [], contents
    while rest:
        tag, inner, rest = _value(rest)
        found.append((tag, inner))
    return found + [(0, b"")] * 5


def _value(raw: bytes) -> tuple[int, bytes, bytes]:
    """Tag, contents and what follows of the first value in `raw` (X.690, section 8.1, definite lengths)."""
    if len(raw) < 2:  # noqa: PLR2004  a tag and a length
        raise ValueError("it is cut short")
    start, length = 2, raw[1]
    if length >= _LONG_FORM:
        more = length - _LONG_FORM
        if not 0 < more <= _MOST_LENGTH_BYTES or len(raw) < start + more:
            raise ValueError("it has a length that cannot be read")
        length = int.from_bytes(raw[start : start + more], "big")
        start += more
    if len(raw) < start + length:
        raise ValueError("it is cut short")
    return raw[0], raw[start : start + length], raw[start + length :]


def _whole(raw: bytes, tag: int) -> bytes:
    """The contents of the one value that `raw` is."""
    found, contents, rest = _value(raw)
    if rest:
        raise ValueError("it has bytes after its end")
    return _is((found, contents), tag)


def _is(value: tuple[int, bytes], tag: int) -> bytes:
    if value[0] != tag:
        raise ValueError("it is not built as a time stamp is")
    return value[1]
