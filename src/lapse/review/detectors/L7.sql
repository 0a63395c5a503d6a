/*
id: L7
version: "1"
step: 4
title: Used after its end
question: Was access used that had ended?
severity: critical
confidence: fact
needs: [grants, usage]
optional: []
parameters:
  tolerance_seconds: {default: 1, doc: difference between the clocks of target and lapse that is accepted}
clauses: [NIST 800-53 AC-3, NIST 800-53 AC-2(12)]
remediation: Treat it as an incident; find out which credential or session was still good, and close that way.
would_clear: Another grant of the same account and entitlement was in force at the time of use.
*/
WITH ends AS (
    SELECT grant_id, beneficiary, entitlement, LEAST(end_due_at, COALESCE(ended_at, end_due_at)) AS over_at
    FROM grants
    WHERE activated_at IS NOT NULL AND end_due_at IS NOT NULL
),
lasts AS (
    SELECT grant_id, max(last_started_at) AS last_started_at
    FROM usage_totals WHERE grant_id IS NOT NULL GROUP BY grant_id
),
exceeded AS (
    SELECT e.* FROM ends e
    JOIN lasts t ON t.grant_id = e.grant_id
    WHERE date_diff('millisecond', e.over_at, t.last_started_at) > 1000 * $tolerance_seconds
),
late AS (
    SELECT e.*, u.resource, u.account, u.started_at, u.action, u.source
    FROM usage u
    JOIN exceeded e ON e.grant_id = u.grant_id
    WHERE u.started_at > e.over_at
        AND u.started_at >= $period_start
        AND u.started_at < $period_end
        AND date_diff('millisecond', e.over_at, u.started_at) > 1000 * $tolerance_seconds
)
SELECT
    l.grant_id AS subject,
    l.beneficiary AS principal,
    l.resource,
    '`' || l.account || '` used `' || l.entitlement || '` '
        || CAST(date_diff('second', l.over_at, l.started_at) AS VARCHAR) || ' s after its end' AS summary,
    l.grant_id,
    l.account,
    l.over_at,
    l.started_at AS used_at,
    l.action,
    l.source
FROM late l
WHERE NOT EXISTS (
    SELECT 1 FROM grants o
    WHERE o.grant_id <> l.grant_id
        AND o.resource = l.resource
        AND o.account = l.account
        AND o.entitlement = l.entitlement
        AND o.activated_at <= l.started_at
        AND LEAST(o.end_due_at, COALESCE(o.ended_at, o.end_due_at)) >= l.started_at
)
ORDER BY 1, used_at
