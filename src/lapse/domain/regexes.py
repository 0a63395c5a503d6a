"""Regular expressions that other people write: found in time linear in the text, whatever they say.

RE2's syntax (no back references, no look-around) by way of Arrow's kernels, which lapse needs anyway; imported late.
Called where guards and masks are read, and where they are applied.
"""

from __future__ import annotations

from collections.abc import Sequence

from lapse.domain.errors import InvalidInput
from lapse.domain.names import is_printable, shown

LONGEST = 1_000
"""Characters of one expression: its automaton is bounded by RE2, its author's patience by this."""


def check_regex(text: str) -> str:
    """Return `text` if it is a regular expression; `InvalidInput` says what is wrong with it."""
    if not 0 < len(text) <= LONGEST or not is_printable(text):
        raise InvalidInput(
            f"`{shown(text)}` is not a regular expression",
            hint=f"it must be 1 to {LONGEST} characters, none of them a control character",
        )
    try:
        regex_found(text, "")
    except ValueError as error:
        reason = str(error).removeprefix("Invalid regular expression: ")
        raise InvalidInput(
            f"`{shown(text)}` is not a regular expression: {shown(reason, longest=120)}",
            hint="expressions are RE2's: no look-around, no back references (github.com/google/re2/wiki/Syntax)",
        ) from None
    return text


def regex_found(pattern: str, text: str) -> bool:
    """Whether `pattern` is found anywhere in `text`.

    Raises:
        ValueError: `pattern` has not passed `check_regex`.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    return bool(pc.match_substring_regex(pa.scalar(text), pattern=pattern).as_py())


def regex_replaced(pattern: str, texts: Sequence[str], replacement: str) -> list[str]:
    """Each of `texts` with all that `pattern` finds replaced by `replacement`, literally."""
    import pyarrow as pa
    import pyarrow.compute as pc

    literal = replacement.replace("\\", "\\\\")
    replaced = pc.replace_substring_regex(pa.array(texts, pa.large_string()), pattern=pattern, replacement=literal)
    found: list[str] = replaced.to_pylist()
    return found
