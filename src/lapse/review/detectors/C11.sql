/*
id: C11
version: "1"
step: 4
title: Break-glass not reviewed
question: Which emergency access did nobody independent look at in time?
severity: high
confidence: fact
needs: [breakglass_reviews]
optional: [requests, grants, principals]
parameters:
  hours: {default: 72, doc: time to look where the record names none}
clauses: [NIST 800-53 AC-3(10), HIPAA 164.312(a)(2)(ii)]
remediation: Look at it now, with the recording; until then let there be no second one.
would_clear: A look by another person, in time, is on record.
*/
WITH looks AS (
    SELECT b.request_id, r.beneficiary, r.entitlement, COALESCE(r.resource, '') AS resource, b.due_at, b.reviewed_at,
        b.reviewed_by, p.person AS reviewer, q.person AS holder
    FROM breakglass_reviews b
    LEFT JOIN requests r ON r.request_id = b.request_id
    LEFT JOIN principals p ON p.principal = b.reviewed_by
    LEFT JOIN principals q ON q.principal = r.beneficiary
    UNION ALL
    SELECT COALESCE(g.request_id, g.grant_id), g.beneficiary, g.entitlement, g.resource,
        CAST(g.activated_at AS TIMESTAMPTZ) + INTERVAL 1 HOUR * $hours, NULL, NULL, NULL, NULL
    FROM grants g
    WHERE COALESCE(g.break_glass, FALSE) AND g.activated_at IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM breakglass_reviews b WHERE b.request_id = g.request_id)
),
judged AS (
    SELECT *,
        CASE
            WHEN reviewed_at IS NULL THEN 'nobody looked at it'
            WHEN reviewed_by = beneficiary OR reviewer = COALESCE(holder, beneficiary)
                THEN '`' || reviewed_by || '` looked at it, who had used it'
            WHEN reviewed_at > due_at THEN 'it was looked at too late'
        END AS what
    FROM looks
)
SELECT
    request_id AS subject,
    beneficiary AS principal,
    resource,
    'break-glass `' || request_id || '` of `' || COALESCE(beneficiary, '?') || '`: ' || what AS summary,
    entitlement,
    due_at,
    reviewed_at,
    reviewed_by
FROM judged
WHERE what IS NOT NULL AND due_at <= $as_of AND due_at >= $period_start
ORDER BY 1
