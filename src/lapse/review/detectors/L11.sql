/*
id: L11
version: "1"
step: 4
title: De-facto standing access
question: Who asks again so often that they hold it most of the time, or on most working days?
severity: high
confidence: fact
needs: [grants]
optional: []
parameters:
  hours_percent: {default: 50, doc: share of all hours of the period from which it counts as standing}
  days_percent: {default: 60, doc: share of its working days on which it began from which it counts as standing}
  fewest_grants: {default: 5, doc: with fewer grants it is no habit}
clauses: [FedRAMP KSI-IAM-JIT]
remediation: Find out what the work is; give it a role of its own that is narrower, or automate it away.
would_clear: The person held it for a smaller share of the period.
*/
WITH bounds AS (
    SELECT CAST($period_start AS TIMESTAMPTZ) AS from_at,
        LEAST(CAST($period_end AS TIMESTAMPTZ), CAST($as_of AS TIMESTAMPTZ)) AS to_at
),
held AS (
    SELECT g.beneficiary, g.entitlement, g.resource, GREATEST(g.activated_at, b.from_at) AS from_at,
        LEAST(COALESCE(g.ended_at, b.to_at), b.to_at) AS to_at, g.grant_id
    FROM grants g
    CROSS JOIN bounds b
    WHERE g.activated_at < b.to_at AND COALESCE(g.ended_at, b.to_at) > b.from_at
),
ordered AS (
    SELECT *, max(to_at) OVER (PARTITION BY beneficiary, entitlement ORDER BY from_at, grant_id
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS held_to
    FROM held
),
sums AS (
    SELECT beneficiary, entitlement, resource, count(*) AS grants,
        count(DISTINCT strftime(from_at, '%Y-%m-%d')) AS days,
        sum(GREATEST(0, date_diff('second', GREATEST(from_at, COALESCE(held_to, from_at)), to_at))) AS held_s
    FROM ordered
    GROUP BY beneficiary, entitlement, resource
),
shares AS (
    SELECT s.*, date_diff('second', b.from_at, b.to_at) AS period_s FROM sums s CROSS JOIN bounds b
)
SELECT
    beneficiary || ' ' || entitlement AS subject,
    beneficiary AS principal,
    resource,
    '`' || beneficiary || '` held `' || entitlement || '` ' || CAST(100 * held_s // period_s AS VARCHAR)
        || ' % of the time, on ' || CAST(days AS VARCHAR) || ' days, by ' || CAST(grants AS VARCHAR)
        || ' grants' AS summary,
    grants,
    days,
    held_s // 3600 AS held_hours,
    period_s // 3600 AS period_hours
FROM shares
WHERE period_s > 0
    AND grants >= $fewest_grants
    AND (100 * held_s >= $hours_percent * period_s OR 7 * 100 * 86400 * days >= 5 * $days_percent * period_s)
ORDER BY 1
