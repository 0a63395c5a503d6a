/*
id: C7
version: "1"
step: 4
title: Retroactive approval
question: Was anything approved only after the access was there?
severity: critical
confidence: fact
needs: [grants, decisions]
optional: []
parameters:
  tolerance_seconds: {default: 1, doc: difference between clocks that is accepted}
clauses: [NIST 800-53 AC-24]
remediation: Find out who activated it and how; close the way round the approval.
would_clear: A sufficient approval before the activation is shown.
*/
WITH approved AS (
    SELECT request_id, max(decided_at) AS decided_at, count(*) AS votes
    FROM decisions WHERE verdict = 'approve' GROUP BY request_id
)
SELECT
    g.grant_id AS subject,
    g.beneficiary AS principal,
    g.resource,
    '`' || g.entitlement || '` was active '
        || CAST(date_diff('second', g.activated_at, a.decided_at) AS VARCHAR) || ' s before its approval' AS summary,
    g.grant_id,
    g.request_id,
    g.activated_at,
    a.decided_at,
    a.votes
FROM grants g
JOIN approved a ON a.request_id = g.request_id
WHERE g.activated_at >= $period_start
    AND g.activated_at < $period_end
    AND date_diff('millisecond', g.activated_at, a.decided_at) > 1000 * $tolerance_seconds
ORDER BY 1
