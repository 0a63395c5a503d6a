/*
id: L4
version: "1"
step: 3
title: Grant never used
question: Which grants ended without any use, where every use would have been recorded?
severity: medium
confidence: fact
needs: [grants, usage, coverage]
optional: []
parameters:
  shortest_minutes: {default: 1, doc: grants that were in force for less than this are left out}
clauses: [NIST 800-53 AC-2g, NIST 800-53 AC-6(7)]
remediation: Ask the holder what it was for; shorten or withdraw the offer if this repeats.
would_clear: A use within the grant's time is supplied as evidence.
*/
WITH over AS (
    SELECT grant_id, resource, account, beneficiary, entitlement, activated_at, ended_at
    FROM grants
    WHERE activated_at IS NOT NULL
        AND ended_at >= $period_start
        AND ended_at < $period_end
        AND date_diff('second', activated_at, ended_at) >= 60 * $shortest_minutes
),
edges AS (
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
covered AS (
    SELECT o.* FROM over o
    JOIN islands i ON i.resource = o.resource AND i.from_at <= o.activated_at AND i.to_at >= o.ended_at
),
named AS (
    SELECT DISTINCT grant_id FROM usage_totals WHERE grant_id IS NOT NULL
),
unnamed AS (
    SELECT c.* FROM covered c ANTI JOIN named n ON n.grant_id = c.grant_id
),
timeline AS (
    SELECT resource, account, ended_at AS moment, 1 AS is_grant, CAST(NULL AS TIMESTAMPTZ) AS used_to, grant_id
    FROM unnamed
    UNION ALL
    SELECT u.resource, u.account, u.started_at, 0, COALESCE(u.ended_at, u.started_at), NULL
    FROM usage_unnamed u
    SEMI JOIN unnamed n ON n.resource = u.resource AND n.account = u.account
),
last_use AS (
    SELECT grant_id, is_grant,
        max(used_to) OVER (PARTITION BY resource, account ORDER BY moment, is_grant
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS used_to
    FROM timeline
)
SELECT
    n.grant_id AS subject,
    n.beneficiary AS principal,
    n.resource,
    '`' || n.beneficiary || '` had `' || n.entitlement || '` and never used it' AS summary,
    n.grant_id,
    n.account,
    n.entitlement,
    n.activated_at,
    n.ended_at
FROM unnamed n
JOIN last_use l ON l.grant_id = n.grant_id AND l.is_grant = 1
WHERE l.used_to IS NULL OR l.used_to < n.activated_at
ORDER BY 1
