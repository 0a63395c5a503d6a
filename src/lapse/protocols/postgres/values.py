"""Masked values: of every type a value that is one, in text and in binary format. Pure; called by `masking`.

The whole-value masks have a fixed value for each type they know and NULL for every other. Masks of patterns look into
texts, and keep their length.
"""

from __future__ import annotations

import hmac
import json
import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lapse.domain.guards import Mask, MaskKind
from lapse.domain.regexes import regex_replaced
from lapse.protocols.postgres.frontend import BINARY_FORMAT

PATTERNS = frozenset({MaskKind.EMAIL, MaskKind.CARD, MaskKind.PHONE, MaskKind.CUSTOM})
"""Kinds that mask a part of a text."""

TEXTS = frozenset({18, 19, 25, 705, 1042, 1043})
"""char, name, text, unknown, bpchar and varchar: what is on the wire is the text itself, in both formats."""
JSON, XML, JSONB, BPCHAR, VARCHAR = 114, 142, 3802, 1042, 1043
TEXT_ARRAYS = {1002: 18, 1003: 19, 1009: 25, 1014: 1042, 1015: 1043, 199: 114}
INTEGERS = {20: "!q", 21: "!h", 23: "!i", 26: "!I"}
UUID = 2950
_OTHER = frozenset(
    {17, 700, 701, 790, 1082, 1083, 1114, 1184, 1186, 1266, 1700, 16, 869, 650, 829, 774, UUID, *INTEGERS}
)
"""Types whose values hold no text that a pattern could be meant for."""
STARS = "****"
_MARGIN = 4
"""A length limit in a type's modifier counts so many bytes of header."""
_JSONB_VERSION = b"\1"

_FIXED: dict[int, tuple[bytes, bytes]] = {
    16: (b"f", b"\0"),
    17: (b"\\x", b""),
    20: (b"0", bytes(8)),
    21: (b"0", bytes(2)),
    23: (b"0", bytes(4)),
    26: (b"0", bytes(4)),
    700: (b"0", bytes(4)),
    701: (b"0", bytes(8)),
    1700: (b"0", bytes(8)),
    1082: (b"2000-01-01", bytes(4)),
    1083: (b"00:00:00", bytes(8)),
    1114: (b"2000-01-01 00:00:00", bytes(8)),
    1184: (b"2000-01-01 00:00:00+00", bytes(8)),
    1186: (b"00:00:00", bytes(16)),
    UUID: (b"00000000-0000-0000-0000-000000000000", bytes(16)),
    JSON: (b"null", b"null"),
    JSONB: (b"null", _JSONB_VERSION + b"null"),
    XML: (b"<masked/>", b"<masked/>"),
} | {array: (b"{}", struct.pack("!iiI", 0, 0, element)) for array, element in TEXT_ARRAYS.items()}
"""What stands for any value of a type, as text and in binary."""

# Every repetition is bounded, so that no value takes longer than its length says.
_EMAIL = re.compile(
    r"([A-Za-z0-9])([A-Za-z0-9._%+'-]{0,63})@([A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,8})(\.[A-Za-z]{2,24})"
)
_CARD = re.compile(r"(?<![0-9])[0-9](?:[ -]?[0-9]){12,18}(?![0-9])")
_PHONE = re.compile(r"(?<![0-9A-Za-z])(?:\+|\(|0)[0-9 ()./-]{6,20}[0-9](?![0-9A-Za-z])")
_SHORTEST_PHONE, _LONGEST_PHONE = 7, 15


@dataclass(frozen=True, slots=True)
class Masking:
    """A column's `type`, its `modifier` and `format` as in a RowDescription; the session's encoding and key."""

    type: int
    modifier: int
    format: int
    encoding: str
    key: bytes

    @property
    def binary(self) -> bool:
        """Whether values come in binary."""
        return self.format == BINARY_FORMAT

    @property
    def textual(self) -> bool:
        """Whether patterns are looked for in its values."""
        return self.type not in _OTHER

    @property
    def longest(self) -> int:
        """How many characters a value may have; -1: any number."""
        return self.modifier - _MARGIN if self.type in {BPCHAR, VARCHAR} and self.modifier >= _MARGIN else -1

    def fitted(self, text: str) -> bytes:
        """`text` as a value of the column."""
        if self.longest >= 0:
            text = text[: self.longest]
            text = text.ljust(self.longest) if self.type == BPCHAR else text
        return text.encode(self.codec, "replace")

    @property
    def codec(self) -> str:
        """Python's name of the client's encoding; one that it does not know is read byte by byte."""
        return _CODECS.get(self.encoding.upper(), "latin-1")


_CODECS = {"UTF8": "utf-8", "UNICODE": "utf-8", "LATIN1": "latin-1", "WIN1252": "cp1252", "LATIN9": "iso8859-15"}


def whole_value(kind: MaskKind, value: bytes, column: Masking) -> bytes | None:
    """What the client gets instead of `value`; None is NULL."""
    if kind is MaskKind.NULL:
        return None
    if kind is MaskKind.HASH and (hashed := _hashed(value, column)) is not None:
        return hashed
    if column.type in TEXTS:
        return column.fitted(_last_four(value, column) if kind is MaskKind.LAST4 else STARS)
    fixed = _FIXED.get(column.type)
    return fixed[column.binary] if fixed else None


