"""Wires reviews: engine, ledger checks and proofs, observations; with a home folder, or for one target without any.

Called by the API and the CLI. Everything heavy is imported when it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lapse import __version__
from lapse.bootstrap.app import App
from lapse.control.ledger_proofs import prove_entries, verify_stored_ledger
from lapse.domain.access import Observation
from lapse.domain.data import Json
from lapse.domain.errors import NotFound
from lapse.domain.names import check_name
from lapse.ledger.checkpoint import key_of
from lapse.ports import Engine, Page
from lapse.review.campaign import Desk
from lapse.review.collect import LedgerCheck, collect_brownfield
from lapse.review.model import ReviewResult
from lapse.review.scope import Period, ReviewScope
from lapse.review.seal import PackContents, SealedPack, seal
from lapse.review.stages import run_stages
from lapse.storage.keyring import Keyring

_MOST_ENTRIES_A_SUBJECT = 200
_LOOKING_BACK = timedelta(days=90)


def desk_of(app: App) -> Desk:
    """What reviews of a home folder need."""
    keys = [key_of(app.keyring.signer)]

    async def observe(resource: str) -> Observation:
        return await app.targets(resource).observe()

    async def check_ledger() -> Sequence[LedgerCheck]:
        await app.sequencer.run_once()
        verdict = await verify_stored_ledger(app.store.ledger, keys)
        check = LedgerCheck(
            name="sequence, hashes and signatures",
            ok=verdict.ok,
            entries=verdict.size,
            first_bad=verdict.first_broken,
            detail=verdict.problem,
        )
        return [check]

    async def prove(subjects: Iterable[str]) -> Mapping[str, Json] | None:
        await app.sequencer.run_once()
        if await app.store.ledger.checkpoint() is None:
            return None
        return await prove_entries(app.store.ledger, keys, await _seqs(app, subjects))

    return Desk(
        store=app.store,
        clock=app.clock,
        new_id=app.parts.new_id,
        folder=app.home.reviews,
        signer=app.keyring.signer,
        engine=new_engine,
        observe=observe,
        check_ledger=check_ledger,
        prove=prove,
    )


def new_engine() -> Engine:
    """The engine that reviews run on."""
    from lapse.engines.duckdb_engine import DuckDbEngine

    return DuckDbEngine()


@dataclass(frozen=True, slots=True, kw_only=True)
class Brownfield:
    """A review of one target with nothing set up: what was found, and where the pack with the report is."""

    result: ReviewResult
    pack: SealedPack


async def review_target(
    dsn: str, out: Path, *, people: Path | None = None, on_stage: Callable[[str], None] = lambda _: None
) -> Brownfield:
    """Review any PostgreSQL that `dsn` can log in to, and write report and pack below `out`.

    The pack is signed with a key made for it and kept beside it, so it proves integrity, not origin.

    Raises:
        Unavailable: the target cannot be read. InvalidInput: the DSN or the people file cannot be.
    """
    now = datetime.now(UTC)
    resource = _resource_name(dsn)
    on_stage("collect")
    observation = await _observed(resource, dsn)
    period = Period(text=f"{now:%Y-%m-%d}", start=now - _LOOKING_BACK, end=now + timedelta(seconds=1))
    scope = ReviewScope(selector="all", period=period, review_id=f"{resource}-{now:%Y%m%dT%H%M%SZ}")
    folder = out / scope.review_id
    snapshot = collect_brownfield([observation], people, scope, folder / "snapshot", now)
    result = run_stages(new_engine, snapshot, on_stage)
    on_stage("seal")
    signer = Keyring.open(folder / "keys", "lapse.local/review").signer
    contents = PackContents(
        name=f"review-{scope.review_id}",
        title=f"Access review of {resource}",
        result=result,
        sealed_at=now,
        sealed_by="lapse review run",
        product_version=__version__,
    )
    return Brownfield(result=result, pack=seal(contents, signer=signer, into=folder / "pack"))


async def _observed(resource: str, dsn: str) -> Observation:
    from lapse.connectors import connect

    connector = connect("postgresql", resource, dsn)
    try:
        return await connector.observe()
    finally:
        await connector.close()


def _resource_name(dsn: str) -> str:
    """A name for the report: the database's, made safe; the DSN itself is never shown."""
    from psycopg.conninfo import conninfo_to_dict

    try:
        wanted = str(conninfo_to_dict(dsn).get("dbname") or "postgres")
    except Exception:  # noqa: BLE001  a DSN that cannot be read is refused by the connector, which does not repeat it
        wanted = "target"
    name = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in wanted.lower()).strip("._-")
    return check_name(name[:60].strip("._-") or "target")


async def _seqs(app: App, subjects: Iterable[str]) -> list[int]:
    """Where the entries about these subjects are in the ledger."""
    found: set[int] = set()
    for subject in subjects:
        rows = await app.store.ledger.find(subject=subject, page=Page(limit=_MOST_ENTRIES_A_SUBJECT))
        found.update(seq for seq, _ in rows)
    if not found:
        raise NotFound("the ledger has no entries about this review", hint="wait a second, then try again")
    return sorted(found)
