"""Names of principals, groups, resources, roles and rules, checked once where they enter.

A name is safe in a URL path, a file name, a log line and a terminal. Names on targets (`native` names) are
not ours to restrict: they only must be printable, and reach SQL through the driver's own quoting.
"""

from __future__ import annotations

import re
import unicodedata

from lapse.domain.errors import InvalidInput

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._@+-]{0,126}[a-z0-9])?", re.ASCII)
LONGEST_TEXT = 4_000
LONGEST_NATIVE = 256


def check_name(text: str, *, what: str = "name") -> str:
    """Return `text` if it is a name: lowercase letters, digits and `._@+-` inside, at most 128 characters."""
    if not _NAME.fullmatch(text):
        raise InvalidInput(
            f"`{shown(text)}` is not a {what}",
            hint="use lowercase letters, digits and . _ @ + - (a letter or digit at both ends, 128 at most)",
        )
    return text


def check_native(text: str, *, what: str = "name on the target") -> str:
    """Return `text` if a target could hold it: printable, not empty, at most 256 characters."""
    if not text or len(text) > LONGEST_NATIVE or not is_printable(text):
        raise InvalidInput(
            f"`{shown(text)}` is not a {what}",
            hint="it must be 1 to 256 characters, none of them a control character",
        )
    return text


def check_text(text: str, *, what: str, longest: int = LONGEST_TEXT) -> str:
    """Return the stripped `text` if it is a person's prose: no control characters but newline and tab."""
    clean = text.strip()
    if len(clean) > longest:
        raise InvalidInput(f"the {what} has {len(clean)} characters, {longest} at most", hint=f"shorten the {what}")
    if not is_printable(clean.replace("\n", " ").replace("\t", " ")):
        raise InvalidInput(f"the {what} contains a control character", hint="remove it and try again")
    return clean


def split_entitlement(text: str) -> tuple[str, str]:
    """Split `pg-prod/reader` into resource and role, both checked."""
    resource, slash, role = text.partition("/")
    if not slash:
        raise InvalidInput(f"`{shown(text)}` is not an entitlement", hint="write it as `resource/role`")
    return check_name(resource, what="resource name"), check_name(role, what="role name")


def is_printable(text: str) -> bool:
    """No control, surrogate, unassigned or direction-override characters: what is shown is what is there."""
    if text.isascii():
        return text.isprintable()
    return not any(unicodedata.category(c) in {"Cc", "Cs", "Cn", "Cf", "Zl", "Zp"} for c in text)


def shown(text: str, longest: int = 60) -> str:
    """`text` made safe to print in a message: escaped where not printable, and cut."""
    cut = text[:longest] + ("…" if len(text) > longest else "")
    if cut.isascii() and cut.isprintable():
        return cut
    return "".join(c if is_printable(c) else c.encode("unicode_escape").decode() for c in cut)
