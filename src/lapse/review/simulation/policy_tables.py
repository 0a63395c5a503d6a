"""What the policy in force comes to, as evidence: versions, offers, rules without effect, paths, quorums, who may ask.

Offers, quorums and who may ask are counted by the same code that a review of a store uses. Whether a rule decides
anything, and what can be had with nobody deciding, is known by how the policy was made; the tests hold this to what the
solver proves. Called by `run` at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from lapse.policy import parse
from lapse.policy.quorums import eligible, quorum_reaches
from lapse.policy.rules import Limit, Offer
from lapse.review.collection import rows
from lapse.review.collection.offers import offer_rows
from lapse.review.collection.policy_evidence import quorum_row
from lapse.review.simulation.world import World

Row = dict[str, Any]


def policy_version_rows(world: World) -> Iterator[Row]:
    """Every version with its files."""
    for version in world.versions:
        yield rows.policy_row(version, active=version.version == world.version.version)


def offered_rows(world: World) -> Iterator[Row]:
    """What the policy in force offers."""
    yield from offer_rows(world.version, world.catalog)


def effect_rows(world: World, dead: frozenset[str]) -> Iterator[Row]:
    """Whether each rule decides anything: all but the `dead` ones do."""
    policy = parse(world.version.files)
    every: list[Offer | Limit] = [*policy.offers, *policy.limits]
    for rule in every:
        yield {
            "policy_version": world.version.version,
            "rule": rule.name,
            "kind": "offer" if isinstance(rule, Offer) else "limit",
            "decisive": rule.name not in dead,
            "detail": "no answer depends on it" if rule.name in dead else None,
            "file": rule.file,
            "line": rule.line,
        }


def path_rows(world: World) -> Iterator[Row]:
    """Which entitlements can be had with nobody deciding: those of offers that are approved by themselves."""
    unattended: dict[str, str] = {}
    for offer, entitlement, names in eligible(world.policy, world.catalog):
        if offer.auto_approve and names:
            unattended.setdefault(entitlement.name, offer.name)
    for entitlement in world.catalog.entitlements():
        resource, name = world.catalog.resources[entitlement.resource], entitlement.name
        yield {
            "policy_version": world.version.version,
            "entitlement": name,
            "resource": resource.name,
            "role": entitlement.role,
            "tags": rows.joined(tuple(sorted(f"{key}={value}" for key, value in resource.tags.items()))),
            "unattended": name in unattended,
            "offer": unattended.get(name),
            "detail": "one of those it is made to asks for it" if name in unattended else None,
        }


def quorum_rows(world: World) -> Iterator[Row]:
    """Whether those who may ask could get enough approvals."""
    for reach in quorum_reaches(world.policy, world.catalog):
        yield {"policy_version": world.version.version, **quorum_row(reach)}


def eligible_rows(world: World) -> Iterator[Row]:
    """Who may ask for what, and since when where they joined the group within the period."""
    for offer, entitlement, names in eligible(world.policy, world.catalog):
        for name in names:
            yield {
                "principal": name,
                "entitlement": entitlement.name,
                "resource": entitlement.resource,
                "offer": offer.name,
                "since": _since(world, offer, name),
            }


def _since(world: World, offer: Offer, name: str) -> datetime | None:
    groups = [party.partition(":")[2] for party in offer.selector.to if party.startswith("group:")]
    times = [world.member_since[group, name] for group in groups if (group, name) in world.member_since]
    return max(times, default=None)
