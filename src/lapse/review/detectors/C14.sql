/*
id: C14
version: "1"
step: 4
title: Stale approval
question: What became active long after anybody had looked at it?
severity: low
confidence: fact
needs: [requests, decisions, grants]
optional: []
parameters:
  hours: {default: 72, doc: time from the last approval, or the wanted start, to activation}
clauses: [NIST 800-53 AC-24]
remediation: Let approvals lapse after some days, so that what is decided is what is true then.
would_clear: Somebody confirmed the approval shortly before.
*/
WITH approvals AS (
    SELECT request_id, max(decided_at) AS approved_at FROM decisions WHERE verdict = 'approve' GROUP BY request_id
)
SELECT
    g.grant_id AS subject,
    g.beneficiary AS principal,
    g.resource,
    '`' || g.entitlement || '` of `' || g.beneficiary || '` became active '
        || CAST(date_diff('hour', GREATEST(a.approved_at, COALESCE(g.starts_at, a.approved_at)), g.activated_at)
            AS VARCHAR) || ' h after it was approved' AS summary,
    g.request_id,
    a.approved_at,
    g.starts_at,
    g.activated_at
FROM grants g
JOIN approvals a ON a.request_id = g.request_id
WHERE g.activated_at >= $period_start
    AND g.activated_at < $period_end
    AND date_diff('second', GREATEST(a.approved_at, COALESCE(g.starts_at, a.approved_at)), g.activated_at)
        > 3600 * $hours
ORDER BY 1
