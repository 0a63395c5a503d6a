/*
id: R3
version: "2"
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
would_clear: The person had not left when it was decided, or had come back.
*/
WITH leavings AS (
    SELECT principal, left_at AS gone_at FROM principals WHERE left_at IS NOT NULL
    UNION
    SELECT principal, happened_at FROM people_events WHERE event = 'left'
),
leavers AS (
    SELECT l.principal, l.gone_at, min(j.happened_at) AS back_at
    FROM leavings l
    LEFT JOIN people_events j ON j.principal = l.principal AND j.event = 'joined' AND j.happened_at > l.gone_at
    GROUP BY l.principal, l.gone_at
),
votes AS (
    SELECT decision_id, person AS name FROM decisions WHERE verdict = 'approve'
    UNION
    SELECT decision_id, approver FROM decisions WHERE verdict = 'approve'
),
absent AS (
    SELECT v.decision_id, min(l.gone_at) AS gone_at
    FROM votes v
    JOIN decisions d ON d.decision_id = v.decision_id
    JOIN leavers l ON l.principal = v.name
    WHERE l.gone_at <= d.decided_at AND COALESCE(l.back_at > d.decided_at, TRUE)
    GROUP BY v.decision_id
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
JOIN absent l ON l.decision_id = d.decision_id
WHERE d.decided_at >= $period_start
    AND d.decided_at < $period_end
ORDER BY 1
