"""Figures, a trend and checked roles of the sample review."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from lapse.review.figures.model import (
    UNTIERED,
    ApprovalFigures,
    ApproverSet,
    ExposureFigures,
    Hours,
    KeyFigures,
    LagObjective,
    TierExposure,
    TimeBucket,
    TrendPoint,
)
from lapse.review.roles.model import (
    Mover,
    PeerHolding,
    Right,
    RightState,
    RoleCheck,
    RoleState,
    RoleValidation,
    Spelling,
    Team,
)

QUARTER = datetime(2026, 7, 1, tzinfo=UTC)
MADE = datetime(2026, 10, 2, 8, 30, tzinfo=UTC)
WEEKS = 13


def _hours(standing, granted, least, most, *, overlap=0.0):
    held = standing + granted - overlap
    return Hours(
        standing=standing,
        granted=granted,
        held=held,
        used_least=least,
        used_most=most,
        score=round(1 - standing / held, 4) if held else None,
    )


def _weeks(standing, granted, least, most):
    """Alike every week, with less standing access from the eighth on."""
    return tuple(
        _hours(
            standing * (1 if n < 8 else 0.55),
            granted * (0.8 + n % 4 / 10),
            least * (0.9 + n % 3 / 10),
            most * (1 if n % 5 else 1.3),
        )
        for n in range(WEEKS)
    )


def _total(parts):
    names = ("standing", "granted", "used_least", "used_most")
    return _hours(*(round(sum(getattr(part, name) for part in parts), 1) for name in names))


_TIERS = {"0": (504, 6, 2.4, 41), "1": (336, 130, 70, 96), UNTIERED: (84, 60, 12, 30)}
_BY_WEEK = {tier: _weeks(*figures) for tier, figures in _TIERS.items()}
_ALL_WEEKS = tuple(_total(parts) for parts in zip(*_BY_WEEK.values(), strict=True))
_WEIGHTS = {"0": 10.0, "1": 3.0, UNTIERED: 1.0}

FIGURES = ExposureFigures(
    unit="week",
    buckets=tuple(
        TimeBucket(start=QUARTER + timedelta(days=7 * n), end=QUARTER + timedelta(days=7 * n + 7)) for n in range(WEEKS)
    ),
    tiers=tuple(
        TierExposure(
            tier=tier,
            weight=_WEIGHTS[tier],
            hours=_total(weeks),
            over_time=weeks,
            standing_permissions=standing,
            granted_permissions=granted,
        )
        for (tier, weeks), standing, granted in zip(_BY_WEEK.items(), (3, 2, 1), (4, 41, 22), strict=True)
    ),
    total=_total(_ALL_WEEKS),
    weighted=_hours(61_200, 6_900, 3_400, 9_000),
    over_time=_ALL_WEEKS,
)
OBJECTIVE = LagObjective(within_ms=60_000, share=0.99, reached=0.9814, met=False)
APPROVALS = ApprovalFigures(
    requests={"approved": 245, "denied": 9, "expired": 4, "cancelled": 3},
    automatic=88,
    break_glass=2,
    escalated=11,
    by_delegation=6,
    p50_ms=252_000,
    p95_ms=5_640_000,
    overall=ApproverSet(
        approvers="", asked=201, approved=180, denied=9, expired=4, votes=214, approval_rate=0.958, p50_ms=240_000,
        p95_ms=5_100_000,
    ),
    sets=(
        ApproverSet(
            approvers="group:leads", asked=150, approved=146, denied=2, expired=0, votes=148, approval_rate=0.9865,
            p50_ms=9_000, p95_ms=900_000,
        ),
        ApproverSet(
            approvers="owner;group:dba", asked=51, approved=34, denied=7, expired=4, votes=66, approval_rate=0.8939,
            p50_ms=1_800_000, p95_ms=21_600_000,
        ),
    ),
    rederived={"different": 1, "not derivable": 2, "same": 258},
)  # fmt: skip


def _key(score, standing, p95, rate, *, met=True):
    return KeyFigures(
        period_hours=2_184,
        standing_hours=standing,
        granted_hours=2_600,
        used_least_hours=900,
        used_most_hours=1_900,
        score=score,
        weighted_score=score - 0.05,
        lag_p95_ms=p95,
        lag_not_ended=0,
        objective_met=met,
        decide_p50_ms=300_000,
        decide_p95_ms=6_000_000,
        approval_rate=rate,
        different=0,
    )


TREND = (
    TrendPoint(
        review_id="rv_01J2AA", at=QUARTER - timedelta(days=180), resources=2, decisions={"keep": 18, "revoke": 9},
        due=9, carried_out=9, days_to_seal=12.5,
    ),
    TrendPoint(
        review_id="rv_01J8BB", at=QUARTER - timedelta(days=88), resources=3, by_default=2, due=7, carried_out=6,
        decisions={"keep": 14, "revoke": 7, "undecided": 2}, days_to_seal=9.0, figures=_key(0.18, 17_400, 4_100, 0.97),
        findings={"critical": 4, "high": 7, "medium": 3},
    ),
    TrendPoint(
        review_id="rv_01JC7Q3Z", at=MADE, period_start=QUARTER, period_end=MADE, resources=3,
        figures=_key(0.23, 11_000, 2_400, 0.958, met=False), findings={"critical": 2, "high": 5, "medium": 3, "low": 2},
    ),
)  # fmt: skip


def _right(action, thing, state, why=""):
    return Right(action=action, object=thing, kind="table", database="shop", state=state, why=why)


_SQL = 'REVOKE DELETE, TRUNCATE ON TABLE "public"."orders" FROM "orders_writer";\n'
ROLES = RoleValidation(
    checks=(
        RoleCheck(
            resource="pg-prod", role="orders_writer", connector="postgresql", entitlement="pg-prod/writer",
            state=RoleState.NARROWER, reason="2 of 5 rights were not used, by any of its 11 holders", holders=11,
            users=9, rights=5, used=2, kept=1, unused=2,
            unused_rights=(
                _right("DELETE", "public.orders", RightState.UNUSED),
                _right("TRUNCATE", "public.orders", RightState.UNUSED),
            ),
            kept_rights=(
                _right("SELECT", "public.orders", RightState.KEPT, "what was done may have needed it"),
            ),
            used_rights=(
                _right("INSERT", "public.orders", RightState.USED), _right("UPDATE", "public.orders", RightState.USED),
            ),
            spellings=(
                Spelling(format="postgresql", title="Take away what nobody used", text=_SQL),
                Spelling(format="lapse", title="The entitlement for the catalog", text="resources:\n  - name: a\n"),
            ),
            notes=("no offer gives the role today, so there are no terms to take over",),
        ),
        RoleCheck(
            resource="pg-prod", role="reader", connector="postgresql", state=RoleState.FITS, rights=2, used=2,
            reason="every right was used, or is needed by what was", holders=22, users=20,
        ),
        *(
            RoleCheck(
                resource=name, role="admin", connector="postgresql", state=RoleState.UNKNOWN, rights=9, holders=2,
                reason="nothing says that every use is on record",
            )
            for name in ("pg-billing", "pg-analytics")
        ),
    ),
    movers=(
        Mover(
            principal="bob.tran", moved_at=QUARTER + timedelta(days=20), change="from finance to platform",
            team="platform / engineer", peers=9,
            unusual=(PeerHolding(resource="pg-billing", role="reader", peers_holding=0, peers=9),),
            usual=(PeerHolding(resource="pg-prod", role="reader", peers_holding=8, peers=9),),
        ),
    ),
    teams=(
        Team(
            team="platform / engineer", people=10,
            usual=(PeerHolding(resource="pg-prod", role="reader", peers_holding=9, peers=10),),
        ),
    ),
)  # fmt: skip
