/*
id: C8
version: "1"
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
WITH persons AS (
    SELECT principal, person FROM humans_behind
    UNION
    SELECT principal, COALESCE(person, principal) FROM principals WHERE kind = 'person'
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
    JOIN requests r ON r.request_id = v.request_id
    WHERE v.human NOT IN (r.requester, r.beneficiary)
        AND NOT EXISTS (
            SELECT 1 FROM persons i WHERE i.principal IN (r.requester, r.beneficiary) AND i.person = v.human
        )
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
