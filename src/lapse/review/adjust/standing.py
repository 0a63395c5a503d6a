"""Standing access that could be asked for instead: who holds it, and the offer that would give it for the time needed.

Only what people hold, and what the catalog can grant. The time comes from real use, the approvals from offers nearby.
The standing access itself is taken away by the review's decisions, once the offer is there. Called by `adjust`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from lapse.domain.durations import human_duration
from lapse.policy.editing import add_offer
from lapse.policy.editing.offers import OfferText, offer_lines
from lapse.ports import Engine
from lapse.review.adjust.drafts import Draft, Edit, Found
from lapse.review.adjust.durations import STEPS
from lapse.review.adjust.model import ProposalKind
from lapse.review.figures.intervals import BOUNDS, merged
from lapse.review.in_force import InForce
from lapse.review.model import Snapshot
from lapse.review.sql import ask

BREAK_S = 1_800
"""Use that comes again within this time is one piece of work."""
FEWEST_PIECES = 5
"""With fewer pieces of work on record their length says nothing; offers nearby do then."""
LONGEST = timedelta(hours=24)
"""What is used for longer at a stretch is no work of a person."""
MOST_NAMES = 20

_TABLES = (
    "access_observed",
    "entitlements",
    "principals",
    "exceptions",
    "usage",
    "offers",
    "eligibilities",
    "group_members",
    "resources",
)
_STANDING = """
standing AS (
    SELECT DISTINCT a.resource, a.role, a.account, a.principal
    FROM access_observed a
    WHERE a.grant_id IS NULL AND a.holding = 'direct' AND COALESCE(a.can_login, TRUE)
        AND substr(a.account, 1, 3) <> 'pg_'
        AND NOT EXISTS (
            SELECT 1 FROM exceptions x
            WHERE x.resource = a.resource AND x.account = a.account AND (x.role IS NULL OR x.role = a.role)
                AND x.finding IS NULL AND x.until > $as_of
        )
)"""
_HOLDERS = f"""
WITH {_STANDING.strip()},
named AS (
    SELECT resource, COALESCE(native_role, role) AS role, min(entitlement) AS entitlement
    FROM entitlements GROUP BY resource, COALESCE(native_role, role)
)
SELECT s.resource, s.role, s.account, s.principal, p.kind, COALESCE(p.active, FALSE) AS active, n.entitlement, r.owner
FROM standing s
JOIN named n ON n.resource = s.resource AND n.role = s.role
LEFT JOIN principals p ON p.principal = s.principal
LEFT JOIN resources r ON r.resource = s.resource
ORDER BY s.resource, s.role, s.account
"""  # noqa: S608  a constant of our own is put in
_PIECES = f"""
WITH {BOUNDS.strip()},
{_STANDING.strip()},
uses AS (
    SELECT s.resource, s.role, s.account, GREATEST(u.started_at, b.from_at) AS from_at,
        LEAST(COALESCE(u.ended_at, u.started_at), b.to_at) + to_seconds({BREAK_S}) AS to_at
    FROM usage u CROSS JOIN bounds b
    JOIN standing s ON s.resource = u.resource AND s.account = u.account
    WHERE u.grant_id IS NULL AND (u.role IS NULL OR u.role = s.role)
        AND u.started_at < b.to_at AND COALESCE(u.ended_at, u.started_at) >= b.from_at
),
{merged("uses", "pieces", "resource, role, account").strip()}
SELECT resource, role, count(*) AS pieces, sum(seconds) AS seconds, quantile_disc(seconds, 0.99) AS p99,
    max(seconds) AS longest
