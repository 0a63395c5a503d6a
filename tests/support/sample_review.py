"""A review as it comes out of the first five steps: three databases, a quarter, and the usual sins.

`sample_result(folder)` writes the snapshot's Parquet files below `folder`; `sample_contents` adds policies and a
small ledger, ready to seal; `renamed(result, text)` puts one hostile text wherever a name can stand.
"""

from __future__ import annotations

import hashlib
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lapse.domain.reviews import Item, ItemDecision, Usage
from lapse.ledger import canonical, checkpoint, tiles
from lapse.ledger.bundle import proof_bundle
from lapse.ledger.entry import Entry
from lapse.ledger.standalone import leaf_hash, write_key
from lapse.policy.effects import ClaimEffect, DiffEffect, Effects, ProofOutcome
from lapse.policy.replay import ReplayEffect, ReplayGroup, ReplayReport
from lapse.ports import PolicyVersion
from lapse.review.adjust.model import NotProposed, ProposalKind
from lapse.review.model import (
    ActiveGrant,
    Adjustments,
    AuditResult,
    Coverage,
    ExpiryLag,
    Exposure,
    LagBucket,
    LagQuantile,
    Pattern,
    PolicyProposal,
    Problem,
    Rederivation,
    ReviewResult,
    Snapshot,
    SnapshotManifest,
    StandingAccess,
    TableManifest,
    ValidationResult,
    WorkflowResult,
)
from lapse.review.scope import parse_scope
from lapse.review.seal import PackContents
from support.sample_figures import APPROVALS, FIGURES, OBJECTIVE, ROLES, TREND
from support.sample_findings import FINDINGS, RUNS

MADE = datetime(2026, 10, 2, 8, 30, tzinfo=UTC)
QUARTER = datetime(2026, 7, 1, tzinfo=UTC)


class SampleSigner:
    """Implements `ports.Signer` with a key that every test can know."""

    name = "lapse.example.com/ledger"

    def __init__(self, seed: bytes = b"k" * 32) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)

    @property
    def public_key(self) -> bytes:
        return self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)

    @property
    def vkey(self) -> str:
        return write_key(checkpoint.key_of(self))


def _day(number: int, hour: int = 9) -> datetime:
    return QUARTER + timedelta(days=number, hours=hour)


def _item(number, principal, account, role, holding, usage, recommendation, reason, **more):
    resource = more.pop("resource", "pg-prod")
    coverage = {
        Usage.USED: "seen in pg_stat_activity",
        Usage.UNUSED: "complete, 1 Jul to 30 Sep",
        Usage.UNKNOWN: "no telemetry before 12 Sep",
    }[usage]
    return Item(
        id=f"it_{number:04}",
        review_id="rv_01JC7Q3Z",
        resource=resource,
        account=account,
        principal=principal,
        role=role,
        holding=holding,
        usage=usage,
        usage_coverage=coverage,
        recommendation=recommendation,
        recommendation_reason=reason,
        risk=100 - number,
        **more,
    )


def _by(detector: str) -> tuple[str, ...]:
    return tuple(f.fingerprint for f in FINDINGS if f.detector == detector)[:1]


ITEMS = (
    _item(
        1,
        "mallory.kline",
        "mkline",
        "writer",
        "grant",
        Usage.USED,
        ItemDecision.REVOKE,
        "Past its end and still there.",
        since=_day(80),
        ends_at=_day(82, 14),
        last_used=_day(89),
        purpose="INC-4127: repair stuck invoices",
        findings=_by("L6"),
        decision=ItemDecision.REVOKE,
        decided_by="olga.petrova",
        decided_at=MADE,
        decision_reason="ended long ago",
        outcome="target unreachable",
    ),
    _item(
        2,
        "",
        "tmp_migration2",
        "admin",
        "standing",
        Usage.UNKNOWN,
        ItemDecision.REVOKE,
        "Nobody owns it, no grant explains it.",
        since=_day(44, 2),
        findings=_by("L2"),
        resource="pg-billing",
    ),
    _item(
        3,
        "olga.petrova",
        "olga",
        "superuser",
        "standing",
        Usage.USED,
        ItemDecision.SHORTEN,
        "Used on 3 of 92 days; a grant would do.",
        last_used=_day(61),
        purpose="",
        findings=_by("L1"),
        decision=ItemDecision.KEEP,
        decided_by="root",
        decided_at=MADE,
        decision_reason="break-glass account until December",
    ),
    _item(
        4,
        "tomas.vega",
        "tvega",
        "reader",
        "standing",
        Usage.UNUSED,
        ItemDecision.REVOKE,
        "The holder left on 18 Aug.",
        since=_day(1),
        findings=_by("R1"),
        resource="pg-analytics",
        decision=ItemDecision.REVOKE,
        decided_by="ines.moreau",
        decided_at=MADE,
        carried_out_at=MADE + timedelta(minutes=2),
        outcome="login refused, read back",
    ),
    _item(
        5,
        "svc-backup",
        "svc_backup",
        "pg_read_all_data",
        "inherited",
        Usage.USED,
        ItemDecision.KEEP,
        "Used nightly by the backup.",
        since=_day(0),
        last_used=_day(91, 3),
        purpose="nightly backup",
        findings=_by("L1"),
    ),
    *(
        _item(
            10 + n,
            who,
            who.split(".")[0],
            "reader",
            "grant",
            usage,
            rec,
            why,
            since=_day(85 + n % 5),
            ends_at=_day(93 + n % 4, 17),
            purpose=f"OPS-{310 + n}: weekly figures",
            last_used=_day(90) if usage is Usage.USED else None,
        )
        for n, (who, usage, rec, why) in enumerate(
            [
                ("ines.moreau", Usage.UNUSED, ItemDecision.REVOKE, "Not used since it was granted."),
                ("henrik.dahl", Usage.USED, ItemDecision.KEEP, "Used on 11 days."),
                ("bob.tran", Usage.UNKNOWN, ItemDecision.KEEP, "Use cannot be told; ends on its own in 3 days."),
                ("carol.nowak", Usage.USED, ItemDecision.KEEP, "Used on 4 days."),
                ("dev.anand", Usage.USED, ItemDecision.SHORTEN, "8 h granted, at most 35 min used."),
            ]
        )
    ),
)


