"""What the policy in force offers, as evidence. Pure; called by `collect`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lapse.domain.catalog import Catalog
from lapse.policy import parse, reaches
from lapse.ports import PolicyVersion
from lapse.review.collection.rows import seconds


def offer_rows(version: PolicyVersion, catalog: Catalog) -> Iterator[dict[str, Any]]:
    """One row an offer and entitlement it is about, with the limits that bind everybody there.

    Raises:
        InvalidInput: the stored policy cannot be read; the store holds only policies that could.
    """
    policy = parse(version.files)
    for reach in reaches(policy, catalog):
        yield {
            "policy_version": version.version,
            "offer": reach.offer,
            "entitlement": reach.entitlement,
            "resource": reach.entitlement.partition("/")[0],
            "max_duration_s": seconds(reach.max_duration),
            "max_total_s": seconds(reach.max_total),
            "approvals": reach.approvals,
        }
