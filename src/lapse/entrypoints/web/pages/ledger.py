"""The ledger: every change in order, about anything, each with its proof; and whether all of it is as it was sealed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
from starlette.responses import Response

from lapse.control.ledger_proofs import prove_entries, verify_stored_ledger
from lapse.domain.actors import Scope
from lapse.domain.data import Json
from lapse.domain.errors import NotFound
from lapse.entrypoints.web.rendering import page
from lapse.entrypoints.web.routing import Pages
from lapse.entrypoints.web.visits import Visit
from lapse.ledger.checkpoint import key_of
from lapse.ports import Page

PAGES = Pages()
_READERS = (Scope.AUDIT, Scope.ADMIN, Scope.REVIEW)
_A_PAGE = 50
_MOST_DIGITS = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One entry: its place, what it says, and the whole of it as text."""

    seq: int
    type: str
    at: datetime | None
    actor: str
    subject: str
    whole: str


@PAGES.get("/ledger", *_READERS)
async def ledger_page(visit: Visit) -> Response:
    """Sealed entries, newest first, about one thing or of types that begin alike."""
    query = visit.request.query_params
    subject, kind, after = (query.get(name, "")[:200] for name in ("subject", "type", "after"))
    lines, following = await _lines(visit, subject, kind, after)
    wanted = {"subject": subject, "type": kind}
    return page(visit, "ledger", lines=lines, following=following, wanted=wanted, verdict=None)


@PAGES.get("/ledger/{seq}", *_READERS)
async def entry_page(visit: Visit) -> Response:
    """One entry with the proof that the newest checkpoint contains it, to keep or to check elsewhere."""
    seq = visit.path("seq")
    if not _is_number(seq):
        raise NotFound("there is no such entry")
    proof = await prove_entries(visit.app.store.ledger, [key_of(visit.app.keyring.signer)], [int(seq)])
    return page(visit, "ledger_entry", seq=int(seq), proof=_text(proof))


@PAGES.post("/ledger/verify", *_READERS)
async def verify(visit: Visit) -> Response:
    """Go through all of it: order, hashes, signatures."""
    verdict = await verify_stored_ledger(visit.app.store.ledger, [key_of(visit.app.keyring.signer)], [])
    lines, following = await _lines(visit, "", "", "")
    return page(visit, "ledger", lines=lines, following=following, wanted={"subject": "", "type": ""}, verdict=verdict)


async def _lines(visit: Visit, subject: str, kind: str, after: str) -> tuple[Sequence[Line], int | None]:
    start = after if _is_number(after) else None
    found = await visit.app.store.ledger.find(
        subject=subject or None, type_prefix=kind or None, page=Page(limit=_A_PAGE, after=start)
    )
    shown = found[:_A_PAGE]
    return [_line(seq, body) for seq, body in shown], shown[-1][0] if len(shown) == _A_PAGE else None


def _line(seq: int, body: bytes) -> Line:
    entry: Mapping[str, Json] = msgspec.json.decode(body)
    said = {name: str(entry.get(name) or "") for name in ("type", "actor", "subject", "at")}
    at = datetime.fromisoformat(said.pop("at")) if said["at"] else None
    return Line(seq=seq, at=at, whole=_text(entry), **said)


def _text(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
