/*
id: R7
version: "2"
step: 2
title: Hidden inheritance
question: Who has a role only through other roles, so that a list of members does not show it?
severity: medium
confidence: fact
needs: [access_observed]
optional: []
parameters: {}
clauses: [NIST 800-53 AC-2d, NIST 800-53 AC-6(7)]
remediation: Grant the role itself for the time it is needed, or cut the link in the middle.
would_clear: The account no longer reaches the role, holds it directly as well, or a grant explains the whole way.
*/
SELECT
    a.resource || '/' || a.account || '/' || a.role AS subject,
    a.principal,
    a.resource,
    '`' || a.account || '` has `' || a.role || '` only through ' || min(a.via) AS summary,
    CASE
        WHEN COALESCE(max(a.powers), '') LIKE '%superuser%' THEN 'critical'
        WHEN max(a.powers) IS NOT NULL OR bool_or(a.managed) THEN 'high'
        ELSE 'medium'
    END AS severity,
    a.account,
    a.role,
    min(a.depth) AS depth,
    string_agg(DISTINCT a.via, ' | ' ORDER BY a.via) AS ways,
    bool_or(a.inherits) AS inherits,
    max(a.observed_at) AS observed_at
FROM access_observed a
WHERE a.holding = 'nested'
    AND a.grant_id IS NULL
    AND COALESCE(a.can_login, FALSE)
    AND substr(a.account, 1, 3) <> 'pg_'
    AND substr(split_part(a.via, ' > ', a.depth), 1, 3) <> 'pg_'
    AND NOT EXISTS (
        SELECT 1 FROM access_observed d
        WHERE d.resource = a.resource AND d.account = a.account AND d.role = a.role AND d.holding = 'direct'
            AND d.grant_id IS NULL
    )
GROUP BY a.resource, a.account, a.role, a.principal
ORDER BY 1
