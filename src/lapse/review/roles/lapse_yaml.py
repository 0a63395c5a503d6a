"""The narrower role as lapse's own files say it: an entitlement for the catalog, and the offer that gives it. Pure.

The offer is that of the role it replaces, under a name of its own. Called by `spelling`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from lapse.policy.editing import OfferText

_PLAIN = re.compile(r"[a-z][a-z0-9_.-]*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowed:
    """Names: of the entitlement that is narrowed and its parts, of the new role, and of the new native role."""

    resource: str
    connector: str
    role: str
    new_role: str
    native: str
    new_native: str
    mode: str = ""

    @property
    def entitlement(self) -> str:
        """The new one."""
        return f"{self.resource}/{self.new_role}"


def catalog_of(names: Narrowed) -> str:
    """The entitlement to add to the resource in the catalog."""
    native = {"role": names.new_native} | ({"mode": names.mode} if names.mode else {})
    spelled = ", ".join(f"{key}: {_text(value)}" for key, value in native.items())
    return (
        f"resources:\n  - name: {_text(names.resource)}\n    connector: {_text(names.connector)}\n"
        f"    # beside the entitlements that it has\n    entitlements:\n      - role: {_text(names.new_role)}\n"
        f"        title: {_text(f'what {names.role} is used for')}\n        native: {{{spelled}}}\n"
    )


def offer_of(names: Narrowed, like: OfferText) -> str:
    """A policy file with the offer of the new entitlement, on the terms of `like`."""
    values = {"name": f"{like.name}-narrow"[:128], "entitlements": _text(names.entitlement)}
    lines = like.like(values, like.keys - {"name", "entitlements", "description"})
    return "version: 1\n\noffers:\n" + "".join(f"  {line}\n" for line in lines)


def _text(text: str) -> str:
    return text if _PLAIN.fullmatch(text) and text not in {"yes", "no", "true", "false", "null"} else json.dumps(text)
