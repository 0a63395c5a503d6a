/*
id: C1
version: "2"
step: 4
title: Self-approval
question: Did somebody approve an own request, under whichever name, or somebody else on their behalf?
severity: critical
confidence: fact
needs: [requests, decisions, principals]
optional: [humans_behind, approver_sets]
parameters: {}
clauses: [NIST 800-53 AC-5, NIST 800-53 AC-3(2)]
remediation: Revoke the grant, have the request decided by somebody else, and see what was done with it.
would_clear: The approver is shown to be another person than those behind requester and beneficiary.
*/
WITH identities AS (
    SELECT principal, COALESCE(person, principal) AS person FROM principals WHERE kind = 'person'
),
behind_now AS (
    SELECT principal, person FROM humans_behind
    UNION
    SELECT principal, sponsor FROM principals WHERE sponsor IS NOT NULL
    UNION
    SELECT principal, owner FROM principals WHERE owner IS NOT NULL
),
unrecorded AS (
    SELECT r.request_id, r.requester, r.beneficiary
    FROM requests r
    WHERE NOT EXISTS (SELECT 1 FROM approver_sets s WHERE s.request_id = r.request_id AND s.interested IS NOT NULL)
),
interested AS (
    SELECT r.request_id, i.person FROM requests r JOIN identities i ON i.principal = r.requester
    UNION
    SELECT r.request_id, i.person FROM requests r JOIN identities i ON i.principal = r.beneficiary
    UNION
    SELECT request_id, person FROM approver_sets WHERE interested
    UNION
    SELECT u.request_id, b.person FROM unrecorded u JOIN behind_now b ON b.principal = u.requester
    UNION
    SELECT u.request_id, b.person FROM unrecorded u JOIN behind_now b ON b.principal = u.beneficiary
    UNION
    SELECT request_id, requester FROM requests
    UNION
    SELECT request_id, beneficiary FROM requests
),
votes AS (
    SELECT d.request_id, d.decision_id, d.approver, d.person AS recorded, d.decided_at, d.stage,
        COALESCE(p.person, d.person) AS person, d.on_behalf_of, COALESCE(b.person, d.on_behalf_of) AS principal_person
    FROM decisions d
    LEFT JOIN principals p ON p.principal = d.approver
    LEFT JOIN principals b ON b.principal = d.on_behalf_of
    WHERE d.verdict = 'approve' AND d.decided_at >= $period_start AND d.decided_at < $period_end
)
SELECT DISTINCT
    v.request_id AS subject,
    v.person AS principal,
    r.resource,
    '`' || v.person || '` approved an own request for `' || r.entitlement || '`'
        || CASE WHEN v.approver <> v.person THEN ' as `' || v.approver || '`' ELSE '' END
        || CASE WHEN v.on_behalf_of IS NOT NULL THEN ' on behalf of `' || v.on_behalf_of || '`' ELSE '' END AS summary,
    v.decision_id,
    v.approver,
    v.on_behalf_of,
    r.requester,
    r.beneficiary,
    v.stage,
    v.decided_at
FROM votes v
JOIN interested i ON i.request_id = v.request_id AND i.person IN (v.person, v.recorded, v.approver, v.principal_person)
JOIN requests r ON r.request_id = v.request_id
ORDER BY 1, v.decided_at
