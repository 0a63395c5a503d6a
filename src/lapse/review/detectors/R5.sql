/*
id: R5
version: "1"
step: 2
title: Unlinked account
question: Which logins on a target belong to no one known?
severity: high
confidence: fact
needs: [accounts, principals]
optional: [grants, exceptions]
parameters: {}
clauses: [NIST 800-53 IA-4, NIS2 11.5]
remediation: Link the login to a person or a service in the catalog, or disable it.
would_clear: A principal owns the login, or the target no longer lets it in.
*/
SELECT
    c.resource || '/' || c.account AS subject,
    CAST(NULL AS VARCHAR) AS principal,
    c.resource,
    'login `' || c.account || '` belongs to no known person or service' AS summary,
    c.account,
    c.powers,
    c.valid_until,
    c.last_activity,
    c.observed_at
FROM accounts c
WHERE c.observed
    AND c.can_login
    AND c.principal IS NULL
    AND c.grant_id IS NULL
    AND substr(c.account, 1, 3) <> 'pg_'
    AND (c.valid_until IS NULL OR c.valid_until > $as_of)
    AND NOT EXISTS (
        SELECT 1 FROM grants g
        WHERE g.resource = c.resource AND g.account = c.account AND g.ended_at IS NULL
    )
    AND NOT EXISTS (
        SELECT 1 FROM exceptions e
        WHERE e.resource = c.resource AND e.account = c.account AND e.finding IS NULL
            AND e.owner IS NOT NULL AND e.until > $as_of
    )
ORDER BY 1
