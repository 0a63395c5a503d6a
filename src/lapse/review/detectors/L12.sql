/*
id: L12
version: "1"
step: 3
title: Oversized window
question: Who repeatedly gets far more time than the work takes?
severity: low
confidence: fact
needs: [grants, usage, coverage]
optional: []
parameters:
  most_percent: {default: 25, doc: a grant is oversized if its last use came within this share of its time}
  fewest_grants: {default: 5, doc: so many of them are a habit}
clauses: [NIST 800-53 AC-6]
remediation: Lower the offer's maximum to what the work takes; the review proposes it.
would_clear: Use in the later part of the grants is supplied as evidence.
*/
WITH edges AS (
    SELECT resource, from_at, to_at,
        max(to_at) OVER (PARTITION BY resource ORDER BY from_at, to_at
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS covered_to
    FROM coverage
    WHERE complete
),
numbered AS (
    SELECT resource, from_at, to_at,
        sum(CASE WHEN covered_to >= from_at THEN 0 ELSE 1 END)
            OVER (PARTITION BY resource ORDER BY from_at, to_at) AS island
    FROM edges
),
islands AS (
    SELECT resource, min(from_at) AS from_at, max(to_at) AS to_at FROM numbered GROUP BY resource, island
),
over AS (
    SELECT g.grant_id, g.beneficiary, g.entitlement, g.resource, g.activated_at, g.ended_at,
        date_diff('second', g.activated_at, g.ended_at) AS held_s
    FROM grants g
    JOIN islands i ON i.resource = g.resource AND i.from_at <= g.activated_at AND i.to_at >= g.ended_at
    WHERE g.activated_at IS NOT NULL AND g.ended_at >= $period_start AND g.ended_at < $period_end
),
lasts AS (
    SELECT grant_id, max(last_used_at) AS last_used
    FROM usage_totals WHERE grant_id IS NOT NULL GROUP BY grant_id
),
needed AS (
    SELECT o.*, GREATEST(1, date_diff('second', o.activated_at, LEAST(l.last_used, o.ended_at))) AS needed_s
    FROM over o
    JOIN lasts l ON l.grant_id = o.grant_id
    WHERE l.last_used >= o.activated_at
),
sums AS (
    SELECT beneficiary, entitlement, resource, count(*) AS grants, sum(held_s) AS held_s, sum(needed_s) AS needed_s,
        sum(CASE WHEN 100 * needed_s <= $most_percent * held_s THEN 1 ELSE 0 END) AS oversized
    FROM needed
    GROUP BY beneficiary, entitlement, resource
)
SELECT
    beneficiary || ' ' || entitlement AS subject,
    beneficiary AS principal,
    resource,
    '`' || beneficiary || '` had `' || entitlement || '` for ' || CAST(held_s // 60 AS VARCHAR) || ' min in '
        || CAST(grants AS VARCHAR) || ' grants, and needed ' || CAST(needed_s // 60 AS VARCHAR) || ' min' AS summary,
    grants,
    oversized,
    held_s,
    needed_s
FROM sums
WHERE oversized >= $fewest_grants AND 2 * oversized > grants
ORDER BY 1
