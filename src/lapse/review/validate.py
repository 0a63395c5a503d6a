"""Step 3, validate: one item for each permission in force, with purpose, use, and what to do about it.

`unused` is only said where every use would have been recorded. A recommendation to revoke rests on a detector of
confidence `fact`, or on complete telemetry without use; what is merely likely never revokes. Takes a snapshot
and the audit, returns `ValidationResult`.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from lapse.domain.reviews import Confidence, Finding, Item, ItemDecision, Severity, Usage
from lapse.ports import Engine
from lapse.review.detection.detector import run_detectors
from lapse.review.items.grouping import grouped
from lapse.review.items.holdings import GRANT, INHERITED, Holding
from lapse.review.items.people_scope import held_in_scope
from lapse.review.model import AuditResult, Snapshot, ValidationResult

STEPS = (3,)
_REVOKE_ON = ("R1", "L2", "L6", "C1", "C6", "C8", "C9", "C7")
_WEIGHT = {Severity.CRITICAL: 60, Severity.HIGH: 40, Severity.MEDIUM: 20, Severity.LOW: 5}
_HIGHEST_RISK = 100


def validate(engine: Engine, snapshot: Snapshot, audited: AuditResult) -> ValidationResult:
    """Step 3 on a snapshot that is registered in `engine`; items are ordered by risk, highest first."""
    assessment = run_detectors(engine, snapshot, STEPS)
    held = held_in_scope(engine, snapshot)
    items = items_of(held, (*audited.findings, *assessment.findings), snapshot.manifest.scope.review_id)
    return ValidationResult(
        items=items,
        by_usage=dict(Counter(item.usage for item in items)),
        by_recommendation=dict(Counter(item.recommendation for item in items)),
        findings=assessment.findings,
        runs=assessment.runs,
    )


def items_of(held: Sequence[Holding], findings: Iterable[Finding], review_id: str) -> tuple[Item, ...]:
    """The items for `held`, each with the findings that are about it."""
    index = _Index(findings)
    about = [index.about(one) for one in held]
    items = [_item(one, found, review_id) for one, found in zip(held, about, strict=True)]
    return ranked(grouped(items, held, about))


def ranked(items: Iterable[Item]) -> tuple[Item, ...]:
    """Items in the order in which they are to be decided: gravest first, then what was held longest."""
    return tuple(sorted(items, key=lambda i: (-i.risk, -i.exposure_hours, i.resource, i.account, i.role, i.id)))


def relink(items: Sequence[Item], held: Sequence[Holding], findings: Iterable[Finding]) -> tuple[Item, ...]:
    """Items with the findings of all stages; those that later stages made worse are recommended anew."""
    review_id = items[0].review_id if items else ""
    decided = {item.id: item for item in items}
    fresh = items_of(held, findings, review_id)
    return tuple(_keeping(decided.get(item.id), item) for item in fresh)


def _keeping(before: Item | None, item: Item) -> Item:
    if before is None:
        return item
    return replace(
        before,
        findings=item.findings,
        risk=item.risk,
        recommendation=item.recommendation,
        recommendation_reason=item.recommendation_reason,
    )


class _Index:
    """Findings by what they are about: a grant, a request, or an account and perhaps a role."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self._by_id: dict[str, list[Finding]] = defaultdict(list)
        self._by_account: dict[tuple[str, str], list[tuple[str | None, Finding]]] = defaultdict(list)
        for finding in findings:
            self._add(finding)

    def _add(self, finding: Finding) -> None:
        about: Mapping[str, object] = finding.evidence[0] if finding.evidence else {}
        self._by_id[finding.subject].append(finding)
        if "grant_id" not in about and isinstance(about.get("account"), str):
            role = about.get("role")
            key = (finding.resource, str(about["account"]))
            self._by_account[key].append((role if isinstance(role, str) else None, finding))

    def about(self, held: Holding) -> tuple[Finding, ...]:
        """The findings about one holding, worst first."""
        found = [f for key in (held.grant_id, held.request_id) if key for f in self._by_id.get(key, ())]
        for role, finding in self._by_account.get((held.resource, held.account), ()):
            if role is None or (role == held.role and held.holding != GRANT):
                found.append(finding)
        order = list(Severity)
        unique = {f.fingerprint: f for f in found}.values()
        return tuple(sorted(unique, key=lambda f: (order.index(f.severity), f.detector)))


