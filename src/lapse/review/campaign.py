"""A review on record: its six steps in order, each result kept in the review's folder, each step in the ledger.

A step takes what the one before left in the folder, so a review goes on after a crash where it stopped, and nothing
is done twice: the review's state moves only after the step's files are written. Called by the edges through
`bootstrap`, which passes everything from outside as values and functions.
"""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from lapse import __version__
from lapse.domain.access import Observation
from lapse.domain.actors import Actor, Scope
from lapse.domain.catalog import Catalog
from lapse.domain.data import Json, from_data, to_data
from lapse.domain.errors import Corrupt, LapseError, NotFound, Refused
from lapse.domain.reviews import REVIEW_LIFE, Item, Review, ReviewEvent
from lapse.ledger.entry import changed, created
from lapse.ports import Clock, Engine, PolicyVersion, Reader, Signer, SnapshotStore, Store, Transaction
from lapse.review.adjust.filing import Consequences, with_effects
from lapse.review.collection.collect import Inputs, LedgerCheck, collect
from lapse.review.collection.policy_evidence import PolicyEvidence, policy_evidence
from lapse.review.collection.snapshot import MANIFEST, load_snapshot
from lapse.review.collection.stored import fetch_snapshot, store_snapshot
from lapse.review.detection.changes import past_review
from lapse.review.items.asking import asked_items
from lapse.review.model import (
    Adjustments,
    AuditResult,
    PastReview,
    ReviewResult,
    Snapshot,
    ValidationResult,
    WorkflowResult,
)
from lapse.review.scope import ReviewScope, parse_scope
from lapse.review.seal import PackContents, SealedPack, seal
from lapse.review.sources.wanted import WantedSource
from lapse.review.stages import Stages
from lapse.review.terms import NO_TERMS, ReviewTerms, check_terms
from lapse.review.validate import ranked

T = TypeVar("T")
_REVIEWERS = (Scope.REVIEW, Scope.ADMIN)
STORED = "snapshot"
"""Among a review's hashes, that of the manifest in the store of snapshots: which of them is the review's."""


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What a campaign needs from outside.

    `observe` reads a whole target, `check_ledger` verifies the ledger, `prove` gives a proof bundle of the ledger's
    entries about the given subjects (None where nothing is sealed yet). `detectors` is a folder of one's own.
    `consequences` says what a proposed change of the policy would do (None: nobody does). `snapshots` keeps the
    evidence beyond this machine (None: nobody does).
    """

    store: Store
    clock: Clock
    new_id: Callable[[str], str]
    folder: Path
    signer: Signer
    engine: Callable[[], Engine]
    observe: Callable[[str], Awaitable[Observation]]
    check_ledger: Callable[[], Awaitable[Sequence[LedgerCheck]]]
    prove: Callable[[Iterable[str]], Awaitable[Mapping[str, Json] | None]]
    detectors: Path | None = None
    consequences: Consequences | None = None
    snapshots: SnapshotStore | None = None

    def folder_of(self, review_id: str) -> Path:
        """Where a review keeps its files."""
        return self.folder / review_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Files that are given to a review: evidence in the form of the tables, HR's list, conflicts, other records."""

    imports: Path | None = None
    people: Path | None = None
    conflicts: Path | None = None
    sources: tuple[WantedSource, ...] = ()
    detectors: Path | None = None


NOTHING_GIVEN = Given()


Noted = Callable[[Transaction, Review], Awaitable[None]]
"""What else is recorded in the transaction that opens a review; where it fails, none is opened."""


async def _nothing(_tx: Transaction, _review: Review) -> None:
    """Nothing else."""


async def start(
    desk: Desk, actor: Actor, selector: str, period: str, terms: ReviewTerms = NO_TERMS, noted: Noted = _nothing
) -> Review:
    """Step 1, scope: open a review of what `selector` names, over `period`.

    Raises:
        InvalidInput: scope, period, plan, a framework or a threshold makes no sense, or nothing is in scope.
    """
    actor.require(*_REVIEWERS)
    scope = parse_scope(selector, period, frameworks=terms.frameworks, thresholds=terms.thresholds)
    catalog = await desk.store.read(lambda reader: reader.catalog())
    now = desk.clock.now()
    scope.resources_of(catalog)
    scope.check_people(catalog)
    scope.check_begun(now)
    check_terms(terms, catalog)
    review = Review(
        id=desk.new_id("rev"),
        scope=scope.selector,
        period=period,
        period_start=scope.period.start,
        period_end=scope.period.end,
        started_by=actor.name,
        started_at=now,
        title=terms.title or f"Access review {period}",
        plan=terms.plan,
        frameworks=scope.frameworks,
        thresholds=terms.thresholds,
        schedule=terms.schedule,
    )

    async def work(tx: Transaction) -> Review:
        await tx.add_review(review)
        await tx.append([created("review.started", review, review.id, at=now, actor=actor.name)])
        await noted(tx, review)
        return review

    return await desk.store.write(work)


