/*
id: C6
version: "1"
step: 4
title: Ineligible approver
question: Did somebody approve who was not in the approver set then in force?
severity: critical
confidence: fact
needs: [requests, decisions, approver_sets]
optional: [principals]
parameters: {}
clauses: [NIST 800-53 AC-2e]
remediation: Revoke the grant and have it decided by somebody who may; find out how the vote was accepted.
would_clear: The approver is shown to have been in the set at the time.
*/
WITH votes AS (
    SELECT d.*, COALESCE(p.person, d.person) AS human
    FROM decisions d
    LEFT JOIN principals p ON p.principal = d.approver
    WHERE d.verdict = 'approve' AND d.decided_at >= $period_start AND d.decided_at < $period_end
)
SELECT
    v.request_id AS subject,
    v.human AS principal,
    r.resource,
    '`' || v.human || '` approved `' || r.entitlement || '` for `' || r.beneficiary
        || '` without being an approver of stage `' || v.stage || '`' AS summary,
    v.decision_id,
    v.approver,
    v.stage,
    v.decided_at,
    r.policy_version
FROM votes v
JOIN requests r ON r.request_id = v.request_id
WHERE v.request_id IN (SELECT request_id FROM approver_sets)
    AND NOT EXISTS (
        SELECT 1 FROM approver_sets s
        WHERE s.request_id = v.request_id AND s.stage = v.stage AND s.person = v.human
    )
ORDER BY 1, v.decided_at
