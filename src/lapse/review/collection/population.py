"""The store's side of the population: catalog, requests, decisions, grants, use, policies, earlier reviews.

Everything is read page by page from one consistent view. What is outside of the scope or the period is counted,
not written; ids are compared with what the ledger says was created. Called by `collect`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from lapse.domain.catalog import Catalog
from lapse.domain.gateways import PROTOCOL_OF
from lapse.domain.grants import Grant
from lapse.domain.requests import Request
from lapse.domain.sessions import Session
from lapse.ports import Page, Reader
from lapse.review.collection import rows
from lapse.review.collection.observed import Explanations, explain
from lapse.review.collection.offers import offer_rows
from lapse.review.collection.registers import write_registers
from lapse.review.collection.snapshot import SnapshotWriter
from lapse.review.collection.telemetry import coverage_rows, serving
from lapse.review.frame import Population
from lapse.review.model import Problem

_PAGE = 1_000


async def write_population(reader: Reader, population: Population, writer: SnapshotWriter) -> Explanations:
    """Write every table the store has; returns what explains the access that targets show."""
    governed = await _write_policies(reader, population, writer)
    _write_catalog(population, writer, governed)
    grants = await _write_grants(reader, population, writer)
    await _write_requests(reader, population, writer, {grant.request_id for grant in grants.kept})
    await _write_use(reader, population, writer)
    await write_registers(reader, population, writer)
    drifts = await reader.drifts(open_only=False)
    natives = {e.name: e.native for e in population.catalog.entitlements()}
    return explain(grants.kept, drifts, natives)


def _write_catalog(population: Population, writer: SnapshotWriter, governed: frozenset[str] | None) -> None:
    catalog = population.catalog
    for table in ("principals", "humans_behind", "group_members", "resources", "entitlements"):
        writer.begin(table, "catalog")
    writer.add("principals", rows.principal_rows(catalog))
    writer.add("humans_behind", rows.human_rows(catalog))
    writer.add("group_members", rows.group_rows(catalog))
    for name in sorted(population.resources):
        resource = catalog.resource(name)
        known = None if governed is None else name in governed
        writer.add("resources", [rows.resource_row(resource, catalog, known)])
        writer.add("entitlements", map(rows.entitlement_row, resource.entitlements))


async def _write_policies(reader: Reader, population: Population, writer: SnapshotWriter) -> frozenset[str]:
    """Write policies and offers; returns the resources that the policy in force governs."""
    active = await reader.active_policy()
    writer.begin("policies", "store")
    writer.begin("offers", "policy in force")
    version = active.version if active else ""
    writer.add("policies", (rows.policy_row(p, active=p.version == version) for p in await reader.policies()))
    if active is None:
        return frozenset()
    offers = [row for row in offer_rows(active, population.catalog) if row["resource"] in population.resources]
    writer.add("offers", offers)
    return frozenset(str(row["resource"]) for row in offers)


@dataclass(frozen=True, slots=True)
class _Grants:
    kept: list[Grant]


async def _write_grants(reader: Reader, population: Population, writer: SnapshotWriter) -> _Grants:
    writer.begin("grants", "store", "all grants in scope that touch the period or are not over")
    kept: list[Grant] = []
    seen: set[str] = set()
    async for grant in _all_grants(reader):
        seen.add(grant.id)
        if not _grant_in_scope(grant, population):
            writer.left_out("grants", 1)
            continue
        kept.append(grant)
        native = _native_role(population.catalog, grant.entitlement)
        writer.add("grants", [rows.grant_row(grant, native, population.facts.end_ordered.get(grant.id))])
    _reconcile(writer, "grants", seen, population.facts.grants)
    return _Grants(kept)


async def _write_requests(reader: Reader, population: Population, writer: SnapshotWriter, granted: set[str]) -> None:
    for table in ("requests", "stages", "decisions"):
        writer.begin(table, "store")
    seen: set[str] = set()
    votes: set[str] = set()
    async for request in _all_requests(reader):
        seen.add(request.id)
        decisions = await reader.decisions(request.id)
        votes.update(decision.id for decision in decisions)
        if request.id not in granted and not _request_in_scope(request, population):
            writer.left_out("requests", 1)
            writer.left_out("decisions", len(decisions))
            continue
        writer.add("requests", [rows.request_row(request)])
        writer.add("stages", rows.stage_rows(request))
        writer.add("decisions", map(rows.decision_row, decisions))
    _reconcile(writer, "requests", seen, population.facts.requests)
    _reconcile(writer, "decisions", votes, population.facts.decisions)


async def _write_use(reader: Reader, population: Population, writer: SnapshotWriter) -> None:
    """Sightings and sessions prove use. Gateways also say when there was none: see `telemetry`."""
    writer.begin("usage", "sightings of the enforcer, sessions through the gateway")
    writer.begin("sessions", "sessions through the gateway")
    writer.begin("target_reads", "store")
    for name in sorted(population.resources):
        writer.add("usage", map(rows.sighting_row, await reader.sightings(name)))
        async for session in _sessions_of(reader, name, population):
            writer.add("usage", [rows.session_row(session, _native_role(population.catalog, session.entitlement))])
            writer.add("sessions", [rows.connection_row(session)])
        writer.add("target_reads", map(rows.target_read_row, await reader.target_reads(name)))
    await _write_coverage(reader, population, writer)


async def _write_coverage(reader: Reader, population: Population, writer: SnapshotWriter) -> None:
    """Without any gateway there is no such table, which is different from one with no rows."""
    period = population.scope.period
    runs = [run for run in await reader.gateway_runs(open_only=False) if run.first_seen < period.end]
    for name in sorted(population.resources if runs else ()):
        protocol = PROTOCOL_OF.get(population.catalog.resource(name).connector, "")
        served = serving(runs, protocol)
        only = population.facts.only.of(name, until=population.at)
        found = [row for row in coverage_rows(name, served, only, population.at) if row["to_at"] > period.start]
        writer.begin("coverage", "runs of gateways", name)
        writer.add("coverage", found)
        if not any(row["complete"] for row in found):
            writer.gap("usage", f"{name}: there are ways past the gateway, whose use is not recorded")


def _reconcile(writer: SnapshotWriter, table: str, stored: set[str], recorded: set[str]) -> None:
    """The store's ids against the ledger's: the second count, and the names of what differs."""
    writer.recount(table, len(recorded))
    for what, ids in (
        ("in the store, not in the ledger", stored - recorded),
        ("missing in the store", recorded - stored),
    ):
        if ids:
            examples = tuple(sorted(ids)[:9])
            writer.problem(Problem(table=table, source="ledger", what=what, rows=len(ids), examples=examples))


def _grant_in_scope(grant: Grant, population: Population) -> bool:
    period = population.scope.period
    over = grant.ended_at is not None and grant.ended_at < period.start
    return grant.resource in population.resources and grant.created_at < period.end and not over


def _request_in_scope(request: Request, population: Population) -> bool:
    period = population.scope.period
    over = request.closed_at is not None and request.closed_at < period.start
    resource = request.entitlement.partition("/")[0]
    return resource in population.resources and request.created_at < period.end and not over


def _native_role(catalog: Catalog, entitlement: str) -> str | None:
    resource = catalog.resources.get(entitlement.partition("/")[0])
    found = resource.entitlement(entitlement.partition("/")[2]) if resource else None
    return found.native.get("role") if found else None


async def _sessions_of(reader: Reader, resource: str, population: Population) -> AsyncIterator[Session]:
    """Sessions on a resource that touch the period, in the order in which they began."""
    period = population.scope.period
    after: str | None = None
    while page := await reader.sessions(Page(limit=_PAGE, after=after, newest_first=False), resource=resource):
        for session in page:
            over = session.ended_at is not None and session.ended_at < period.start
            if session.started_at < period.end and not over:
                yield session
        after = page[-1].id


async def _all_grants(reader: Reader) -> AsyncIterator[Grant]:
    after: str | None = None
    while page := await reader.grants(Page(limit=_PAGE, after=after, newest_first=False)):
        for grant in page:
            yield grant
        after = page[-1].id


async def _all_requests(reader: Reader) -> AsyncIterator[Request]:
    after: str | None = None
    while page := await reader.requests(Page(limit=_PAGE, after=after, newest_first=False)):
        for request in page:
            yield request
        after = page[-1].id