async def collect_evidence(desk: Desk, actor: Actor, review_id: str, given: Given = NOTHING_GIVEN) -> Review:
    """Step 2a: read every target in scope, and what is given besides, and freeze the whole population.

    Raises:
        NotFound: a file or folder that is given does not exist.
        InvalidInput: one that is given makes no sense as a whole.
    """
    review, scope = await _at(desk, actor, review_id, ReviewEvent.COLLECT)
    snapshot = await freeze(desk, scope, given, _fresh(desk.folder_of(review_id) / "snapshot"))
    return await _advance(desk, actor, review, ReviewEvent.COLLECT, _stored(desk, review, snapshot))


async def freeze(desk: Desk, scope: ReviewScope, given: Given, folder: Path) -> Snapshot:
    """The whole population of `scope` as it is now, frozen into `folder`, which must be empty or not exist."""
    observations, unread = await _observe_all(desk, scope)
    inputs = Inputs(
        observations=observations,
        unread=unread,
        imports=given.imports,
        people=given.people,
        conflicts=given.conflicts,
        sources=given.sources,
        detectors=given.detectors or desk.detectors,
        ledger_checks=await desk.check_ledger(),
        policy=await _policy_evidence(desk),
    )
    return await collect(desk.store, inputs, scope, folder, desk.clock.now())


async def _policy_evidence(desk: Desk) -> PolicyEvidence:
    """What the policy in force comes to, looked at before the population is frozen: it can take minutes."""

    async def work(reader: Reader) -> tuple[PolicyVersion | None, Catalog]:
        return await reader.active_policy(), await reader.catalog()

    version, catalog = await desk.store.read(work)
    return policy_evidence(version, catalog, lambda: desk.clock.now().timestamp())


async def audit(desk: Desk, actor: Actor, review_id: str) -> AuditResult:
    """Step 2b: who holds what, until when, and what never ends."""
    review, _ = await _at(desk, actor, review_id, ReviewEvent.AUDIT)
    with _stages(desk, review) as stages:
        result = stages.audit()
        hashes = _stored(desk, review, stages.snapshot)
    _keep(desk, review_id, "audit", result)
    await _advance(desk, actor, review, ReviewEvent.AUDIT, hashes)
    return result


async def validate(desk: Desk, actor: Actor, review_id: str) -> ValidationResult:
    """Step 3: an item for each permission, with its purpose, its use and a recommendation, for people to decide."""
    review, _ = await _at(desk, actor, review_id, ReviewEvent.VALIDATE)
    with _stages(desk, review) as stages:
        result = stages.validate(kept(desk, review_id, "audit", AuditResult))
    _keep(desk, review_id, "validation", result)
    at = desk.clock.now()
    items = await desk.store.read(lambda reader: asked_items(reader, review, result.items, at))
    due = replace(review, due_at=at + review.plan.within)
    await _advance(desk, actor, due, ReviewEvent.VALIDATE, {}, lambda _stored: items)
    return result


async def workflows(desk: Desk, actor: Actor, review_id: str) -> WorkflowResult:
    """Step 4: do past approvals re-derive, and did access end when it was promised?"""
    review, _ = await _at(desk, actor, review_id, ReviewEvent.WORKFLOWS)
    with _stages(desk, review) as stages:
        result = stages.workflows()
        hashes = _stored(desk, review, stages.snapshot)
    _keep(desk, review_id, "workflows", result)
    await _advance(desk, actor, review, ReviewEvent.WORKFLOWS, hashes)
    return result


async def adjust(desk: Desk, actor: Actor, review_id: str) -> Adjustments:
    """Step 5: what the policy should be instead. Items now carry the findings of every step."""
    review, scope = await _at(desk, actor, review_id, ReviewEvent.ADJUST)
    with _stages(desk, review) as stages:
        result = await with_effects(stages.adjust(), desk.consequences, scope.period.start, desk.clock.now)
        _keep(desk, review_id, "adjustments", result)
        whole = _result(desk, review_id, stages, await _past(desk, review))
    _keep(desk, review_id, "past", past_review(whole))
    await _advance(desk, actor, review, ReviewEvent.ADJUST, {}, lambda stored: _undecided(whole.items, stored))
    return result