def _lag() -> tuple[ExpiryLag, ...]:
    def ms(value, *, at_least=False):
        return LagQuantile(ms=value, lower_bound=at_least)

    counts = [
        (0, 0, 0),
        (100, 61, 0),
        (250, 84, 0),
        (500, 41, 0),
        (1_000, 17, 0),
        (5_000, 6, 0),
        (60_000, 2, 0),
        (3_600_000, 1, 0),
        (86_400_000, 0, 0),
        (None, 0, 3),
    ]
    buckets = tuple(LagBucket(upto_ms=upto, ended=ended, not_ended=still) for upto, ended, still in counts)
    everything = ExpiryLag(
        resource="",
        ended=212,
        not_ended=3,
        early=4,
        p50=ms(180),
        p95=ms(2_400),
        p99=ms(813_000_000, at_least=True),
        longest=ms(813_000_000, at_least=True),
        buckets=buckets,
        objective=OBJECTIVE,
    )
    billing = ExpiryLag(
        resource="pg-billing", ended=70, not_ended=0, p50=ms(140), p95=ms(610), p99=ms(980), longest=ms(1_020)
    )
    prod = ExpiryLag(
        resource="pg-prod",
        ended=142,
        not_ended=3,
        p50=ms(210),
        p95=ms(3_100),
        p99=ms(813_000_000, at_least=True),
        longest=ms(813_000_000, at_least=True),
    )
    return everything, billing, prod


EXPOSURE = (
    Exposure(
        resource="pg-prod",
        role="superuser",
        standing_hours=6_624,
        granted_hours=0,
        used_hours=31.5,
        holders_standing=3,
        holders_granted=0,
    ),
    Exposure(
        resource="pg-prod",
        role="writer",
        standing_hours=4_416,
        granted_hours=612,
        used_hours=140.2,
        holders_standing=2,
        holders_granted=9,
    ),
    Exposure(
        resource="pg-billing",
        role="admin",
        standing_hours=1_151,
        granted_hours=88,
        used_hours=None,
        holders_standing=1,
        holders_granted=3,
    ),
    Exposure(
        resource="pg-prod",
        role="reader",
        standing_hours=2_208,
        granted_hours=1_904,
        used_hours=611,
        holders_standing=1,
        holders_granted=22,
    ),
    Exposure(
        resource="pg-analytics",
        role="reader",
        standing_hours=1_055,
        granted_hours=0,
        used_hours=0,
        holders_standing=1,
        holders_granted=0,
    ),
)


def _tables(folder: Path) -> tuple[TableManifest, ...]:
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, rows in (("grants", 240), ("requests", 261), ("memberships", 88), ("usage", 1_500)):
        pq.write_table(
            pa.table({"id": [f"{name}-{n:06}" for n in range(rows)], "n": list(range(rows))}),
            folder / f"{name}.parquet",
        )
        data = (folder / f"{name}.parquet").read_bytes()
        partial = name == "usage"
        written.append(
            TableManifest(
                table=name,
                coverage=Coverage.PARTIAL if partial else Coverage.COMPLETE,
                file=f"{name}.parquet",
                rows=rows,
                sha256=hashlib.sha256(data).hexdigest(),
                source="lapse store" if name in {"grants", "requests"} else "pg-prod, pg-billing, pg-analytics",
                query="select * from …",
                recount=None if partial else rows + (2 if name == "memberships" else 0),
                rejected=0,
                gaps=("pg-billing: no statistics before 12 Sep",) if partial else (),
            )
        )
    absent = TableManifest(table="tickets", coverage=Coverage.ABSENT)
    return (*written, absent)


