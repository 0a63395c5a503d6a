/*
id: C13
version: "1"
step: 4
title: Approver shopping
question: What was denied by one person and soon after approved by another?
severity: medium
confidence: fact
needs: [requests, decisions]
optional: []
parameters:
  hours: {default: 72, doc: time after the denial within which asking again is looked at}
clauses: [NIST 800-53 AC-2e]
remediation: Show approvers earlier denials; ask the one who said no.
would_clear: The one who denied it approved it too, or what was asked for is less.
*/
WITH denials AS (
    SELECT r.request_id, r.beneficiary, r.entitlement, r.requested_s, d.person, d.decided_at, d.reason
    FROM decisions d
    JOIN requests r ON r.request_id = d.request_id
    WHERE d.verdict = 'deny'
),
approvals AS (
    SELECT r.request_id, r.beneficiary, r.entitlement, r.resource, r.requested_s, r.created_at, d.person, d.decided_at
    FROM decisions d
    JOIN requests r ON r.request_id = d.request_id
    WHERE d.verdict = 'approve' AND r.state = 'approved'
        AND d.decided_at >= $period_start AND d.decided_at < $period_end
)
SELECT
    a.request_id AS subject,
    a.beneficiary AS principal,
    a.resource,
    '`' || a.entitlement || '` for `' || a.beneficiary || '` was denied by `' || d.person
        || '` and then approved by `' || a.person || '`' AS summary,
    d.request_id AS denied_request,
    d.person AS denied_by,
    d.decided_at AS denied_at,
    d.reason AS denied_because,
    a.person AS approved_by,
    a.decided_at AS approved_at
FROM approvals a
JOIN denials d ON d.beneficiary = a.beneficiary AND d.entitlement = a.entitlement
    AND d.person <> a.person AND d.request_id <> a.request_id
WHERE a.created_at >= d.decided_at
    AND date_diff('second', d.decided_at, a.created_at) <= 3600 * $hours
    AND COALESCE(a.requested_s, 0) >= COALESCE(d.requested_s, 0)
    AND NOT EXISTS (
        SELECT 1 FROM decisions o WHERE o.request_id = a.request_id AND o.person = d.person AND o.verdict = 'approve'
    )
ORDER BY 1, d.decided_at