async def document(desk: Desk, actor: Actor, review_id: str) -> SealedPack:
    """Step 6: the report and the sealed pack. What nobody decided is sealed as undecided."""
    review, scope = await _at(desk, actor, review_id, ReviewEvent.SEAL)
    result = await result_of(desk, review_id)
    policies = await desk.store.read(lambda reader: reader.policies())
    contents = PackContents(
        name=f"review-{review_id}",
        title=review.title,
        result=result,
        sealed_at=desk.clock.now(),
        sealed_by=actor.name,
        product_version=__version__,
        policies=tuple(p for p in policies if p.activated_at < scope.period.end),
        ledger=await desk.prove(_subjects(review, result)),
    )
    pack = seal(contents, signer=desk.signer, into=desk.folder_of(review_id) / "pack")
    hashes = {"manifest": pack.manifest_sha256, "evidence": pack.evidence_sha256}
    await _advance(desk, actor, review, ReviewEvent.SEAL, hashes)
    return pack


async def result_of(desk: Desk, review_id: str) -> ReviewResult:
    """Everything a review found, once it is adjusted, with its items as they are decided now."""
    review = await desk.store.read(lambda reader: reader.review(review_id))
    items = await desk.store.read(lambda reader: reader.items(review_id))
    past = await _past(desk, review)
    with _stages(desk, review) as stages:
        result = _result(desk, review_id, stages, past)
    return replace(
        result,
        items=ranked(item for item in items if not item.canary),
        canaries=ranked(item for item in items if item.canary),
        plan=review.plan,
        due_at=review.due_at,
    )


async def past_of(desk: Desk, review_id: str) -> PastReview:
    """What an adjusted review found, as later ones see it.

    Raises:
        NotFound: there is no such review.
        Corrupt: it is not adjusted yet, or its files are lost.
    """
    review = await desk.store.read(lambda reader: reader.review(review_id))
    if not (desk.folder_of(review.id) / "past.json").is_file():
        raise NotFound(f"review {review.id} is not adjusted yet", hint="only then it is known what it found")
    return kept(desk, review.id, "past", PastReview)


async def _past(desk: Desk, review: Review) -> list[PastReview]:
    """Earlier reviews in the order of time, as far as their files are there."""
    earlier = [one for one in await desk.store.read(lambda reader: reader.reviews()) if one.id != review.id]
    before = sorted((one for one in earlier if one.started_at < review.started_at), key=lambda one: one.started_at)
    known = [one for one in before if (desk.folder_of(one.id) / "past.json").is_file()]
    return [kept(desk, one.id, "past", PastReview) for one in known]


def pack_of(desk: Desk, review_id: str) -> Path:
    """The sealed pack's zip file."""
    path = desk.folder_of(review_id) / "pack" / f"review-{review_id}.zip"
    if not path.is_file():
        raise NotFound(f"review {review_id} has no pack yet", hint=f"`lapse review seal {review_id}` makes it")
    return path


async def _at(desk: Desk, actor: Actor, review_id: str, event: ReviewEvent) -> tuple[Review, ReviewScope]:
    """The review and its scope, if `event` is its next step and the actor may take it."""
    actor.require(*_REVIEWERS)
    review = await desk.store.read(lambda reader: reader.review(review_id))
    _check_next(review, event)
    scope = parse_scope(
        review.scope, review.period, review_id=review.id, frameworks=review.frameworks, thresholds=review.thresholds
    )
    return review, scope


def _check_next(review: Review, event: ReviewEvent) -> None:
    if REVIEW_LIFE.allows(review.state, event):
        return
    following = next((step for step in ReviewEvent if REVIEW_LIFE.allows(review.state, step)), None)
    if following is None:
        raise Refused(f"review {review.id} is sealed: nothing in it changes", hint="`lapse review start` opens another")
    raise Refused(
        f"review {review.id} is {review.state}: its next step is {following}, not {event}",
        hint=f"`lapse review {following} {review.id}`",
    )


