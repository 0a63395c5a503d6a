/*
id: C10
version: "1"
step: 4
title: Changed after approval
question: Was something else granted than what was approved?
severity: critical
confidence: fact
needs: [requests, grants]
optional: []
parameters:
  tolerance_seconds: {default: 0, doc: a grant may be so much longer than approved}
clauses: [NIST 800-53 AC-3]
remediation: Revoke it; have the approvers see what was granted.
would_clear: An approval of just this is supplied as evidence.
*/
WITH compared AS (
    SELECT g.grant_id, g.beneficiary, g.entitlement, g.resource, g.duration_s, g.created_at, r.request_id,
        r.beneficiary AS approved_for, r.entitlement AS approved, r.requested_s,
        CASE
            WHEN g.beneficiary <> r.beneficiary THEN 'for `' || r.beneficiary || '`, granted to `' || g.beneficiary || '`'
            WHEN g.entitlement <> r.entitlement THEN '`' || r.entitlement || '`, granted `' || g.entitlement || '`'
            WHEN g.duration_s > r.requested_s + $tolerance_seconds
                THEN CAST(r.requested_s // 60 AS VARCHAR) || ' min, granted ' || CAST(g.duration_s // 60 AS VARCHAR)
                    || ' min'
            WHEN g.terms_sha256 <> r.terms_sha256 THEN 'other terms than those granted'
        END AS what
    FROM grants g
    JOIN requests r ON r.request_id = g.request_id
    WHERE g.created_at >= $period_start AND g.created_at < $period_end
)
SELECT
    grant_id AS subject,
    beneficiary AS principal,
    resource,
    'request `' || request_id || '` was approved ' || CASE WHEN what LIKE 'for %' OR what LIKE 'other %' THEN ''
        ELSE 'for ' END || what AS summary,
    request_id,
    approved,
    entitlement,
    approved_for,
    requested_s,
    duration_s,
    created_at
FROM compared
WHERE what IS NOT NULL
ORDER BY 1
