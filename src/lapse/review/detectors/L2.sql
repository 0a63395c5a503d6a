/*
id: L2
version: "1"
step: 2
title: Out-of-band access
question: What is on a target that no grant accounts for?
severity: critical
confidence: fact
needs: [access_observed, grants]
optional: [exceptions]
parameters: {}
clauses: [NIST 800-53 AC-2f, SOC 2 CC6.2]
remediation: Remove it on the target (the enforcer can); find out who added it and why the request path was not used.
would_clear: The target no longer has it, or a grant for the same account and role was in force when it was seen.
*/
SELECT
    a.resource || '/' || a.account || '/' || a.role AS subject,
    a.principal,
    a.resource,
    '`' || a.account || '` holds `' || a.role || '`, and no grant accounts for it' AS summary,
    a.account,
    a.role,
    a.grantor,
    a.admin_option,
    a.observed_at
FROM access_observed a
WHERE a.holding = 'direct'
    AND a.managed
    AND NOT COALESCE(a.baseline, FALSE)
    AND a.grant_id IS NULL
    AND NOT EXISTS (
        SELECT 1 FROM grants g
        WHERE g.resource = a.resource
            AND g.account = a.account
            AND g.native_role = a.role
            AND g.state NOT IN ('scheduled', 'activation_failed')
            AND COALESCE(g.activated_at, g.starts_at) <= a.observed_at
            AND (g.ended_at IS NULL OR g.ended_at > a.observed_at)
    )
    AND NOT EXISTS (
        SELECT 1 FROM exceptions e
        WHERE e.resource = a.resource
            AND e.account = a.account
            AND (e.role IS NULL OR e.role = a.role)
            AND e.owner IS NOT NULL AND e.finding IS NULL AND e.until > $as_of
    )
ORDER BY 1
