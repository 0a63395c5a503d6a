/*
id: L3
version: "1"
step: 4
title: Dormant eligibility
question: Who may ask for an entitlement, and has not in the whole period?
severity: medium
confidence: fact
needs: [eligibilities, requests]
optional: []
parameters:
  fewest_days: {default: 60, doc: a shorter period says nothing about who needs it}
clauses: [NIST 800-53 AC-6(7)]
remediation: Narrow the offer to the groups that use it.
would_clear: A request by the person in the period, or eligibility that began within it.
*/
WITH asked AS (
    SELECT DISTINCT entitlement, beneficiary AS principal FROM requests WHERE created_at >= $period_start
    UNION
    SELECT DISTINCT entitlement, requester FROM requests WHERE created_at >= $period_start
),
able AS (
    SELECT e.principal, e.entitlement, e.resource, min(e.offer) AS offer, min(e.since) AS since,
        max(CASE WHEN a.principal IS NULL THEN 0 ELSE 1 END) AS used
    FROM eligibilities e
    LEFT JOIN asked a ON a.entitlement = e.entitlement AND a.principal = e.principal
    WHERE COALESCE(e.since, CAST($period_start AS TIMESTAMPTZ)) <= $period_start
    GROUP BY e.principal, e.entitlement, e.resource
),
counted AS (
    SELECT entitlement, count(*) AS eligible, count(*) - sum(used) AS dormant FROM able GROUP BY entitlement
),
ranked AS (
    SELECT *, row_number() OVER (PARTITION BY entitlement ORDER BY principal) AS place FROM able WHERE used = 0
)
SELECT
    r.entitlement AS subject,
    CAST(NULL AS VARCHAR) AS principal,
    r.resource,
    CAST(c.dormant AS VARCHAR) || ' of ' || CAST(c.eligible AS VARCHAR) || ' who may ask for `' || r.entitlement
        || '` have not since ' || strftime(CAST($period_start AS TIMESTAMPTZ), '%Y-%m-%d') AS summary,
    r.principal AS who,
    r.offer,
    r.since,
    c.dormant,
    c.eligible
FROM ranked r
JOIN counted c ON c.entitlement = r.entitlement
WHERE r.place <= 20
    AND date_diff('second', CAST($period_start AS TIMESTAMPTZ), CAST($as_of AS TIMESTAMPTZ)) >= 86400 * $fewest_days
ORDER BY 1, r.place
