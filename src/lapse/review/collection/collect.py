"""Step 2a, collect: the full population of the scope into one frozen snapshot.

Three ways in, one way out: a store with its ledger and fresh observations of its targets (`collect`), a folder
of evidence files alone (`collect_imports`), or observations alone of targets that nothing manages
(`collect_brownfield`). Counts are reconciled against a second, independent one; a mismatch is a problem in the
manifest. Called by `stages` and the edges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from lapse.domain.access import Observation
from lapse.domain.catalog import Catalog
from lapse.domain.resources import Resource
from lapse.ports import Reader, Store
from lapse.review.collection import rows
from lapse.review.collection.conflicts import conflict_rows
from lapse.review.collection.identities import Identities
from lapse.review.collection.identity_rules import MAPPING, rules_of
from lapse.review.collection.imports import PEOPLE, import_folder
from lapse.review.collection.ledger_rows import read_ledger
from lapse.review.collection.observed import (
    Explanations,
    access_rows,
    account_rows,
    escalation_rows,
    privilege_rows,
    role_privilege_rows,
)
from lapse.review.collection.people import People, leaving_rows, principal_rows, read_people
from lapse.review.collection.policy_evidence import PolicyEvidence
from lapse.review.collection.population import write_population
from lapse.review.collection.snapshot import SnapshotWriter
from lapse.review.detection.detector import detectors_in
from lapse.review.frame import Population
from lapse.review.model import NO_TARGET, Problem, Snapshot
from lapse.review.scope import ReviewScope
from lapse.review.sources.reading import Reading
from lapse.review.sources.registry import read_source, source_of
from lapse.review.sources.wanted import WantedSource

_TABLES_OF_OBSERVATION = {
    "accounts": "accounts",
    "access_observed": "memberships",
    "object_privileges": "privileges",
    "role_privileges": "privileges",
    "escalation_edges": "memberships",
    "target_reads": "",
}
"""Evidence tables that an observation fills, and the kind of row whose origin it states."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerCheck:
    """The verdict of one check of the ledger, from whoever verified it before the review relies on it."""

    name: str
    ok: bool
    entries: int | None = None
    first_bad: int | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What a review reads besides the store.

    `observations` are fresh reads of the targets, `unread` says why others could not be read. `imports` is a
    folder of evidence files (with `people.csv` and `identities.csv`), `conflicts` a file of conflicting duties,
    `sources` what other systems recorded, `detectors` a folder of detectors of one's own; `tell` hears how many bytes
    of which source were read. `ledger_checks` None means that nobody verified the ledger, `policy` None that nobody
    analysed the policy.
    """

    observations: Sequence[Observation] = ()
    unread: Mapping[str, str] = field(default_factory=dict)
    imports: Path | None = None
    people: Path | None = None
    conflicts: Path | None = None
    sources: Sequence[WantedSource] = ()
    detectors: Path | None = None
    tell: Callable[[str, int], None] = lambda _source, _bytes: None
    ledger_checks: Sequence[LedgerCheck] | None = None
    policy: PolicyEvidence | None = None


async def collect(store: Store, inputs: Inputs, scope: ReviewScope, folder: Path, now: datetime) -> Snapshot:
    """The population of `scope` from a store and its ledger, with what `inputs` adds, into `folder`.

    Raises:
        InvalidInput: no resource is in scope, or the folder is not empty.
        NotFound: the folder of imports does not exist.
        Unavailable: the store cannot be read.
    """

    async def work(reader: Reader) -> Snapshot:
        catalog = await reader.catalog()
        resources = scope.resources_of(catalog)
        writer = SnapshotWriter(folder, scope, now)
        facts = await read_ledger(store.ledger, writer, now)
        population = Population(at=now, catalog=catalog, resources=frozenset(resources), scope=scope, facts=facts)
        why = await write_population(reader, population, writer)
        people = _people(inputs)
        identities = _identities(writer, inputs, catalog, people)
        _write_people_events(writer, people, catalog, now)
        _write_observations(writer, inputs, resources, why, identities.of)
        _write_checks(writer, inputs, now)
        collect_policy(writer, inputs, resources)
        _write_from_elsewhere(writer, inputs, identities)
        if not writer.has("coverage"):
            writer.gap("usage", "sightings are samples, and nothing says when every use was recorded")
        return writer.finish(resources)

    return await store.read(work)


def collect_imports(inputs: Inputs, scope: ReviewScope, folder: Path, now: datetime) -> Snapshot:
    """The population as evidence files and other systems' records have it, and nothing else."""
    writer = SnapshotWriter(folder, scope, now)
    people = _people(inputs)
    if people.persons:
        writer.begin("principals", "people.csv")
        writer.add("principals", principal_rows(people, now))
    _write_people_events(writer, people, Catalog(), now)
    _write_from_elsewhere(writer, inputs, _identities(writer, inputs, Catalog(), people))
    return writer.finish(())


def collect_brownfield(inputs: Inputs, scope: ReviewScope, folder: Path, now: datetime) -> Snapshot:
    """What is on the targets observed, that nothing manages, with who works here if a file says so."""
    writer = SnapshotWriter(folder, scope, now)
    known = _people(inputs)
    resources = [Resource(name=o.resource, connector=o.server.partition(" ")[0].lower()) for o in inputs.observations]
    writer.begin("resources", "targets given")
    for resource in resources:
        row = rows.resource_row(resource, Catalog(), None)
        writer.add("resources", [row | {"owner_active": None}])
    if known.persons:
        writer.begin("principals", "people.csv")
        writer.add("principals", principal_rows(known, now))
        _write_people_events(writer, known, Catalog(), now)
    names = [resource.name for resource in resources]
    identities = _identities(writer, inputs, Catalog(), known)
    _write_observations(writer, inputs, names, Explanations(), identities.of)
    _write_from_elsewhere(writer, inputs, identities)
    return writer.finish(names)


