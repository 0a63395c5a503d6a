/*
id: R2
version: "1"
step: 2
title: Mover
question: Who holds access that was approved before their department, manager or job changed?
severity: high
confidence: fact
needs: [people_events]
optional: [decisions]
one_of: [[grants, access_observed]]
parameters:
  tolerance_days: {default: 7, doc: time to look at it after the change}
clauses: [NIST 800-53 PS-5, NIST 800-53 AC-2h, NIS2 11.2.2]
remediation: Let the new manager confirm it, or take it away and let it be asked for in the new role.
would_clear: It was approved, or confirmed in a review, after the change.
*/
WITH moves AS (
    SELECT principal, max(happened_at) AS moved_at, max(detail) AS detail
    FROM people_events
    WHERE event = 'moved' AND happened_at <= $as_of
    GROUP BY principal
),
approvals AS (
    SELECT request_id, max(decided_at) AS approved_at FROM decisions WHERE verdict = 'approve' GROUP BY request_id
),
held AS (
    SELECT g.beneficiary AS principal, g.resource, g.account, g.role, g.grant_id,
        COALESCE(a.approved_at, g.created_at, g.activated_at) AS approved_at
    FROM grants g
    LEFT JOIN approvals a ON a.request_id = g.request_id
    WHERE g.state IN ('activating', 'active', 'revoking', 'revoke_failed')
    UNION ALL
    SELECT principal, resource, account, role, NULL, since
    FROM access_observed
    WHERE grant_id IS NULL AND principal IS NOT NULL AND holding <> 'nested'
)
SELECT
    h.principal || ' ' || h.resource || '/' || h.role AS subject,
    h.principal,
    h.resource,
    '`' || h.principal || '` holds `' || h.resource || '/' || h.role || '` from before '
        || COALESCE(m.detail, 'the change of job') || ' on ' || strftime(m.moved_at, '%Y-%m-%d') AS summary,
    h.account,
    h.role,
    h.grant_id,
    h.approved_at,
    m.moved_at
FROM held h
JOIN moves m ON m.principal = h.principal
WHERE COALESCE(h.approved_at, m.moved_at) <= m.moved_at
    AND date_diff('second', m.moved_at, CAST($as_of AS TIMESTAMPTZ)) > 86400 * $tolerance_days
ORDER BY 1, h.account
