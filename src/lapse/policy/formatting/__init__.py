"""Policy files in one canonical layout, with their comments and their meaning. Used by `lapse policy fmt`."""

from __future__ import annotations

from lapse.policy.formatting.format import format_policy

__all__ = ["format_policy"]
