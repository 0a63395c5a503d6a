"""Reads JSON answers of other systems: bounded, and by JSON pointers (RFC 6901). Anything odd is `Unavailable`."""

from __future__ import annotations

from typing import Any

import msgspec

from lapse.domain.errors import InvalidInput, Unavailable
from lapse.domain.names import shown

MISSING = object()
LONGEST_POINTER = 200


def check_pointer(text: str) -> str:
    """Return `text` if it is a JSON pointer like `/fields/status/name`; the empty one is the whole answer."""
    if len(text) > LONGEST_POINTER or (text and not text.startswith("/")):
        raise InvalidInput(f"`{shown(text)}` is not a JSON pointer", hint="write it as `/fields/status/name`")
    return text


def decoded(body: bytes) -> Any:
    """The JSON value of an answer."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        raise Unavailable("it answers with something that is not JSON") from None


def at(value: Any, pointer: str) -> Any:
    """What stands at `pointer` in `value`; `MISSING` if nothing does."""
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(key, MISSING)
        elif isinstance(value, list) and key.isascii() and key.isdigit() and int(key[:9]) < len(value):
            value = value[int(key[:9])]
        else:
            return MISSING
    return value


def text_at(value: Any, pointer: str, *, longest: int = 120) -> str:
    """The text or number at `pointer`, made printable and cut; empty if there is none."""
    found = at(value, pointer) if pointer else MISSING
    if isinstance(found, bool) or not isinstance(found, str | int | float):
        return ""
    return shown(str(found).strip(), longest=longest)
