/*
id: C8
version: "2"
step: 4
title: Quorum bypass
question: Was anything approved with fewer distinct eligible persons than the quorum?
severity: critical
confidence: fact
needs: [requests, stages, decisions, principals]
optional: [humans_behind, approver_sets]
parameters: {}
clauses: [NIST 800-53 AC-3(2)]
remediation: Revoke the grant; have the missing approvals given or refused by people who may.
would_clear: The missing approvals of distinct eligible persons are shown.
*/
WITH identities AS (
    SELECT principal, COALESCE(person, principal) AS person FROM principals WHERE kind = 'person'
),
unrecorded AS (
    SELECT r.request_id, r.requester, r.beneficiary
    FROM requests r
    WHERE NOT EXISTS (SELECT 1 FROM approver_sets s WHERE s.request_id = r.request_id AND s.interested IS NOT NULL)
),
interested AS (
    SELECT request_id, requester AS person FROM requests
    UNION
    SELECT request_id, beneficiary FROM requests
    UNION
    SELECT r.request_id, i.person FROM requests r JOIN identities i ON i.principal = r.requester
    UNION
    SELECT r.request_id, i.person FROM requests r JOIN identities i ON i.principal = r.beneficiary
    UNION
    SELECT request_id, person FROM approver_sets WHERE interested
    UNION
    SELECT u.request_id, b.person FROM unrecorded u JOIN humans_behind b ON b.principal = u.requester
    UNION
    SELECT u.request_id, b.person FROM unrecorded u JOIN humans_behind b ON b.principal = u.beneficiary
),
votes AS (
    SELECT DISTINCT d.request_id, d.stage, COALESCE(p.person, d.person) AS human
    FROM decisions d
    LEFT JOIN principals p ON p.principal = d.approver
    WHERE d.verdict = 'approve'
),
counted AS (
    SELECT v.request_id, v.stage, v.human
    FROM votes v
    WHERE NOT EXISTS (SELECT 1 FROM interested i WHERE i.request_id = v.request_id AND i.person = v.human)
        AND (
            v.request_id NOT IN (SELECT request_id FROM approver_sets)
            OR EXISTS (
                SELECT 1 FROM approver_sets s
                WHERE s.request_id = v.request_id AND s.stage = v.stage AND s.person = v.human
            )
        )
),
tallied AS (
    SELECT s.request_id, s.stage, s.quorum, count(c.human) AS approved,
        string_agg(c.human, ';' ORDER BY c.human) AS persons
    FROM stages s
    LEFT JOIN counted c ON c.request_id = s.request_id AND c.stage = s.stage
    GROUP BY s.request_id, s.stage, s.quorum
)
SELECT
    r.request_id AS subject,
    r.beneficiary AS principal,
    r.resource,
    '`' || r.entitlement || '` was approved with ' || CAST(t.approved AS VARCHAR) || ' of '
        || CAST(t.quorum AS VARCHAR) || ' persons in stage `' || t.stage || '`' AS summary,
    t.stage,
    t.quorum,
    t.approved,
    t.persons,
    r.closed_at
FROM requests r
JOIN tallied t ON t.request_id = r.request_id
WHERE r.state = 'approved'
    AND r.closed_at >= $period_start
    AND r.closed_at < $period_end
    AND t.approved < t.quorum
ORDER BY 1, t.stage
