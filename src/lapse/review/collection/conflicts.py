"""Separation of duties from a YAML file: conflicts with sides, of which nobody may hold two at a time.

Called by `collect`. The file is the operator's, and every mistake in it is named with its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lapse.domain.errors import InvalidInput
from lapse.domain.names import shown, split_entitlement
from lapse.review.sources.listed import read_yaml_list

_MOST_BYTES = 4 << 20
_FEWEST_SIDES = 2
_HINT = "write `conflicts:` with `name`, `reason` and `sides:`, each side a list of RESOURCE/ROLE"


def conflict_rows(file: Path) -> list[dict[str, Any]]:
    """Rows of `conflicts` from `file`.

    Raises:
        NotFound: there is no such file.
        InvalidInput: it is not such a file; the message says where.
    """
    listed = read_yaml_list(file, "conflicts", most_bytes=_MOST_BYTES, hint=_HINT)
    return [row for number, entry in enumerate(listed, start=1) for row in _rows(file, number, entry)]


def _rows(file: Path, number: int, entry: Any) -> Iterator[dict[str, Any]]:
    where = f"conflict {number} of `{shown(file.name)}`"
    if not isinstance(entry, dict) or not {"name", "sides"} <= entry.keys() <= {"name", "sides", "reason"}:
        raise InvalidInput(f"{where} is not `name`, `sides` and `reason`", hint=_HINT)
    sides = entry["sides"]
    if not isinstance(sides, dict) or len(sides) < _FEWEST_SIDES:
        raise InvalidInput(f"{where} needs at least two sides", hint=_HINT)
    for side, roles in sides.items():
        if not isinstance(roles, list) or not roles or not all(isinstance(role, str) for role in roles):
            raise InvalidInput(f"side `{shown(str(side))}` of {where} is no list of RESOURCE/ROLE", hint=_HINT)
        for role in roles:
            resource, name = split_entitlement(role)
            yield {
                "conflict": str(entry["name"]),
                "side": str(side),
                "resource": resource,
                "role": name,
                "reason": str(entry["reason"]) if entry.get("reason") else None,
            }
