/*
id: C19
version: "1"
step: 4
title: Reviewer conflict
question: Who decided in a review on their own access, or on what they had approved themselves?
severity: high
confidence: fact
needs: [review_decisions]
optional: [principals, grants, decisions]
parameters: {}
clauses: [NIST 800-53 AC-5]
remediation: Have somebody independent decide on these again.
would_clear: Another person decided the same.
*/
WITH decided AS (
    SELECT i.item_id, i.review_id, i.resource, i.account, i.role, i.principal, i.decided_by, i.decided_at, i.grant_id,
        COALESCE(a.person, i.decided_by) AS reviewer, COALESCE(b.person, i.principal) AS holder
    FROM review_decisions i
    LEFT JOIN principals a ON a.principal = i.decided_by
    LEFT JOIN principals b ON b.principal = i.principal
    WHERE i.decided_by IS NOT NULL AND NOT COALESCE(i.by_default, FALSE)
        AND i.decided_at >= $period_start AND i.decided_at < $period_end
),
approvers AS (
    SELECT DISTINCT g.grant_id, COALESCE(p.person, d.person) AS person
    FROM grants g
    JOIN decisions d ON d.request_id = g.request_id
    LEFT JOIN principals p ON p.principal = d.person
    WHERE d.verdict = 'approve'
)
SELECT
    i.item_id AS subject,
    i.decided_by AS principal,
    i.resource,
    '`' || i.decided_by || '` decided in review `' || i.review_id || '` on '
        || CASE WHEN i.reviewer = i.holder THEN 'their own access' ELSE 'access that they had approved' END AS summary,
    i.review_id,
    i.account,
    i.role,
    i.principal AS holder,
    i.decided_at,
    i.grant_id
FROM decided i
WHERE i.reviewer = i.holder
    OR EXISTS (SELECT 1 FROM approvers v WHERE v.grant_id = i.grant_id AND v.person = i.reviewer)
ORDER BY 1
