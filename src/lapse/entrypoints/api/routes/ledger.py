"""The ledger: look at entries, verify everything, take a checkpoint, prove one entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from lapse.control.ledger_proofs import prove_entries, verify_stored_ledger
from lapse.domain.actors import Scope
from lapse.domain.data import Json
from lapse.domain.errors import InvalidInput, NotFound
from lapse.entrypoints.api.operations import Body, Call, Listing, Paging, Routes
from lapse.ledger.checkpoint import key_of
from lapse.ledger.standalone import write_key
from lapse.ports import Page

ROUTES = Routes("ledger")
_READERS = (Scope.AUDIT, Scope.ADMIN, Scope.REVIEW)


class EntryQuery(Paging, frozen=True, kw_only=True):
    """Entries about one thing, or of types that begin like `type`."""

    subject: str | None = None
    type: str | None = None


class VerifyBody(Body, frozen=True, kw_only=True):
    """Checkpoints that were kept elsewhere: what is stored now must continue them."""

    checkpoints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryView:
    """One sealed entry and its place."""

    seq: int
    entry: Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictView:
    """What verifying found. `first_broken` is the first entry that is, or may be, not what was sealed."""

    ok: bool
    size: int
    root: str
    first_broken: int | None
    problem: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointView:
    """The newest signed statement about the whole ledger, and the key that verifies it. Keep both elsewhere."""

    note: str
    key: str


@ROUTES.get("/api/v1/ledger/entries", Listing[EntryView], query=EntryQuery)
async def list_entries(call: Call) -> Listing[EntryView]:
    """Sealed entries, newest first. An entry is sealed within a second or two."""
    call.actor.require(*_READERS)
    query: EntryQuery = call.query
    rows = await call.app.store.ledger.find(subject=query.subject, type_prefix=query.type, page=_page(query))
    shown = rows[: query.limit]
    items = [EntryView(seq=seq, entry=msgspec.json.decode(body)) for seq, body in shown]
    return Listing(items, str(shown[-1][0]) if len(rows) > len(shown) else None)


@ROUTES.get("/api/v1/ledger/entries/{seq}/proof", Mapping[str, Json])
async def prove_entry(call: Call) -> Mapping[str, Json]:
    """One entry, the newest checkpoint, and the proof that the one contains the other."""
    call.actor.require(*_READERS)
    text = call.path["seq"]
    if not text.isascii() or not text.isdigit() or len(text) > 18:  # noqa: PLR2004  more than any ledger has
        raise NotFound("there is no such entry")
    return await prove_entries(call.app.store.ledger, [key_of(call.app.keyring.signer)], [int(text)])


@ROUTES.get("/api/v1/ledger/checkpoint", CheckpointView)
async def show_checkpoint(call: Call) -> CheckpointView:
    """The newest checkpoint, as a signed note."""
    call.actor.require(*_READERS)
    note = await call.app.store.ledger.checkpoint()
    if note is None:
        raise NotFound("nothing is sealed yet", hint="wait a second, then try again")
    return CheckpointView(note=note.decode(), key=_key(call))


@ROUTES.post("/api/v1/ledger/verify", VerdictView, body=VerifyBody)
async def verify_ledger(call: Call) -> VerdictView:
    """Verify every sealed entry: sequence, hashes, signatures, and that it continues checkpoints kept elsewhere."""
    call.actor.require(*_READERS)
    keys = [key_of(call.app.keyring.signer)]
    earlier = [text.encode() for text in call.body.checkpoints]
    verdict = await verify_stored_ledger(call.app.store.ledger, keys, earlier)
    return VerdictView(
        ok=verdict.ok,
        size=verdict.size,
        root=verdict.root.hex(),
        first_broken=verdict.first_broken,
        problem=verdict.problem,
        key=_key(call),
    )


def _page(query: EntryQuery) -> Page:
    if query.after is not None and not (query.after.isascii() and query.after.isdigit()):
        raise InvalidInput("`after` is the place of an entry, a number")
    return query.page()


def _key(call: Call) -> str:
    return write_key(key_of(call.app.keyring.signer))
