/*
id: M11
version: "1"
step: 2
title: Self-modifiable boundary
question: Who can change the policy, the sets of approvers or the log that bind them?
severity: critical
confidence: fact
needs: [boundaries]
optional: [exceptions]
one_of: [[grants, access_observed]]
parameters: {}
clauses: [NIST 800-53 AU-9(4), NIST 800-53 AC-5]
remediation: Let a change of these need a second person, and take standing access to where they are kept away.
would_clear: Nobody holds the role by themselves, or the access is on the exception register with an owner and an end.
*/
WITH held AS (
    SELECT a.resource, a.account, a.role, a.role AS native_role, a.principal, 'standing' AS holding
    FROM access_observed a
    WHERE a.grant_id IS NULL AND COALESCE(a.can_login, TRUE) AND substr(a.account, 1, 3) <> 'pg_'
    UNION
    SELECT resource, COALESCE(account, beneficiary), role, native_role, beneficiary, 'grant'
    FROM grants
    WHERE state IN ('activating', 'active', 'revoking', 'revoke_failed')
)
SELECT
    h.resource || '/' || h.account || '/' || h.role AS subject,
    h.principal,
    h.resource,
    '`' || h.account || '` holds `' || h.role || '` and can change the ' || b.controls || ' that binds it' AS summary,
    CASE WHEN h.holding = 'grant' THEN 'high' ELSE 'critical' END AS severity,
    h.account,
    h.role,
    h.holding,
    b.controls
FROM held h
JOIN boundaries b ON b.resource = h.resource AND (b.role = h.role OR b.role = h.native_role OR b.role = '*')
WHERE NOT EXISTS (
    SELECT 1 FROM exceptions e
    WHERE e.resource = h.resource AND e.account = h.account AND (e.role IS NULL OR e.role = h.role)
        AND e.finding IS NULL AND e.owner IS NOT NULL AND e.until > $as_of
)
ORDER BY 1, b.controls