FROM (SELECT resource, role, GREATEST(60, date_diff('second', from_at, to_at) - {BREAK_S}) AS seconds FROM pieces) p
GROUP BY resource, role
ORDER BY resource, role
"""  # noqa: S608  constants of our own
_OFFERS = """
SELECT o.offer, o.entitlement, o.resource, o.max_duration_s, o.approvals FROM offers o ORDER BY o.offer, o.entitlement
"""
_ELIGIBLE = "SELECT DISTINCT principal, entitlement FROM eligibilities WHERE offer IS NOT NULL"
_GROUPS = "SELECT group_name, principal FROM group_members ORDER BY group_name, principal"


def standing_into_offers(engine: Engine, snapshot: Snapshot, in_force: InForce | None) -> Found:
    """Drafts of offers instead of standing access; and why there is none for other roles that people hold."""
    found = Found()
    if "access_observed" not in snapshot.manifest.present:
        found.skip(ProposalKind.STANDING, "", "no target was read")
        return found
    holders: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in ask(engine, snapshot, _HOLDERS, _TABLES):
        holders[row["entitlement"]].append(row)
    if not holders:
        return found
    around = _Around.of(engine, snapshot, in_force)
    for entitlement, rows in holders.items():
        draft = around.draft(entitlement, rows)
        if isinstance(draft, str):
            found.skip(ProposalKind.STANDING, entitlement, draft)
        else:
            found.drafts.append(draft)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Around:
    """What is known around standing access: pieces of work, offers, groups, who may ask already."""

    in_force: InForce | None
    hours: float
    pieces: Mapping[tuple[str, str], Mapping[str, Any]]
    offers: Sequence[Mapping[str, Any]]
    groups: Mapping[str, frozenset[str]]
    eligible: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, engine: Engine, snapshot: Snapshot, in_force: InForce | None) -> _Around:
        """All of it from one snapshot."""
        groups: dict[str, set[str]] = defaultdict(set)
        for row in ask(engine, snapshot, _GROUPS, _TABLES):
            groups[row["group_name"]].add(row["principal"])
        period = snapshot.manifest.scope.period
        end = max(period.start, min(period.end, snapshot.manifest.collected_at))
        return cls(
            in_force=in_force,
            hours=(end - period.start).total_seconds() / 3600,
            pieces={(r["resource"], r["role"]): r for r in ask(engine, snapshot, _PIECES, _TABLES)},
            offers=ask(engine, snapshot, _OFFERS, _TABLES),
            groups={name: frozenset(members) for name, members in groups.items()},
            eligible=frozenset(
                (row["principal"], row["entitlement"]) for row in ask(engine, snapshot, _ELIGIBLE, _TABLES)
            ),
        )

    def draft(self, entitlement: str, rows: Sequence[Mapping[str, Any]]) -> Draft | str:
        """The proposal for one role, or why there is none."""
        persons = sorted({row["principal"] for row in rows if row["kind"] == "person" and row["active"]})
        if not persons:
            return "only services hold it, or nobody who is active and known: an offer is for people"
        first = rows[0]
        pieces = self.pieces.get((first["resource"], first["role"]))
        neighbour = self._neighbour(entitlement)
        longest = self._longest(pieces, neighbour)
        if isinstance(longest, str):
            return longest
        if neighbour is None and not first["owner"]:
            return "no offer nearby says who should approve, and the resource has no owner"
        return self._made(entitlement, persons, longest, pieces, neighbour)

    def _made(
        self,
        entitlement: str,
        persons: Sequence[str],
        longest: timedelta,
        pieces: Mapping[str, Any] | None,
        neighbour: str | None,
    ) -> Draft:
        to = self._party(persons)
        may = all((person, entitlement) in self.eligible for person in persons)
        used = float(pieces["seconds"]) / 3600 if pieces else 0.0
        known = f"a piece of work took at most {human_duration(longest)}" if _enough(pieces) else "like offers nearby"
        like = f"approved like `{neighbour}`" if neighbour else "approved by the owner"
        people = "1 person holds" if len(persons) == 1 else f"{len(persons)} people hold"
        return Draft(
            kind=ProposalKind.STANDING,
            subject=entitlement,
            title=f"`{entitlement}` for {human_duration(longest)} at a time, instead of for ever",
            reason=f"{people} it without an end; {known}; {like}",
            offers=(neighbour,) if neighbour else (),
            entitlements=(entitlement,),
            proposed=longest,
            samples=int(pieces["pieces"]) if pieces else 0,
            saved_hours=max(0.0, len(persons) * self.hours - used),
            evidence=(
                {
                    "holders": list(persons),
                    "offered_to": to,
                    "pieces_of_work": int(pieces["pieces"]) if pieces else 0,
                    "work_p99_s": int(pieces["p99"]) if pieces else None,
                    "work_longest_s": int(pieces["longest"]) if pieces else None,
                },
            ),
            edit=None if may else self._edit(entitlement, to, longest, neighbour),
            not_patched="no change of policy is needed: they may ask for it already" if may else "",
        )

    def _longest(self, pieces: Mapping[str, Any] | None, neighbour: str | None) -> timedelta | str:
        """How long one grant should be: what 99 of 100 pieces of work took, else what the neighbour gives."""
        if pieces is not None and _enough(pieces):
            needed = timedelta(seconds=int(pieces["p99"]))
            if needed > LONGEST:
                return f"it is used for more than {human_duration(LONGEST)} at a stretch, which is no work of a person"
            return next(step for step in STEPS if step >= needed)
        near = [int(o["max_duration_s"]) for o in self.offers if o["offer"] == neighbour and o["max_duration_s"]]
        if not near:
            return "how long it is used at a time is not known, and no offer nearby says"
        return timedelta(seconds=min(near))

    def _neighbour(self, entitlement: str) -> str | None:
        """The strictest offer with approvals on the same resource, else for the same role elsewhere."""
        resource, _, role = entitlement.partition("/")
        decided = [one for one in self.offers if one["approvals"] and self._is_for_people(one["offer"])]
        here = [one for one in decided if one["resource"] == resource]
        alike = [one for one in decided if one["entitlement"].endswith(f"/{role}")]
        near = here or alike
        if not near:
            return None
        best = min(near, key=lambda o: (-int(o["approvals"]), o["max_duration_s"] or 0, o["offer"]))
        return str(best["offer"])

    def _is_for_people(self, offer: str) -> bool:
        rules = self.in_force.policy.offers if self.in_force else ()
        rule = next((one for one in rules if one.name == offer), None)
        if rule is None:
            return True
        return rule.post_review is None and (not rule.selector.kinds or "person" in rule.selector.kinds)

    def _party(self, persons: Sequence[str]) -> str:
        """The smallest group that has them all, unless that is far more than them; else their names."""
        able = sorted((len(members), name) for name, members in self.groups.items() if members >= set(persons))
        size, group = able[0] if able else (0, "")
        if group and (size <= 2 * len(persons) + 1 or len(persons) > MOST_NAMES):
            return f"group:{group}"
        return f"[{', '.join(persons)}]" if len(persons) > 1 else persons[0]

    def _edit(self, entitlement: str, to: str, longest: timedelta, neighbour: str | None) -> Edit:
        def edit(in_force: InForce) -> Mapping[str, str]:
            taken = {*(o.name for o in in_force.policy.offers), *(one.name for one in in_force.policy.limits)}
            name = _free(f"{entitlement.replace('/', '-')}-on-request", taken)
            text = in_force.offer(neighbour) if neighbour else None
            file = text.file if text else next(iter(sorted(in_force.files)))
            return add_offer(in_force.files, file, name, _lines(name, entitlement, to, longest, text))

        return edit


def _lines(name: str, entitlement: str, to: str, longest: timedelta, like: OfferText | None) -> list[str]:
    values = {
        "name": name,
        "description": "Instead of standing access.",
        "entitlements": entitlement,
        "to": to,
        "max_duration": human_duration(longest),
    }
    if like is None:
        return offer_lines({**values, "justification": "required", "approvals": "[{from: owner}]"})
    terms = {"approvals", "approvals_in", "justification", "ticket", "pending_timeout"}
    if "justification" not in like.keys:
        values["justification"] = "required"
    return like.like(values, terms)


def _enough(pieces: Mapping[str, Any] | None) -> bool:
    return pieces is not None and int(pieces["pieces"]) >= FEWEST_PIECES


def _free(name: str, taken: Iterable[str]) -> str:
    known, found, number = set(taken), name[:120], 2
    while found in known:
        found, number = f"{name[:120]}-{number}", number + 1
    return found
