"""The policy in force, as the evidence has it. Called by the parts of a review that propose changes of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from lapse.policy import Policy, PolicyErrors, parse
from lapse.policy.editing import CannotEdit, OfferText, offer_text
from lapse.ports import Engine
from lapse.review.model import Snapshot
from lapse.review.sql import ask

_SQL = "SELECT policy_version, files FROM policies WHERE active ORDER BY activated_at DESC, policy_version"


@dataclass(frozen=True, kw_only=True)
class InForce:
    """The policy in force: its version, its files and what they say."""

    version: str
    files: Mapping[str, str]
    policy: Policy

    def offer(self, name: str) -> OfferText | None:
        """The text of an offer; None where it is not there, or stands so that it cannot be read by itself."""
        try:
            return offer_text(self.files, name)
        except CannotEdit:
            return None


def policy_in_force(engine: Engine, snapshot: Snapshot) -> InForce | None:
    """The policy in force; None where none is on record, or not one that this version of lapse can read."""
    for row in ask(engine, snapshot, _SQL, ["policies"]):
        try:
            files = json.loads(row["files"])
            return InForce(version=row["policy_version"], files=files, policy=parse(files))
        except (ValueError, PolicyErrors, TypeError, AttributeError):
            return None
    return None
