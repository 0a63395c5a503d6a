"""Targets: how lapse reaches resources, whether it may do there what it must, and what differs from what should be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lapse.control import targets
from lapse.domain.access import Failed, Removed, TargetCheck
from lapse.domain.actors import Scope
from lapse.domain.errors import InvalidInput, NotFound
from lapse.domain.names import check_name
from lapse.domain.targets import Drift, Target
from lapse.enforcement.reconcile import Reconciliation, plan_resource, reconcile_resource
from lapse.entrypoints.api.operations import Body, Call, Listing, Query, Routes

ROUTES = Routes("targets")
_READERS = (Scope.ADMIN, Scope.AUDIT, Scope.REVIEW)


class TargetBody(Body, frozen=True, kw_only=True):
    """Exactly one of: the DSN itself (it is sealed at once), the name of an environment variable, or a file."""

    dsn: str = ""
    dsn_env: str = ""
    dsn_file: str = ""


class DriftQuery(Query, frozen=True, kw_only=True):
    """`all`: what was cleared too."""

    resource: str | None = None
    all: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetView:
    """A target without its secret: `dsn` says where the DSN is kept."""

    resource: str
    connector: str
    dsn: str
    added_at: datetime
    added_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckView:
    """Whether a target is ready for lapse."""

    ok: bool
    check: TargetCheck


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovalView:
    """What became of one removal; `error` is empty where the target was seen to refuse at `refused_at`."""

    drift: str
    refused_at: datetime | None
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconciliationView:
    """One read of a target: what differs, what of it is new or gone, and what is (or was) removed."""

    resource: str
    server: str
    observed_at: datetime
    complete: bool
    gaps: tuple[str, ...]
    found: tuple[Drift, ...]
    new: tuple[str, ...]
    cleared: tuple[str, ...]
    missing: tuple[str, ...]
    to_remove: tuple[str, ...]
    removed: tuple[RemovalView, ...]


@ROUTES.get("/api/v1/targets", Listing[TargetView])
async def list_targets(call: Call) -> Listing[TargetView]:
    """Every target."""
    call.actor.require(*_READERS)
    return Listing([_view(target) for target in await call.app.store.read(lambda reader: reader.targets())])


@ROUTES.get("/api/v1/targets/{resource}", TargetView)
async def show_target(call: Call) -> TargetView:
    """The target of one resource."""
    call.actor.require(*_READERS)
    return _view(await call.app.store.read(lambda reader: reader.target(call.path["resource"])))


@ROUTES.put("/api/v1/targets/{resource}", TargetView, body=TargetBody, secret=True)
async def put_target(call: Call) -> TargetView:
    """Say how a resource of the catalog is reached. A DSN is encrypted with the installation's key at once."""
    call.actor.require(Scope.ADMIN)
    resource = check_name(call.path["resource"], what="resource name")
    if call.body.dsn:
        catalog = await call.app.store.read(lambda reader: reader.catalog())
        await call.app.targets.check_dsn(catalog.resource(resource).connector, resource, call.body.dsn)
    target = await targets.add_target(call.control, call.actor, resource, _reference(call))
    await call.app.targets.refresh(call.app.store)
    return _view(target)


@ROUTES.post("/api/v1/targets/{resource}/check", CheckView)
async def check_target(call: Call) -> CheckView:
    """Ask the target whether lapse has the rights it needs there; each missing one comes with its statement."""
    check = await targets.check_target(call.control, call.actor, call.path["resource"])
    return CheckView(ok=check.ok, check=check)


@ROUTES.get("/api/v1/targets/{resource}/reconciliation", ReconciliationView)
async def plan_reconciliation(call: Call) -> ReconciliationView:
    """Read the target now and say what reconciling would do. Changes nothing."""
    call.actor.require(*_READERS)
    return _reconciliation(await plan_resource(call.app.parts, await _known(call)))


@ROUTES.post("/api/v1/targets/{resource}/reconciliation", ReconciliationView)
async def apply_reconciliation(call: Call) -> ReconciliationView:
    """Read the target now, record what differs, and remove what nobody granted where the resource says so."""
    call.actor.require(Scope.ADMIN)
    result = await reconcile_resource(call.app.parts, await _known(call))
    if result.plan.missing:
        await call.app.enforcer.tick()
    return _reconciliation(result)


@ROUTES.get("/api/v1/drift", Listing[Drift], query=DriftQuery)
async def list_drift(call: Call) -> Listing[Drift]:
    """Access on targets that no grant explains, and grants without their access."""
    call.actor.require(*_READERS)
    query: DriftQuery = call.query
    return Listing(
        await call.app.store.read(lambda reader: reader.drifts(resource=query.resource, open_only=not query.all))
    )


def _reference(call: Call) -> str:
    body: TargetBody = call.body
    given = [(kind, text) for kind, text in (("", body.dsn), ("env", body.dsn_env), ("file", body.dsn_file)) if text]
    if len(given) != 1:
        raise InvalidInput("a target needs exactly one of `dsn`, `dsn_env` and `dsn_file`")
    kind, text = given[0]
    return f"{kind}:{text}" if kind else f"sealed:{call.app.keyring.seal(text)}"


def _view(target: Target) -> TargetView:
    return TargetView(
        resource=target.resource,
        connector=target.connector,
        dsn="sealed" if target.dsn_ref.startswith("sealed:") else target.dsn_ref,
        added_at=target.added_at,
        added_by=target.added_by,
    )


async def _known(call: Call) -> str:
    """The resource, if it has a target; a target that is not set is not the same as one that does not answer."""
    resource = call.path["resource"]
    catalog = await call.app.store.read(lambda reader: reader.catalog())
    catalog.resource(resource)
    if resource not in {target.resource for target in await call.app.store.read(lambda reader: reader.targets())}:
        raise NotFound(f"`{resource}` has no target yet", hint=f"`lapse target add {resource}` sets it")
    return resource


def _reconciliation(result: Reconciliation) -> ReconciliationView:
    observed, plan = result.observation, result.plan
    return ReconciliationView(
        resource=observed.resource,
        server=observed.server,
        observed_at=observed.observed_at,
        complete=observed.complete,
        gaps=observed.gaps,
        found=tuple(plan.found),
        new=tuple(drift.id for drift in plan.new),
        cleared=tuple(drift.id for drift in plan.cleared),
        missing=tuple(grant.id for grant in plan.missing),
        to_remove=tuple(drift.id for drift in result.to_remove),
        removed=tuple(_removal(outcome) for outcome in result.removed),
    )


def _removal(outcome: Removed | Failed) -> RemovalView:
    if isinstance(outcome, Failed):
        return RemovalView(drift=outcome.grant_id, refused_at=None, error=outcome.error)
    return RemovalView(drift=outcome.grant_id, refused_at=outcome.refused_at)