def sample_result(folder: Path) -> ReviewResult:
    """The whole result, its snapshot written below `folder`."""
    scope = parse_scope("tag:env=prod", "2026-Q3", review_id="rv_01JC7Q3Z")
    manifest = SnapshotManifest(
        evidence_version=1,
        scope=scope,
        collected_at=MADE - timedelta(hours=2),
        tables=_tables(folder),
        resources=("pg-analytics", "pg-billing", "pg-prod"),
        problems=(
            Problem(
                table="memberships",
                source="pg-billing",
                what="the second count differs by 2",
                rows=2,
                examples=("etl_tmp in reader",),
            ),
        ),
    )
    by_step = {n: tuple(r for r in RUNS if r.step == n) for n in range(2, 7)}
    found = {n: tuple(f for f in FINDINGS if f.detector in {r.detector for r in by_step[n]}) for n in by_step}
    return ReviewResult(
        scope=scope,
        snapshot=Snapshot(folder=str(folder), manifest=manifest),
        audit=AuditResult(
            active_grants=_active(),
            standing=_standing(),
            exposure=EXPOSURE,
            figures=FIGURES,
            counts={"accounts": 61, "memberships": 88},
            findings=found[2],
            runs=by_step[2],
        ),
        validation=ValidationResult(items=ITEMS, roles=ROLES, findings=found[3], runs=by_step[3]),
        workflows=_workflows(found[4], by_step[4] + by_step[6]),
        adjustments=_adjustments(),
        items=ITEMS,
        trend=TREND,
    )


def _active() -> tuple[ActiveGrant, ...]:
    return tuple(
        ActiveGrant(
            grant_id=f"gr_{i.id}",
            resource=i.resource,
            role=i.role,
            account=i.account,
            principal=i.principal,
            state="active",
            starts_at=i.since or QUARTER,
            ends_at=i.ends_at,
            task=i.purpose,
            ticket=i.purpose.partition(":")[0],
            approved_by=("bob.tran",),
            usage=i.usage,
        )
        for i in ITEMS
        if i.holding == "grant"
    )


def _standing() -> tuple[StandingAccess, ...]:
    return tuple(
        StandingAccess(
            resource=i.resource,
            account=i.account,
            principal=i.principal,
            role=i.role,
            can_login=True,
            known_since=i.since,
            usage=i.usage,
            reason="no end",
            powers=("superuser",) if i.role == "superuser" else (),
        )
        for i in ITEMS
        if i.holding != "grant"
    )


def _workflows(findings, runs) -> WorkflowResult:
    return WorkflowResult(
        rederived=261,
        same=258,
        different=(
            Rederivation(
                request_id="rq_01JB92",
                recorded="approved",
                derived="denied",
                outcome="different",
                policy_version="9f31",
                differences=("the rule `writers` then asked for 2 persons, 1 decided",),
            ),
        ),
        not_derivable=tuple(
            Rederivation(
                request_id=f"rq_01JB{n}",
                recorded="approved",
                derived="",
                outcome="not derivable",
                policy_version="",
                differences=("no policy version on record",),
            )
            for n in range(2)
        ),
        lag=_lag(),
        patterns=(
            Pattern(
                name="approval_wait_p50_ms",
                title="Wait for an approval, median",
                value=252_000,
                unit="ms",
                population=261,
            ),
            Pattern(name="approved_share", title="Requests approved", value=0.938, unit="share", population=261),
            Pattern(name="extensions", title="Extensions", value=17, unit="", population=240),
        ),
        approvals=APPROVALS,
        findings=findings,
        runs=runs,
    )


_PATCH = """\
--- a/prod.yaml
+++ b/prod.yaml
@@ -4,4 +4,5 @@
   - name: readers
     entitlements: pg-prod/reader
     to: group:developers
-    max_duration: 8h
+    max_duration: 2h
+    max_total: 8h
"""


