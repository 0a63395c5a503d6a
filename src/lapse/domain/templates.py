"""Request templates: what is asked often, filled in already. They give nothing; the policy decides each request."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from lapse.domain.times import Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """`name` is unique; an empty `owner` shares it with everybody. Several entitlements are asked for as a bundle."""

    name: str
    owner: str
    entitlements: tuple[str, ...]
    duration: timedelta
    created_by: str
    created_at: Instant
    justification: str = ""
    ticket_system: str = ""
    description: str = ""
