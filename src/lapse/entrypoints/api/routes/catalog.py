"""The catalog: apply it whole, plan it first, and look at its parts."""

from __future__ import annotations

from dataclasses import dataclass

from lapse.control import catalogs
from lapse.domain.catalog import Catalog, CatalogChange
from lapse.domain.errors import NotFound
from lapse.domain.names import shown
from lapse.domain.principals import Group, Principal
from lapse.domain.resources import Entitlement, Resource
from lapse.entrypoints.api.operations import MEBIBYTE, Body, Call, Listing, Query, Routes
from lapse.identity.catalog_files import catalog_from_files

ROUTES = Routes("catalog")


class FilesBody(Body, frozen=True, kw_only=True):
    """Files by name, as text."""

    files: dict[str, str]


class DryRunQuery(Query, frozen=True, kw_only=True):
    """`dry_run=1`: say what would change, and change nothing."""

    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogPlan:
    """What changes (or changed)."""

    applied: bool
    changes: tuple[CatalogChange, ...]


@ROUTES.get("/api/v1/catalog", Catalog)
async def show_catalog(call: Call) -> Catalog:
    """Everything in the catalog."""
    return await _catalog(call)


@ROUTES.put("/api/v1/catalog", CatalogPlan, body=FilesBody, query=DryRunQuery, limit=16 * MEBIBYTE)
async def apply_catalog(call: Call) -> CatalogPlan:
    """Make the catalog what the files say, atomically. The second time nothing changes."""
    wanted = catalog_from_files(call.body.files)
    step = catalogs.plan if call.query.dry_run else catalogs.apply
    return CatalogPlan(applied=not call.query.dry_run, changes=await step(call.control, call.actor, wanted))


@ROUTES.get("/api/v1/principals", Listing[Principal])
async def list_principals(call: Call) -> Listing[Principal]:
    """Every person, service and agent."""
    return Listing([value for _, value in sorted((await _catalog(call)).principals.items())])


@ROUTES.get("/api/v1/principals/{principal}", Principal)
async def show_principal(call: Call) -> Principal:
    """One principal."""
    return (await _catalog(call)).principal(call.path["principal"])


@ROUTES.get("/api/v1/groups", Listing[Group])
async def list_groups(call: Call) -> Listing[Group]:
    """Every group."""
    return Listing([value for _, value in sorted((await _catalog(call)).groups.items())])


@ROUTES.get("/api/v1/groups/{group}", Group)
async def show_group(call: Call) -> Group:
    """One group."""
    found = (await _catalog(call)).groups.get(call.path["group"])
    if found is None:
        raise NotFound(f"there is no group `{shown(call.path['group'])}`")
    return found


@ROUTES.get("/api/v1/resources", Listing[Resource])
async def list_resources(call: Call) -> Listing[Resource]:
    """Every resource with its entitlements."""
    return Listing([value for _, value in sorted((await _catalog(call)).resources.items())])


@ROUTES.get("/api/v1/resources/{resource}", Resource)
async def show_resource(call: Call) -> Resource:
    """One resource with its entitlements."""
    return (await _catalog(call)).resource(call.path["resource"])


@ROUTES.get("/api/v1/entitlements", Listing[Entitlement])
async def list_entitlements(call: Call) -> Listing[Entitlement]:
    """Every role that can be asked for."""
    return Listing(sorted((await _catalog(call)).entitlements(), key=lambda one: one.name))


async def _catalog(call: Call) -> Catalog:
    return await call.app.store.read(lambda reader: reader.catalog())