def _adjustments() -> Adjustments:
    return Adjustments(
        proposals=(
            PolicyProposal(
                id="adj_1",
                kind=ProposalKind.STANDING,
                subject="pg-prod/writer",
                title="`pg-prod/writer` for 2h at a time, instead of for ever",
                reason="2 people hold it without an end; a piece of work took at most 2h; approved like `writers`",
                entitlements=("pg-prod/writer",),
                proposed=timedelta(hours=2),
                samples=31,
                saved_hours=4_370,
                not_patched="no change of policy is needed: they may ask for it already",
            ),
            PolicyProposal(
                id="adj_2",
                kind=ProposalKind.DURATION,
                subject="readers",
                title="`readers`: at most 2h instead of 8h",
                reason="2h would have been enough for 99.1% of 214 grants in use",
                offers=("readers",),
                entitlements=("pg-prod/reader",),
                current=timedelta(hours=8),
                proposed=timedelta(hours=2),
                covers=0.991,
                samples=214,
                saved_hours=1_391,
                evidence=({"samples": 214, "needed_p50_s": 2_100, "needed_p99_s": 6_900, "needed_longest_s": 25_000},),
                base="9f31" + "0c" * 30,
                changed={"prod.yaml": "version: 1\n"},
                patch=_PATCH,
                effects=Effects(
                    diff=DiffEffect(widens=False, lines=("denied now, by readers:", "  alice asks for 4h")),
                    claims=(
                        ClaimEffect(name="admin-takes-two", outcome=ProofOutcome.PROVED),
                        ClaimEffect(name="nothing-over-a-day", outcome=ProofOutcome.UNKNOWN, detail="out of time"),
                    ),
                    replay=ReplayReport(
                        policy_version="77aa",
                        since=QUARTER,
                        until=MADE,
                        requests=261,
                        refused=9,
                        persons_affected=12,
                        held=timedelta(hours=2_604),
                        saved=timedelta(hours=1_391),
                        open=0,
                        groups=(
                            ReplayGroup(
                                effect=ReplayEffect.SHORTENED, requests=88, persons=12, saved=timedelta(hours=1_391)
                            ),
                        ),
                    ),
                    warnings=("prod.yaml:9: the offer `old` is never decisive",),
                ),
            ),
            PolicyProposal(
                id="adj_3",
                kind=ProposalKind.UNUSED,
                subject="billing-admins",
                title="without the offer `billing-admins`",
                reason="nobody asked for anything under it in the whole period; 14 may",
                offers=("billing-admins",),
                base="9f31" + "0c" * 30,
                changed={"prod.yaml": "version: 1\n"},
                patch=_PATCH,
                effects_missing="there was no time left for it; filing the proposal computes it",
            ),
        ),
        not_proposed=(
            NotProposed(
                kind=ProposalKind.DURATION, subject="analysts", reason="3 grants with known use, at least 20 are needed"
            ),
            NotProposed(kind=ProposalKind.UNUSED, subject="", reason="requests are not all on record"),
        ),
    )


POLICIES = (
    PolicyVersion(
        version="9f31" + "0c" * 30,
        files={"prod.yaml": "version: 1\noffers:\n  - name: readers\n", "../odd name.yaml": "version: 1\n"},
        activated_at=QUARTER - timedelta(days=20),
        activated_by="root",
    ),
)


def sample_bundle(signer: SampleSigner, size: int = 40) -> dict[str, object]:
    """A ledger of `size` entries, of which every third is in the bundle with its proof."""
    bodies = [
        canonical.encode(
            Entry(type="grant.ended", at=_day(n), actor="system", subject=f"gr_{n:04}", after={"state": "ended"})
        )
        for n in range(size)
    ]
    stored = tiles.extend(0, [leaf_hash(body) for body in bodies], lambda *_: None)

    def tile(level: int, index: int) -> bytes | None:
        return stored.get((level, index))

    note = checkpoint.seal(size, tiles.tree_root(size, tile), signer)
    rows = [(n, bodies[n]) for n in range(0, size, 3)]
    return proof_bundle(rows, note, [checkpoint.key_of(signer)], tile=tile)


def sample_contents(folder: Path, signer: SampleSigner | None = None) -> PackContents:
    """Everything that `seal` needs but the key."""
    return PackContents(
        name="review-2026-q3",
        title="Production databases, third quarter 2026",
        result=sample_result(folder),
        sealed_at=MADE,
        sealed_by="olga.petrova",
        product_version="0.1.0",
        policies=POLICIES,
        ledger=sample_bundle(signer or SampleSigner()),
    )


def renamed(value, text: str):
    """`value` with `text` appended to every text in it: what a hostile target or requester could have chosen."""
    if isinstance(value, str) and not isinstance(value, Enum):
        return value + text
    if isinstance(value, tuple):
        return tuple(renamed(part, text) for part in value)
    if isinstance(value, dict):
        return {renamed(key, text): renamed(part, text) for key, part in value.items()}
    if isinstance(value, list):
        return [renamed(part, text) for part in value]
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: renamed(getattr(value, f.name), text) for f in fields(value)})
    return value
