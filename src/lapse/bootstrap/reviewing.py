"""Wires reviews: engine, ledger checks and proofs, observations; with a home folder, or for one target without any.

Called by the API and the CLI. Everything heavy is imported when it is used.
"""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from lapse import __version__
from lapse.bootstrap.apart import apart
from lapse.bootstrap.app import App
from lapse.bootstrap.effects import effects_of
from lapse.bootstrap.engines import DUCKDB, new_engine
from lapse.bootstrap.snapshots import snapshot_store
from lapse.bootstrap.stamps import pack_signer
from lapse.control.ledger_proofs import prove_entries, verify_stored_ledger
from lapse.domain.access import Observation
from lapse.domain.data import Json
from lapse.domain.errors import InvalidInput, NotFound
from lapse.domain.names import check_name, shown
from lapse.ledger.checkpoint import key_of
from lapse.policy.effects import Effects
from lapse.ports import Engine, Page
from lapse.review.adjust.filing import files_after
from lapse.review.adjust.model import PolicyProposal
from lapse.review.campaign import Desk, Given
from lapse.review.collection.collect import Inputs, LedgerCheck, collect_brownfield, collect_imports
from lapse.review.collection.imports import is_evidence
from lapse.review.model import ReviewResult, Snapshot
from lapse.review.scope import Period, ReviewScope, parse_scope
from lapse.review.seal import PackContents, SealedPack, seal
from lapse.review.sources.wanted import parse_wanted
from lapse.review.stages import run_stages
from lapse.storage.keyring import Keyring

T = TypeVar("T")

_MOST_ENTRIES_A_SUBJECT = 200
_LOOKING_BACK = timedelta(days=90)

OnStage = Callable[[str], None]


def _quiet(_stage: str) -> None:
    """Tell nobody."""


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
        signer=pack_signer(app.keyring.signer, app.settings.review),
        engine=partial(new_engine, app.settings.review.engine, app.home.kept if app.settings.review.keep else None),
        observe=observe,
        check_ledger=check_ledger,
        prove=prove,
        detectors=app.home.detectors if app.home.detectors.is_dir() else None,
        consequences=partial(_consequences, app),
        snapshots=snapshot_store(app.settings.review.snapshots, app.settings.review.snapshots_endpoint),
    )


async def _consequences(app: App, proposal: PolicyProposal, since: datetime) -> Effects:
    """What a proposal of a review would do, by the functions that every proposed policy goes through."""
    return (await effects_of(app, await proposed_files(app, proposal), since)).effects


async def proposed_files(app: App, proposal: PolicyProposal) -> dict[str, str]:
    """The policy in force with what the proposal changes.

    Raises:
        Conflict: another policy is in force than the one that the proposal was made for.
    """
    active = await app.store.read(lambda reader: reader.active_policy())
    return files_after(proposal, active.version if active else "", active.files if active else {})


