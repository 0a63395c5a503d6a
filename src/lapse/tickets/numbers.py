"""What a ticket number of a system can look like; anything else is not asked for."""

from __future__ import annotations

import re
from enum import StrEnum


class NumberForm(StrEnum):
    """`digits`: 4711; `key`: OPS-4711; `text`: anything printable."""

    DIGITS = "digits"
    KEY = "key"
    TEXT = "text"

    def fits(self, number: str) -> bool:
        """Whether `number` could be one."""
        match self:
            case NumberForm.DIGITS:
                return _DIGITS.fullmatch(number) is not None
            case NumberForm.KEY:
                return _KEY.fullmatch(number) is not None
            case NumberForm.TEXT:
                return bool(number.strip())


_DIGITS = re.compile(r"[0-9]{1,18}", re.ASCII)
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,30}-[0-9]{1,12}", re.ASCII)
