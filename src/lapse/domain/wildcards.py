"""Wildcards: `*` stands for any characters and `?` for one; matching cannot explode.

Used wherever people name several things at once: entitlements in policies, tables and columns in guards.
"""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=4096)
def wildcard_match(pattern: str, text: str) -> bool:
    """Whether `text` is of the form `pattern`; goes back to the last `*` only, so it cannot explode."""
    if "*" not in pattern and "?" not in pattern:
        return pattern == text
    p = t = 0
    star, resume = -1, 0
    while t < len(text):
        if p < len(pattern) and pattern[p] == "*":
            star, resume = p, t
            p += 1
        elif p < len(pattern) and pattern[p] in {"?", text[t]}:
            p, t = p + 1, t + 1
        elif star >= 0:
            resume += 1
            p, t = star + 1, resume
        else:
            return False
    return not pattern[p:].strip("*")
