/*
id: M6
version: "1"
step: 2
title: Separation-of-duties conflict
question: Did one person hold roles of two sides of a conflict at the same time, whatever gave them?
severity: high
confidence: fact
needs: [conflicts]
optional: [principals, access_periods]
one_of: [[grants, access_observed]]
parameters:
  overlap_seconds: {default: 0, doc: a shorter overlap is left out}
clauses: [NIST 800-53 AC-5, ISO 27001 A.5.3, DORA RTS Art. 21]
remediation: Take one of the two away; have an independent person look at what was done meanwhile.
would_clear: The two were not held at the same time, or the accounts belong to different people.
*/
WITH held AS (
    SELECT resource, account, role, native_role, beneficiary AS principal, grant_id AS source,
        activated_at AS from_at, COALESCE(ended_at, CAST($as_of AS TIMESTAMPTZ)) AS to_at
    FROM grants
    WHERE activated_at IS NOT NULL
    UNION ALL
    SELECT resource, account, role, role, principal, 'on the target',
        COALESCE(since, CAST($period_start AS TIMESTAMPTZ)), observed_at
    FROM access_observed
    WHERE grant_id IS NULL
    UNION ALL
    SELECT resource, account, role, role, principal, COALESCE(source, 'history'), from_at,
        COALESCE(to_at, CAST($as_of AS TIMESTAMPTZ))
    FROM access_periods
    WHERE grant_id IS NULL
),
sided AS (
    SELECT DISTINCT c.conflict, c.side, h.resource, COALESCE(h.account, '') AS account, c.role, h.source, h.from_at,
        h.to_at, COALESCE(p.person, h.principal, h.resource || '/' || h.account) AS human
    FROM held h
    JOIN conflicts c ON c.resource = h.resource AND (c.role = h.role OR c.role = h.native_role)
    LEFT JOIN principals p ON p.principal = h.principal
    WHERE h.from_at < $period_end AND h.to_at >= $period_start
),
together AS (
    SELECT a.conflict, a.human, a.resource, a.account, a.role, a.source, b.resource AS other_resource,
        b.role AS other_role, b.source AS other_source, GREATEST(a.from_at, b.from_at) AS from_at,
        LEAST(a.to_at, b.to_at) AS to_at
    FROM sided a
    JOIN sided b ON b.conflict = a.conflict AND b.human = a.human AND a.side < b.side
        AND a.from_at < b.to_at AND b.from_at < a.to_at
)
SELECT
    o.human || ' ' || o.conflict AS subject,
    o.human AS principal,
    o.resource,
    '`' || o.human || '` held `' || o.resource || '/' || o.role || '` and `' || o.other_resource || '/'
        || o.other_role || '` at the same time (' || o.conflict || ')' AS summary,
    o.conflict,
    o.role,
    o.other_role,
    o.source,
    o.other_source,
    o.from_at,
    o.to_at
FROM together o
WHERE date_diff('second', o.from_at, o.to_at) >= $overlap_seconds
ORDER BY 1, o.from_at, o.role, o.other_role
