"""OpenSSH key revocation lists (PROTOCOL.krl, format 1) that name certificates of one authority by serial number.

`write_krl` gives what `RevokedKeys` of sshd takes; `read_krl` reads it back and refuses whatever else the format could
say. Used by the API that serves the list, and by whoever checks what a host was given.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from lapse.domain.errors import InvalidInput
from lapse.domain.times import Instant
from lapse.protocols.ssh.keys import public_text, read_public_key, wire_form

MAGIC, FORMAT = 0x5353484B524C0A00, 1
LARGEST_KRL = 16 * 1024 * 1024
"""Two million serial numbers; a reader takes no more bytes."""

_LARGEST_BITMAP = 128 * 1024  # a million serial numbers
_CERTIFICATES, _SERIAL_LIST = 1, 0x20
_HEADER = struct.Struct(">QIQQQ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Krl:
    """The certificates of `ca` (OpenSSH's text) that are revoked. `version` grows with each list that is given out."""

    ca: str
    version: int
    generated_at: Instant
    serials: frozenset[int]
    comment: str = ""


def write_krl(krl: Krl) -> bytes:
    """The list's bytes: equal lists give equal bytes."""
    header = _HEADER.pack(MAGIC, FORMAT, krl.version, int(krl.generated_at.timestamp()), 0)
    body = _string(wire_form(read_public_key(krl.ca))) + _string(b"")
    if krl.serials:
        body += _section(_SERIAL_LIST, b"".join(map(_number, _ascending(krl.serials))))
    return header + _string(b"") + _string(krl.comment.encode()) + _section(_CERTIFICATES, body)


def read_krl(data: bytes) -> Krl:
    """A list as `write_krl` gives it, or OpenSSH's own (lists, ranges and bitmaps of serial numbers).

    Raises:
        InvalidInput: it is cut short, too large, or says more than certificates of one authority.
    """
    if len(data) > LARGEST_KRL:
        raise InvalidInput("the revocation list is too large")
    rest = _Rest(data)
    magic, form, version, generated, _flags = _HEADER.unpack(rest.take(_HEADER.size))
    if (magic, form) != (MAGIC, FORMAT):
        raise InvalidInput("this is not an OpenSSH revocation list")
    rest.string()
    comment = rest.string()
    kind, section = rest.section()
    if kind != _CERTIFICATES or rest.left:
        raise InvalidInput("the revocation list names more than certificates of one authority")
    try:
        at, text = datetime.fromtimestamp(generated, UTC), comment.decode()
    except (ValueError, OverflowError, OSError):
        raise InvalidInput("the revocation list's head cannot be read") from None
    ca, serials = _certificates(_Rest(section))
    return Krl(ca=ca, version=version, generated_at=at, serials=serials, comment=text)


def _certificates(rest: _Rest) -> tuple[str, frozenset[int]]:
    key = rest.string()
    rest.string()
    serials: set[int] = set()
    while rest.left:
        serials |= _serials(*rest.section())
    return _ca_text(key), frozenset(_ascending(serials))


def _serials(kind: int, content: bytes) -> set[int]:
    match kind:
        case 0x20:  # KRL_SECTION_CERT_SERIAL_LIST
            return set(_numbers(content))
        case 0x21:  # KRL_SECTION_CERT_SERIAL_RANGE
            return _range(*_numbers(content))
        case 0x22:  # KRL_SECTION_CERT_SERIAL_BITMAP
            return _bitmap(_Rest(content))
        case _:
            raise InvalidInput("the revocation list names certificates in a way that is not read here")


def _numbers(content: bytes) -> tuple[int, ...]:
    if len(content) % 8:
        raise InvalidInput("the revocation list is cut short")
    return struct.unpack(f">{len(content) // 8}Q", content)


def _range(*ends: int) -> set[int]:
    if len(ends) != 2 or not 0 <= ends[1] - ends[0] < LARGEST_KRL // 8:  # noqa: PLR2004  a first and a last
        raise InvalidInput("the revocation list has a range that is none, or too long")
    return set(range(ends[0], ends[1] + 1))


def _bitmap(rest: _Rest) -> set[int]:
    (offset,) = _numbers(rest.take(8))
    bits = rest.string()
    if len(bits) > _LARGEST_BITMAP:
        raise InvalidInput("the revocation list has a bitmap that is too long")
    low_first = enumerate(reversed(bits))
    return {offset + 8 * at + bit for at, byte in low_first for bit in range(8) if byte >> bit & 1}


def _ca_text(wire: bytes) -> str:
    kind = _Rest(wire).string()
    text = f"{kind.decode('ascii', 'replace')} {base64.b64encode(wire).decode()}"
    return public_text(read_public_key(text))


def _ascending(serials: Iterable[int]) -> list[int]:
    found = sorted(serials)
    if found and not 0 < found[0] <= found[-1] < 2**64:
        raise InvalidInput("a serial number is between 1 and 2^64-1")
    return found


def _number(value: int) -> bytes:
    return struct.pack(">Q", value)


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _section(kind: int, content: bytes) -> bytes:
    return bytes((kind,)) + _string(content)


class _Rest:
    """What is left to read of some bytes."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = memoryview(data), 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, size: int) -> bytes:
        if size > self.left:
            raise InvalidInput("the revocation list is cut short")
        self._at += size
        return bytes(self._data[self._at - size : self._at])

    def string(self) -> bytes:
        (size,) = struct.unpack(">I", self.take(4))
        return self.take(size)

    def section(self) -> tuple[int, bytes]:
        return self.take(1)[0], self.string()
