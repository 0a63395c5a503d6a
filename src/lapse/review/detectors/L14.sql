/*
id: L14
version: "1"
step: 2
title: Externally modified
question: Was access that a grant had put on a target changed there by somebody else?
severity: critical
confidence: fact
needs: [drifts]
optional: [grants]
parameters: {}
clauses: [NIST 800-53 CM-3, NIST 800-53 AC-2(4)]
remediation: Find out who changes access by hand, and take that right away.
would_clear: The change is shown to have been made by the grant's own end.
*/
SELECT
    d.resource || '/' || d.account || '/' || d.role AS subject,
    g.beneficiary AS principal,
    d.resource,
    'what grant `' || d.grant_id || '` had put on `' || d.resource || '` for `' || d.account
        || '` was changed by somebody else' AS summary,
    d.account,
    d.role,
    d.grant_id,
    d.first_seen,
    d.cleared_at,
    d.detail
FROM drifts d
LEFT JOIN grants g ON g.grant_id = d.grant_id
WHERE d.kind = 'missing_access'
    AND d.grant_id IS NOT NULL
    AND d.first_seen < $period_end
    AND COALESCE(d.cleared_at, $as_of) >= $period_start
ORDER BY 1, d.first_seen
