"""Bundles: several requests that are granted together or not at all; and requests that are filled in already."""

from __future__ import annotations

from collections.abc import Sequence

from lapse.control import prepared, requests
from lapse.control.grants import release_all
from lapse.control.visibility import parties_of, require_sight_of
from lapse.domain.errors import NotFound
from lapse.domain.grants import Grant
from lapse.domain.requests import Request
from lapse.entrypoints.api.operations import Call, Listing, Routes
from lapse.entrypoints.api.routes.asking import Bundle, FillingBody, NewBundleBody
from lapse.ports import Reader

ROUTES = Routes("requests")


@ROUTES.post("/api/v1/bundles", Bundle, body=NewBundleBody, status=201)
async def create_bundle(call: Call) -> Bundle:
    """Ask for several entitlements at once. Where the policy denies one of them, none is asked for."""
    return bundle_of(await requests.create_bundle(call.control, call.actor, call.body.wanted()))


@ROUTES.get("/api/v1/bundles/{bundle}", Bundle)
async def show_bundle(call: Call) -> Bundle:
    """The requests of one bundle, without those that were taken out of it."""

    async def work(reader: Reader) -> Sequence[Request]:
        found = await reader.requests_in_bundle(call.path["bundle"])
        if not found:
            raise NotFound(f"there is no bundle `{call.path['bundle']}`")
        parties = parties_of(await reader.catalog(), found[0].requester, found[0].beneficiary)
        require_sight_of(call.actor, parties, f"bundle `{call.path['bundle']}`")
        return found

    return bundle_of(await call.app.store.read(work))


@ROUTES.post("/api/v1/requests/{request_id}/again", Bundle, body=FillingBody, status=201)
async def ask_again(call: Call) -> Bundle:
    """Ask for the same as an earlier request (or its bundle) did, under today's policy. What is given counts."""
    again = await prepared.ask_again(call.control, call.actor, call.path["request_id"], call.body.filling())
    return bundle_of(again)


@ROUTES.post("/api/v1/requests/{request_id}/release", Listing[Grant])
async def release_request(call: Call) -> Listing[Grant]:
    """End early whatever a request still gives, and all times that are to come."""
    return Listing(await release_all(call.control, call.actor, call.path["request_id"]))


def bundle_of(found: Sequence[Request]) -> Bundle:
    """The answer to whoever asked for these."""
    return Bundle(id=found[0].bundle, requests=tuple(found))
