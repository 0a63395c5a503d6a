/*
id: L17
version: "2"
step: 2
title: Exposure excess
question: Where is access held for far more hours than it is used?
severity: medium
confidence: fact
needs: [access_observed, usage, coverage]
optional: []
parameters:
  most_times: {default: 50, doc: standing hours may be so many times the hours of use}
  least_hours: {default: 500, doc: with fewer standing hours it is not worth a finding}
clauses: [NIST 800-53 AC-6, GDPR Art. 25(2)]
remediation: Offer the role for the time it is needed, and take the standing memberships away.
would_clear: More use is supplied as evidence, or fewer accounts hold it without an end.
*/
WITH bounds AS (
    SELECT CAST($period_start AS TIMESTAMPTZ) AS from_at,
        LEAST(CAST($period_end AS TIMESTAMPTZ), CAST($as_of AS TIMESTAMPTZ)) AS to_at
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
covered AS (
    SELECT DISTINCT i.resource
    FROM (SELECT resource, min(from_at) AS from_at, max(to_at) AS to_at FROM numbered GROUP BY resource, island) i
    CROSS JOIN bounds b
    WHERE i.from_at <= b.from_at AND i.to_at >= b.to_at
),
standing AS (
    SELECT a.resource, a.role, a.account, min(GREATEST(COALESCE(a.since, b.from_at), b.from_at)) AS from_at
    FROM access_observed a
    JOIN covered c ON c.resource = a.resource
    CROSS JOIN bounds b
    WHERE a.grant_id IS NULL AND a.holding <> 'nested' AND COALESCE(a.can_login, TRUE)
        AND substr(a.account, 1, 3) <> 'pg_'
    GROUP BY a.resource, a.role, a.account
),
accounts_used AS (
    SELECT u.resource, u.account,
        sum(GREATEST(60, date_diff('second', GREATEST(u.started_at, b.from_at),
            LEAST(COALESCE(u.ended_at, u.started_at), b.to_at)))) AS used_s
    FROM usage_unnamed u
    CROSS JOIN bounds b
    SEMI JOIN standing s ON s.resource = u.resource AND s.account = u.account
    WHERE u.started_at < b.to_at AND COALESCE(u.ended_at, u.started_at) >= b.from_at
    GROUP BY u.resource, u.account
),
sums AS (
    SELECT s.resource, s.role, count(*) AS holders,
        sum(GREATEST(0, date_diff('second', s.from_at, b.to_at))) AS standing_s, COALESCE(sum(u.used_s), 0) AS used_s
    FROM standing s
    CROSS JOIN bounds b
    LEFT JOIN accounts_used u ON u.resource = s.resource AND u.account = s.account
    GROUP BY s.resource, s.role
)
SELECT
    resource || '/' || role AS subject,
    CAST(NULL AS VARCHAR) AS principal,
    resource,
    '`' || role || '` is held ' || CAST(standing_s // 3600 AS VARCHAR) || ' h by ' || CAST(holders AS VARCHAR)
        || CASE WHEN holders = 1 THEN ' account' ELSE ' accounts' END || ' without an end, and used at most '
        || CAST(used_s // 3600 AS VARCHAR) || ' h' AS summary,
    role,
    holders,
    standing_s // 3600 AS standing_hours,
    used_s // 3600 AS used_hours
FROM sums
WHERE standing_s >= 3600 * $least_hours AND standing_s > $most_times * used_s
ORDER BY 1
