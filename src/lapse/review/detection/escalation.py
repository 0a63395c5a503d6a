"""Who can reach an administrator's power, by which way: the table `admin_paths`.

Memberships, powers and escalation steps of a resource are one graph; a search back from the powers gives the shortest
way of every login, so cycles do no harm and the work grows with the number of steps. Called by `stages`.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from lapse.ports import Engine
from lapse.review.collection.snapshot import add_derived
from lapse.review.model import Snapshot
from lapse.review.sql import ask

Row: TypeAlias = Mapping[str, Any]
ADMIN_POWERS = ("superuser", "administrator", "cluster-admin", "root")
"""Native powers that stand above every rule on their target."""

_HELD = """
SELECT resource, account, role, holding, principal, powers, can_login, grant_id
FROM access_observed
WHERE holding <> 'nested'
ORDER BY resource, account, role, grant_id
"""
_STEPS = "SELECT resource, from_name, to_name, how FROM escalation_edges ORDER BY resource, from_name, to_name, how"


@dataclass(frozen=True, slots=True)
class _Step:
    to: str
    how: str
    grant_id: str | None = None


@dataclass(slots=True)
class _Graph:
    """What is known of one resource: `onward` steps by name, and its logins with their principals."""

    onward: dict[str, dict[str, _Step]] = field(default_factory=lambda: defaultdict(dict))
    logins: dict[str, str | None] = field(default_factory=dict)

    def step(self, name: str, step: _Step) -> None:
        self.onward[name].setdefault(step.to, step)


def with_admin_paths(engine: Engine, snapshot: Snapshot) -> Snapshot:
    """`snapshot`, registered in `engine`, with `admin_paths`; as it is where access was not collected."""
    if "access_observed" not in snapshot.manifest.present:
        return snapshot
    rows = admin_path_rows(
        ask(engine, snapshot, _HELD, ["access_observed"]), ask(engine, snapshot, _STEPS, ["escalation_edges"])
    )
    return add_derived(snapshot, "admin_paths", rows, "shortest ways over access_observed and escalation_edges")


def admin_path_rows(held: Iterable[Row], steps: Iterable[Row]) -> Iterator[dict[str, Any]]:
    """Rows of `admin_paths` from rows of `access_observed` (direct ones and powers) and of `escalation_edges`."""
    graphs: dict[str, _Graph] = defaultdict(_Graph)
    for row in held:
        _take(graphs[row["resource"]], row)
    for row in steps:
        if row["resource"] in graphs:
            graphs[row["resource"]].step(row["from_name"], _Step(row["to_name"], row["how"]))
    for resource, graph in sorted(graphs.items()):
        for power in ADMIN_POWERS:
            yield from _ways(resource, graph, f"({power})")


def _take(graph: _Graph, row: Row) -> None:
    account, role = row["account"], row["role"]
    if row["can_login"] is not False and not account.startswith("("):
        graph.logins.setdefault(account, row["principal"])
    how = "has the power" if row["holding"] == "power" else "holds the role"
    graph.step(account, _Step(role, how, row["grant_id"]))
    for power in (row["powers"] or "").split(";"):
        if power in ADMIN_POWERS and role != f"({power})":
            graph.step(role, _Step(f"({power})", "has the power"))


def _ways(resource: str, graph: _Graph, power: str) -> Iterator[dict[str, Any]]:
    nearer = _towards(graph, power)
    for login, principal in sorted(graph.logins.items()):
        if login in nearer:
            names, steps = _way(graph, nearer, login, power)
            yield {
                "resource": resource,
                "account": login,
                "power": power,
                "steps": len(names) - 2,
                "path": " > ".join(names),
                "principal": principal,
                "grant_id": next((step.grant_id for step in steps if step.grant_id), None),
                "how": " > ".join(step.how for step in steps),
            }


def _towards(graph: _Graph, goal: str) -> dict[str, str]:
    """For each name from which `goal` can be reached, the next one on a shortest way; first by name among equals."""
    back: dict[str, list[str]] = defaultdict(list)
    for name, steps in graph.onward.items():
        for to in steps:
            back[to].append(name)
    found, queue = dict[str, str](), deque([goal])
    while queue:
        at = queue.popleft()
        for name in sorted(back[at]):
            if name != goal and name not in found:
                found[name] = at
                queue.append(name)
    return found


def _way(graph: _Graph, nearer: Mapping[str, str], login: str, goal: str) -> tuple[list[str], Sequence[_Step]]:
    names, steps = [login], []
    while names[-1] != goal:
        following = nearer[names[-1]]
        steps.append(graph.onward[names[-1]][following])
        names.append(following)
    return names, steps