def _people(inputs: Inputs) -> People:
    path = inputs.people
    if path is None and inputs.imports is not None and (inputs.imports / f"{PEOPLE}.csv").is_file():
        path = inputs.imports / f"{PEOPLE}.csv"
    return read_people(path) if path else People()


def _write_people_events(writer: SnapshotWriter, people: People, catalog: Catalog, now: datetime) -> None:
    for problem in people.problems:
        writer.problem(problem)
    if people.persons:
        writer.begin("people_events", "people.csv")
        writer.add("people_events", leaving_rows(people, catalog, now))


def _write_observations(
    writer: SnapshotWriter,
    inputs: Inputs,
    resources: Iterable[str],
    why: Explanations,
    owner_of: Callable[[str, str], str | None],
) -> None:
    wanted = set(resources)
    seen = [o for o in inputs.observations if o.resource in wanted]
    for observation in seen:
        for table, kind in _TABLES_OF_OBSERVATION.items():
            writer.begin(table, f"target {observation.resource}", observation.evidence.get(kind, ""))
        writer.add("accounts", account_rows(observation, why, owner_of))
        writer.add("access_observed", access_rows(observation, why, owner_of))
        writer.add("object_privileges", privilege_rows(observation))
        writer.add("role_privileges", role_privilege_rows(observation))
        writer.add("escalation_edges", escalation_rows(observation))
        writer.add("target_reads", [_read_row(observation)])
        for gap in observation.gaps:
            _gap(writer, observation.resource, gap)
    for resource in sorted(wanted - {o.resource for o in seen}):
        _gap(writer, resource, inputs.unread.get(resource, NO_TARGET), known=bool(seen))


def _gap(writer: SnapshotWriter, resource: str, what: str, *, known: bool = True) -> None:
    """A hole in what is known of a target; a table that no target filled stays absent, which says it all."""
    if known:
        for table in ("accounts", "access_observed", "object_privileges"):
            writer.gap(table, f"{resource}: {what}")
    writer.problem(Problem(table="access_observed", source=resource, what=what))


def _read_row(observation: Observation) -> dict[str, Any]:
    return {
        "resource": observation.resource,
        "finished_at": observation.observed_at,
        "complete": observation.complete,
        "accounts": len(observation.accounts),
        "memberships": len(observation.memberships),
        "gaps": rows.joined(observation.gaps),
    }


def _write_checks(writer: SnapshotWriter, inputs: Inputs, now: datetime) -> None:
    if inputs.ledger_checks is None:
        return
    writer.begin("ledger_checks", "ledger verification")
    writer.add(
        "ledger_checks",
        (
            {
                "check_name": check.name,
                "ok": check.ok,
                "checked_at": now,
                "entries": check.entries,
                "first_bad": check.first_bad,
                "detail": check.detail or None,
            }
            for check in inputs.ledger_checks
        ),
    )


def collect_policy(writer: SnapshotWriter, inputs: Inputs, resources: Iterable[str]) -> None:
    """What the policy comes to where resources in scope are concerned."""
    if inputs.policy is None:
        return
    wanted = set(resources)
    for table, found in inputs.policy.tables.items():
        writer.begin(table, "policy in force")
        writer.add(table, (row for row in found if row.get("resource") in {None, *wanted}))
        for gap in inputs.policy.gaps.get(table, ()):
            writer.gap(table, gap)
    for table, why in inputs.policy.problems.items():
        writer.problem(Problem(table=table, source="policy in force", what=why))


def _identities(writer: SnapshotWriter, inputs: Inputs, catalog: Catalog, people: People) -> Identities:
    """Whom accounts belong to, by the rules; what is wrong with the mapping file is a problem."""
    mapping = inputs.imports / f"{MAPPING}.csv" if inputs.imports is not None else None
    rules, problems = rules_of(catalog, people, mapping if mapping and mapping.is_file() else None)
    for problem in problems:
        writer.problem(problem)
    return Identities(rules)


def _write_from_elsewhere(writer: SnapshotWriter, inputs: Inputs, identities: Identities) -> None:
    """What other systems recorded, files in the form of the tables, and how accounts were linked to people."""
    for wanted in inputs.sources:
        source, place = source_of(wanted.kind), wanted.path.name
        reading = Reading(writer, source.kind, place, identities, partial(inputs.tell, f"{source.kind} {place}"))
        read_source(source, wanted.path, wanted.options, reading)
        writer.report(reading.finish())
    if inputs.imports is not None:
        import_folder(writer, inputs.imports)
    if inputs.conflicts is not None:
        writer.begin("conflicts", f"file {inputs.conflicts.name}")
        writer.add("conflicts", conflict_rows(inputs.conflicts))
    if inputs.detectors is not None:
        for detector in detectors_in(inputs.detectors):
            writer.detector(detector.id, detector.text.encode("utf-8"))
    writer.begin("account_links", "rules by which accounts are linked to people")
    writer.add("account_links", identities.rows())
