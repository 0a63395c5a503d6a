/*
id: L8
version: "1"
step: 4
title: Session outlives grant
question: Did a session that began in time go on after the end of its grant?
severity: high
confidence: fact
needs: [grants, usage]
optional: []
parameters:
  tolerance_seconds: {default: 5, doc: time that cutting a session may take}
clauses: [NIST 800-53 AC-3(8), NIST 800-53 AC-12]
remediation: Make sure that the end of a grant cuts its sessions on this target; see what the session did afterwards.
would_clear: The session is shown to have ended with the grant, or another grant covers it.
*/
WITH ends AS (
    SELECT grant_id, beneficiary, entitlement, LEAST(end_due_at, COALESCE(ended_at, end_due_at)) AS over_at
    FROM grants
    WHERE activated_at IS NOT NULL AND end_due_at IS NOT NULL
),
lasts AS (
    SELECT grant_id, max(last_ended_at) AS last_ended_at
    FROM usage_totals WHERE grant_id IS NOT NULL GROUP BY grant_id
),
exceeded AS (
    SELECT e.* FROM ends e
    JOIN lasts t ON t.grant_id = e.grant_id
    WHERE date_diff('millisecond', e.over_at, t.last_ended_at) > 1000 * $tolerance_seconds
),
late AS (
    SELECT e.*, u.resource, u.account, u.started_at, u.ended_at, u.source
    FROM usage u
    JOIN exceeded e ON e.grant_id = u.grant_id
    WHERE u.ended_at > e.over_at
        AND u.started_at <= e.over_at
        AND u.ended_at >= $period_start
        AND u.ended_at < $period_end
        AND date_diff('millisecond', e.over_at, u.ended_at) > 1000 * $tolerance_seconds
)
SELECT
    l.grant_id AS subject,
    l.beneficiary AS principal,
    l.resource,
    'a session of `' || l.account || '` on `' || l.entitlement || '` went on for '
        || CAST(date_diff('second', l.over_at, l.ended_at) AS VARCHAR) || ' s after the end' AS summary,
    l.grant_id,
    l.account,
    l.started_at AS session_from,
    l.ended_at AS session_to,
    l.over_at,
    l.source
FROM late l
WHERE NOT EXISTS (
    SELECT 1 FROM grants o
    WHERE o.grant_id <> l.grant_id
        AND o.resource = l.resource
        AND o.account = l.account
        AND o.entitlement = l.entitlement
        AND o.activated_at <= l.ended_at
        AND LEAST(o.end_due_at, COALESCE(o.ended_at, o.end_due_at)) >= l.over_at
)
ORDER BY 1, session_to
