"""Step 3, validate, for roles: is each as narrow as its use, and do people hold what their job needs?

Takes a snapshot registered in an engine; nothing is changed. Called by `stages`.
"""

from __future__ import annotations

from lapse.ports import Engine
from lapse.review.in_force import policy_in_force
from lapse.review.model import Snapshot
from lapse.review.roles.check import role_checks
from lapse.review.roles.model import RoleCheck, RoleState, RoleValidation
from lapse.review.roles.peers import movers, teams

_NEEDED = {
    "role_privileges": "what roles allow",
    "usage": "what was done",
    "coverage": "whether all that was done is on record",
    "principals": "who works in which job",
    "people_events": "who changed jobs",
}
_ORDER = list(RoleState)


def validate_roles(engine: Engine, snapshot: Snapshot) -> RoleValidation:
    """Every role whose rights are on record, movers and teams; proposals with most unused rights first."""
    present = snapshot.manifest.present
    in_force = policy_in_force(engine, snapshot)
    checks = role_checks(engine, snapshot, in_force.offer if in_force else lambda _name: None)
    return RoleValidation(
        checks=tuple(sorted(checks, key=_rank)),
        movers=movers(engine, snapshot) if {"people_events", "principals"} <= present else (),
        teams=teams(engine, snapshot) if "principals" in present else (),
        missing=tuple(
            f"{what}: there is no evidence in `{table}`" for table, what in _NEEDED.items() if table not in present
        ),
    )


def _rank(check: RoleCheck) -> tuple[int, int, str, str]:
    return _ORDER.index(check.state), -check.unused, check.resource, check.role