async def _advance(
    desk: Desk,
    actor: Actor,
    review: Review,
    event: ReviewEvent,
    hashes: Mapping[str, str],
    items: Callable[[Sequence[Item]], Sequence[Item]] = lambda _stored: (),
) -> Review:
    """Record that a step is done, with the items it made or changed."""
    now = desk.clock.now()
    after = replace(
        review,
        state=REVIEW_LIFE.step(review.state, event),
        hashes={**review.hashes, **hashes},
        sealed_at=now if event is ReviewEvent.SEAL else None,
        version=review.version + 1,
    )

    async def work(tx: Transaction) -> Review:
        await tx.save_review(after)
        await tx.put_items(items(await tx.items(review.id)))
        await tx.append([changed(f"review.{after.state}", review, after, review.id, at=now, actor=actor.name)])
        return after

    return await desk.store.write(work)


async def _observe_all(desk: Desk, scope: ReviewScope) -> tuple[list[Observation], dict[str, str]]:
    """Fresh reads of the targets in scope; a target that cannot be read is named with the reason."""

    async def known(reader: Reader) -> list[str]:
        reachable = {target.resource for target in await reader.targets()}
        return [name for name in scope.resources_of(await reader.catalog()) if name in reachable]

    observations, unread = [], {}
    for resource in await desk.store.read(known):
        try:
            observations.append(await desk.observe(resource))
        except LapseError as error:
            unread[resource] = error.message
    return observations, unread


def _undecided(items: Sequence[Item], stored: Sequence[Item]) -> list[Item]:
    """The stored items with what later steps found, but for those that somebody decided meanwhile."""
    fresh = {item.id: item for item in items}
    return [
        replace(
            item,
            findings=fresh[item.id].findings,
            risk=fresh[item.id].risk,
            recommendation=fresh[item.id].recommendation,
            recommendation_reason=fresh[item.id].recommendation_reason,
            version=item.version + 1,
        )
        for item in stored
        if item.decision is None and item.id in fresh
    ]


def _subjects(review: Review, result: ReviewResult) -> list[str]:
    """What the pack proves from the ledger: the review itself, and every grant and request it is about."""
    held = {grant.grant_id for grant in result.audit.active_grants}
    found = {finding.subject for finding in result.findings}
    decided = {item.id for item in result.items if item.decision is not None}
    return [review.id, *sorted(held | found | decided)]


def _result(desk: Desk, review_id: str, stages: Stages, past: Sequence[PastReview]) -> ReviewResult:
    return stages.result(
        kept(desk, review_id, "audit", AuditResult),
        kept(desk, review_id, "validation", ValidationResult),
        kept(desk, review_id, "workflows", WorkflowResult),
        kept(desk, review_id, "adjustments", Adjustments),
        past,
    )


def _stages(desk: Desk, review: Review) -> Stages:
    folder = desk.folder_of(review.id) / "snapshot"
    if desk.snapshots is not None and STORED in review.hashes and not (folder / MANIFEST).is_file():
        fetch_snapshot(desk.snapshots, review.id, review.hashes[STORED], _fresh(folder))
    return Stages(desk.engine(), load_snapshot(folder))


def _stored(desk: Desk, review: Review, snapshot: Snapshot) -> dict[str, str]:
    """What is to be recorded of a snapshot: its hashes, once it is in the store, if there is one."""
    hashes = dict(snapshot.manifest.hashes)
    if desk.snapshots is not None:
        hashes[STORED] = store_snapshot(desk.snapshots, review.id, snapshot, set(review.hashes.values()))
    return hashes


def _fresh(folder: Path) -> Path:
    """`folder`, with what an interrupted attempt left there moved out of the way."""
    if folder.exists():
        attempt = sum(1 for _ in folder.parent.glob(f"{folder.name}.interrupted-*"))
        folder.rename(folder.with_name(f"{folder.name}.interrupted-{attempt}"))
    return folder


def _keep(desk: Desk, review_id: str, name: str, value: object) -> None:
    """Write a step's result; it appears whole or not at all."""
    path = desk.folder_of(review_id) / f"{name}.json"
    draft = path.with_suffix(".draft")
    with draft.open("w", encoding="utf-8") as file:
        json.dump(to_data(value), file, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def kept(desk: Desk, review_id: str, name: str, kind: type[T]) -> T:
    """What a step left in the review's folder: `audit`, `validation`, `workflows`, `adjustments` or `past`.

    Raises:
        Corrupt: it is not there, or cannot be read.
    """
    path = desk.folder_of(review_id) / f"{name}.json"
    try:
        return from_data(kind, json.loads(path.read_text("utf-8")))
    except (OSError, ValueError):
        raise Corrupt(f"`{path}` cannot be read", hint="start the review anew") from None
