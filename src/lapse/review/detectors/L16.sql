/*
id: L16
version: "1"
step: 4
title: Resurrection
question: Which access that a review had taken away is back with nobody having approved it?
severity: critical
confidence: fact
needs: [review_decisions]
optional: [decisions]
one_of: [[access_observed, grants]]
parameters: {}
clauses: [NIST 800-53 AC-6(7)(b), PCI DSS 7.2.4]
remediation: Remove it again; find out what puts it there (a script, an image, a directory).
would_clear: A request for it was approved after the review's decision.
*/
WITH gone AS (
    SELECT resource, account, role, principal, max(carried_out_at) AS gone_at, min(review_id) AS review_id
    FROM review_decisions
    WHERE decision = 'revoke' AND carried_out_at IS NOT NULL
    GROUP BY resource, account, role, principal
),
back AS (
    SELECT g.resource, g.account, a.role, COALESCE(a.principal, g.principal) AS principal, g.gone_at, g.review_id,
        a.observed_at AS back_at, CAST(NULL AS VARCHAR) AS grant_id
    FROM gone g
    JOIN access_observed a ON a.resource = g.resource AND a.account = g.account AND (g.role IS NULL OR a.role = g.role)
    WHERE a.grant_id IS NULL AND a.holding <> 'nested' AND a.observed_at > g.gone_at
    UNION ALL
    SELECT g.resource, g.account, t.role, COALESCE(t.beneficiary, g.principal), g.gone_at, g.review_id,
        t.activated_at, t.grant_id
    FROM gone g
    JOIN grants t ON t.resource = g.resource AND t.account = g.account
        AND (g.role IS NULL OR g.role = t.role OR g.role = t.native_role)
    WHERE t.activated_at > g.gone_at
        AND NOT EXISTS (
            SELECT 1 FROM decisions d
            WHERE d.request_id = t.request_id AND d.verdict = 'approve' AND d.decided_at > g.gone_at
        )
)
SELECT
    resource || '/' || account || '/' || role AS subject,
    principal,
    resource,
    '`' || account || '` has `' || role || '` again, which review `' || review_id
        || '` had taken away, and nobody approved it' AS summary,
    account,
    role,
    review_id,
    gone_at,
    back_at,
    grant_id
FROM back
WHERE back_at >= $period_start
ORDER BY 1, back_at