async def at_desk(app: App, work: Callable[[Desk], Awaitable[T]]) -> T:
    """Do `work`, which may compute for minutes, where it holds up no deadline.

    In a server that is another thread, with a store and connections of its own.
    """
    return await apart(app, lambda own: work(desk_of(own)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Brownfield:
    """A review with nothing set up: what was found, and where the pack with the report is."""

    result: ReviewResult
    pack: SealedPack


async def review_target(
    dsn: str, out: Path, given: Given, *, engine: str = DUCKDB, on_stage: OnStage = _quiet
) -> Brownfield:
    """Review any PostgreSQL that `dsn` can log in to, and write report and pack below `out`.

    The pack is signed with a key made for it and kept beside it, so it proves integrity, not origin.

    Raises:
        Unavailable: the target cannot be read, or the engine cannot be started.
        InvalidInput: the DSN or the file of people cannot be read.
    """
    computing, now = new_engine(engine), datetime.now(UTC)
    resource = _resource_name(dsn)
    on_stage("collect")
    observation = await _observed(resource, dsn)
    period = Period(text=f"{now:%Y-%m-%d}", start=now - _LOOKING_BACK, end=now + timedelta(seconds=1))
    scope = ReviewScope(selector="all", period=period, review_id=_review_id(resource, now))
    inputs = _inputs(given, [observation])
    with _whole_or_gone(out / scope.review_id):
        snapshot = collect_brownfield(inputs, scope, out / scope.review_id / "snapshot", now)
        return _documented(snapshot, out, f"Access review of {resource}", computing, on_stage)


def review_files(
    given: Given,
    period: str,
    out: Path,
    *,
    now: datetime | None = None,
    engine: str = DUCKDB,
    on_stage: OnStage = _quiet,
) -> Brownfield:
    """Review what other tools recorded, in the form of evidence files (docs/evidence.md) or their own, as of `now`.

    Raises:
        NotFound: there is no such folder or file.
        InvalidInput: the period, an option or a file makes no sense.
        Unavailable: the engine cannot be started.
    """
    computing, at = new_engine(engine), now or datetime.now(UTC)
    folder = given.imports or next((wanted.path for wanted in given.sources), Path("files"))
    name = check_name("".join(c if c.isalnum() else "-" for c in folder.name.lower()).strip("-") or "files")
    scope = parse_scope("all", period, review_id=_review_id(name, at))
    scope.check_begun(at)
    _check_evidence(given)
    on_stage("collect")
    with _whole_or_gone(out / scope.review_id):
        snapshot = collect_imports(_inputs(given), scope, out / scope.review_id / "snapshot", at)
        return _documented(snapshot, out, f"Access review of {name}, {period}", computing, on_stage)


def _check_evidence(given: Given) -> None:
    """A review of nothing would look like a clean one."""
    folder = given.imports
    if folder is None or not folder.is_dir() or given.sources or any(map(is_evidence, folder.iterdir())):
        return
    raise InvalidInput(
        f"there is no evidence in `{shown(str(folder), 200)}`",
        hint="its files are called like the tables in docs/evidence.md, such as `access_observed.csv`",
    )


def given_of(body: Mapping[str, Any]) -> Given:
    """What is given to a review, as it is put into a call.

    Raises:
        InvalidInput: a source is not written as it must be.
    """
    names = ("imports", "people", "conflicts", "detectors")
    files = {name: Path(body[name]) for name in names if body.get(name)}
    return Given(**files, sources=tuple(map(parse_wanted, body.get("sources", ()))))


def _inputs(given: Given, observations: Sequence[Observation] = ()) -> Inputs:
    return Inputs(
        observations=observations,
        imports=given.imports,
        people=given.people,
        conflicts=given.conflicts,
        sources=given.sources,
        detectors=given.detectors,
    )


@contextmanager
def _whole_or_gone(folder: Path) -> Iterator[None]:
    """What goes wrong inside leaves no half of a review behind, nor the empty folder above it."""
    made = [one for one in (folder, *folder.parents) if not one.exists()]
    try:
        yield
    except BaseException:
        if folder in made:
            shutil.rmtree(folder, ignore_errors=True)
        for above in made[1:]:
            with suppress(OSError):  # somebody else has put something there, or it was not made at all
                above.rmdir()
        raise


def _documented(snapshot: Snapshot, out: Path, title: str, engine: Engine, on_stage: OnStage) -> Brownfield:
    result = run_stages(lambda: engine, snapshot, on_stage)
    on_stage("seal")
    folder = out / result.scope.review_id
    contents = PackContents(
        name=f"review-{result.scope.review_id}",
        title=title,
        result=result,
        sealed_at=datetime.now(UTC),
        sealed_by="lapse review run",
        product_version=__version__,
    )
    signer = Keyring.open(folder / "keys", "lapse.local/review").signer
    return Brownfield(result=result, pack=seal(contents, signer=signer, into=folder / "pack"))


def _review_id(name: str, now: datetime) -> str:
    return f"{name}-{now:%Y%m%dT%H%M%SZ}"


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
