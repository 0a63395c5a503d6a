"""The claims of a policy as a second person reads them before it comes into force, whether or not z3 is installed.

`claim_effects` is called by `bootstrap` when a change of the policy is proposed; `installed` by the command line.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from importlib.util import find_spec

from lapse.domain.catalog import Catalog
from lapse.policy.effects import ClaimEffect, ProofOutcome
from lapse.policy.rules import Policy

HOW_TO_INSTALL = "pip install 'lapse[prove]'"


def installed() -> bool:
    """Whether the solver is there."""
    return find_spec("z3") is not None


def claim_effects(
    policy: Policy, catalog: Catalog | None = None, *, timeout: timedelta, clock: Callable[[], float]
) -> tuple[ClaimEffect, ...]:
    """Every claim of `policy`: proved, refuted with the counter-example as lines, or unknown with the reason.

    Each takes at most `timeout` on `clock`, which counts seconds. With a `catalog` it is decided for what is in it.
    """
    if not policy.claims:
        return ()
    if not installed():
        detail = f"the solver is not installed (`{HOW_TO_INSTALL}`)"
        return tuple(
            ClaimEffect(name=claim.name, outcome=ProofOutcome.UNKNOWN, detail=detail) for claim in policy.claims
        )
    from lapse.policy.proof.decide import Prover
    from lapse.policy.proof.render import lines_of

    prover = Prover(policy, clock=clock, timeout=timeout, catalog=catalog)
    return tuple(
        ClaimEffect(
            name=proof.claim,
            outcome=proof.outcome,
            detail=proof.detail,
            lines=lines_of(proof.counter_example) if proof.counter_example else (),
        )
        for proof in prover.proofs()
    )
