"""SASLprep (RFC 4013): how a password is written before it is hashed, so that two keyboards mean the same.

Like PostgreSQL and libpq, a password that the profile does not allow is used as it is.
"""

from __future__ import annotations

import stringprep
import unicodedata
from collections.abc import Callable

_PROHIBITED: tuple[Callable[[str], bool], ...] = (
    stringprep.in_table_a1,
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def prepared(password: str) -> bytes:
    """The bytes of `password` that SCRAM hashes."""
    if password.isascii():
        return password.encode()
    spaces = "".join(" " if stringprep.in_table_c12(one) else one for one in password)
    mapped = "".join(one for one in spaces if not stringprep.in_table_b1(one))
    normal = unicodedata.normalize("NFKC", mapped)
    return (normal if normal and _allowed(normal) else password).encode("utf-8", "surrogateescape")


def _allowed(text: str) -> bool:
    if any(prohibited(one) for prohibited in _PROHIBITED for one in text):
        return False
    if not any(map(stringprep.in_table_d1, text)):
        return True
    ends = stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
    return ends and not any(map(stringprep.in_table_d2, text))
