"""Every operation of the API, by topic."""

from __future__ import annotations

from lapse.entrypoints.api.operations import Operation
from lapse.entrypoints.api.routes import (
    about,
    approvals,
    breakglass,
    bundles,
    catalog,
    connections,
    delegations,
    exceptions,
    grants,
    holds,
    hosts,
    integrations,
    ledger,
    locks,
    policies,
    policy_changes,
    recordings,
    requests,
    review_items,
    review_parts,
    reviews,
    schedules,
    sessions,
    targets,
    templates,
    tokens,
)

OPERATIONS: tuple[Operation, ...] = tuple(
    operation
    for module in (
        requests,
        bundles,
        templates,
        breakglass,
        approvals,
        delegations,
        grants,
        connections,
        sessions,
        recordings,
        holds,
        hosts,
        locks,
        targets,
        catalog,
        policies,
        policy_changes,
        tokens,
        ledger,
        reviews,
        review_items,
        review_parts,
        exceptions,
        schedules,
        integrations,
        about,
    )
    for operation in module.ROUTES.operations
)