def _item(held: Holding, findings: tuple[Finding, ...], review_id: str) -> Item:
    recommendation, reason = recommend(held, findings)
    identity = "\x1f".join(
        (review_id, held.resource, held.account, held.role, held.grant_id or held.holding, *held.via)
    )
    return Item(
        id=f"itm_{hashlib.sha256(identity.encode()).hexdigest()[:20]}",
        review_id=review_id,
        resource=held.resource,
        account=held.account,
        principal=held.principal,
        role=held.role,
        holding=held.holding,
        usage=held.usage,
        usage_coverage=held.coverage,
        recommendation=recommendation,
        recommendation_reason=reason,
        risk=_risk(held, findings),
        grant_id=held.grant_id,
        since=held.starts_at,
        ends_at=held.ends_at,
        last_used=held.last_used,
        purpose=_purpose(held),
        findings=tuple(f.fingerprint for f in findings),
        uses=held.uses,
        exposure_hours=int((held.window_to - (held.starts_at or held.window_from)).total_seconds() // 3600),
        peers=_peers(held),
        approval=_approval(held),
        would_lose=_would_lose(held),
    )


def _peers(held: Holding) -> str:
    if held.peers < 2:  # noqa: PLR2004  nobody to compare with
        return ""
    return f"{held.peers_holding} of {held.peers} in {held.team.strip(' /')} hold it"


def _approval(held: Holding) -> str:
    if held.holding != GRANT:
        return "nobody approved it: no grant is behind it"
    return f"by {', '.join(held.approved_by)}" if held.approved_by else "by the policy, nobody decided"


def _would_lose(held: Holding) -> str:
    if held.last_used is None:
        return "nothing that was used" if held.usage is Usage.UNUSED else "not known: its use was not recorded"
    what = f", for {' and '.join(held.actions)}" if held.actions else ""
    times = "" if not held.uses else "once, " if held.uses == 1 else f"{held.uses:,} times, "
    return f"used {times}last on {held.last_used:%Y-%m-%d}{what}"


def recommend(held: Holding, findings: Sequence[Finding]) -> tuple[ItemDecision, str]:
    """What to do about a holding, and why, in one sentence."""
    facts = {f.detector: f for f in findings if f.confidence is Confidence.FACT}
    grave = next((facts[detector] for detector in _REVOKE_ON if detector in facts), None)
    if grave is not None:
        return ItemDecision.REVOKE, grave.summary
    if held.excepted:
        return ItemDecision.KEEP, f"on the exception register: {held.excepted}"
    if held.holding == GRANT:
        return _recommend_for_grant(held)
    return _recommend_for_standing(held)


def _recommend_for_grant(held: Holding) -> tuple[ItemDecision, str]:
    if held.usage is Usage.UNUSED:
        return ItemDecision.SHORTEN, "not used since it became active, and every use would have been recorded"
    seen = "in use" if held.usage is Usage.USED else "use not known"
    end = f"ends by itself at {held.ends_at:%Y-%m-%d %H:%M} UTC" if held.ends_at else "has no end on record"
    return ItemDecision.KEEP, f"{seen}; {end}"


def _recommend_for_standing(held: Holding) -> tuple[ItemDecision, str]:
    if held.usage is Usage.UNUSED:
        return ItemDecision.REVOKE, "no use in the whole period, and every use would have been recorded"
    how = f"inherited through {held.via[0]}" if held.holding == INHERITED and held.via else "standing"
    if held.usage is Usage.USED:
        return ItemDecision.SHORTEN, f"{how} and in use: let the holder request it for the time it is needed"
    return ItemDecision.SHORTEN, f"{how}, and its use is not known: give it an end, then see whether it is asked for"


def _risk(held: Holding, findings: Sequence[Finding]) -> int:
    """0 to 100: the worst finding, plus what makes the access itself grave."""
    score = max((_WEIGHT[f.severity] for f in findings), default=0)
    score += 15 * (held.holding != GRANT) + 10 * held.admin_option + 15 * bool(held.powers)
    score += 10 * (held.usage is Usage.UNUSED) + 5 * (not held.principal) - 10 * bool(held.excepted)
    return max(0, min(score, _HIGHEST_RISK))


def _purpose(held: Holding) -> str:
    return " ".join(part for part in (f"[{held.ticket}]" if held.ticket else "", held.task) if part)
