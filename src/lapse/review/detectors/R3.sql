/*
id: R3
version: "1"
step: 4
title: Departed approver
question: Was anything approved in the name of somebody who had left?
severity: critical
confidence: fact
needs: [requests, decisions]
optional: []
one_of: [[principals, people_events]]
parameters: {}
clauses: [NIST 800-53 AC-2e, PCI DSS 7.2.3]
remediation: Revoke what follows from it; find out who used the identity.
would_clear: The person had not left when it was decided.
*/
WITH leavers AS (
    SELECT principal, min(gone_at) AS gone_at
    FROM (
        SELECT principal, left_at AS gone_at FROM principals WHERE left_at IS NOT NULL
        UNION ALL
        SELECT principal, happened_at FROM people_events WHERE event = 'left'
    ) l
    GROUP BY principal
)
SELECT
    d.decision_id AS subject,
    d.person AS principal,
    r.resource,
    'request `' || r.request_id || '` for `' || r.entitlement || '` was approved in the name of `' || d.approver
        || '`, who had left on ' || strftime(l.gone_at, '%Y-%m-%d') AS summary,
    r.request_id,
    r.beneficiary,
    d.approver,
    d.decided_at,
    l.gone_at AS left_at
FROM decisions d
JOIN requests r ON r.request_id = d.request_id
JOIN leavers l ON l.principal = d.person OR l.principal = d.approver
WHERE d.verdict = 'approve'
    AND d.decided_at >= $period_start
    AND d.decided_at < $period_end
    AND l.gone_at <= d.decided_at
ORDER BY 1