def _hashed(value: bytes, column: Masking) -> bytes | None:
    digest = hmac.digest(column.key, value, "sha256")
    if column.type in TEXTS:
        return column.fitted(digest[:8].hex())
    if column.type in INTEGERS:
        number = int.from_bytes(digest[:8], "big") % 32_768
        return struct.pack(INTEGERS[column.type], number) if column.binary else str(number).encode()
    if column.type == UUID:
        text = digest[:16].hex()
        return digest[:16] if column.binary else "-".join(re.findall(r"^.{8}|.{4}(?=.{12})|.{12}$", text)).encode()
    return None


def _last_four(value: bytes, column: Masking) -> str:
    text = value.decode(column.codec, "replace").rstrip()
    return "*" * max(len(text) - 4, 0) + text[-4:] if len(text) > len(STARS) else "*" * len(text)


def masked_text(masks: Sequence[Mask], value: bytes, column: Masking) -> bytes | None:
    """`value` with all that the masks look for masked; None where that is not possible in what was found."""
    if not column.binary or column.type in TEXTS or column.type in {JSON, XML}:
        return _replaced(masks, value, column)
    if column.type == JSONB:
        inner = _replaced(masks, value[1:], column)
        return None if inner is None else value[:1] + inner
    if column.type in TEXT_ARRAYS:
        return _array(masks, value, column)
    found = value.decode("latin-1")
    return value if _searched(masks, [found]) == [found] else None


def _array(masks: Sequence[Mask], value: bytes, column: Masking) -> bytes | None:
    """An array of texts in binary: a head with its dimensions, then each element with its length."""
    dimensions = int.from_bytes(value[:4], "big")
    at = 12 + 8 * dimensions
    made = [value[:at]]
    while at < len(value):
        size = int.from_bytes(value[at : at + 4], "big", signed=True)
        element = value[at + 4 : at + 4 + size] if size >= 0 else None
        changed = None if element is None else _replaced(masks, element, column)
        made.append(struct.pack("!i", -1) if changed is None else struct.pack("!i", len(changed)) + changed)
        at += 4 + max(size, 0)
    return b"".join(made)


def masked_texts(masks: Sequence[Mask], values: Sequence[bytes], column: Masking) -> dict[bytes, bytes | None]:
    """`masked_text` of many values at once: expressions of `custom` masks cost most when they begin."""
    if column.binary and column.type not in TEXTS:
        return {value: masked_text(masks, value, column) for value in values}
    texts = [_text(value, column) for value in values]
    found = _searched(masks, texts)
    return {
        value: value if text == new else _made(new, column)
        for value, text, new in zip(values, texts, found, strict=True)
    }


def _replaced(masks: Sequence[Mask], value: bytes, column: Masking) -> bytes | None:
    text = _text(value, column)
    (found,) = _searched(masks, [text])
    return value if found == text else _made(found, column)


def _text(value: bytes, column: Masking) -> str:
    try:
        return value.decode(column.codec)
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _made(text: str, column: Masking) -> bytes:
    if column.type in {JSON, JSONB} and not _is_json(text):
        return b"null"
    return column.fitted(text)


def _searched(masks: Sequence[Mask], texts: list[str]) -> list[str]:
    for mask in masks:
        own = _OWN.get(mask.kind)
        texts = [own(text) for text in texts] if own else regex_replaced(mask.pattern, texts, mask.replacement)
    return texts


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _emails(text: str) -> str:
    def masked(found: re.Match[str]) -> str:
        first, rest, domain, last = found.groups()
        return f"{first}{'*' * len(rest)}@{re.sub('[^.]', '*', domain)}{last}"

    return _EMAIL.sub(masked, text) if "@" in text else text


def _cards(text: str) -> str:
    return _CARD.sub(lambda found: _but_last(found[0], 4) if _luhn(found[0]) else found[0], text)


def _phones(text: str) -> str:
    def masked(found: re.Match[str]) -> str:
        digits = sum(sign.isdigit() for sign in found[0])
        return _but_last(found[0], 2) if _SHORTEST_PHONE <= digits <= _LONGEST_PHONE else found[0]

    return _PHONE.sub(masked, text)


_OWN: dict[MaskKind, Callable[[str], str]] = {
    MaskKind.EMAIL: _emails,
    MaskKind.CARD: _cards,
    MaskKind.PHONE: _phones,
}


def _but_last(text: str, kept: int) -> str:
    """Stars for all digits but the last `kept`."""
    left = sum(sign.isdigit() for sign in text) - kept
    made = []
    for sign in text:
        if sign.isdigit() and left > 0:
            left -= 1
            sign = "*"  # noqa: PLW2901  the digit becomes a star
        made.append(sign)
    return "".join(made)


def _luhn(text: str) -> bool:
    """Whether the digits of `text` have a card number's check digit (ISO/IEC 7812-1)."""
    digits = [int(sign) for sign in reversed(text) if sign.isdigit()]
    doubled = (2 * digit - 9 if digit > 4 else 2 * digit for digit in digits[1::2])  # noqa: PLR2004  of two digits
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0
