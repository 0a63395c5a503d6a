/*
id: L18
version: "1"
step: 2
title: Login without an end
question: Which logins that hold standing access could be used for ever?
severity: low
confidence: fact
needs: [accounts, access_observed]
optional: [exceptions]
parameters: {}
clauses: [NIST 800-53 IA-5, NIST 800-53 AC-2(3)]
remediation: Give the login an end on the target (`VALID UNTIL` on PostgreSQL), and renew it while it is needed.
would_clear: The target itself ends the login, or the login holds nothing by itself.
*/
SELECT
    c.resource || '/' || c.account AS subject,
    c.principal,
    c.resource,
    'login `' || c.account || '` has no end and holds '
        || string_agg(DISTINCT a.role, ', ' ORDER BY a.role) AS summary,
    c.account,
    c.powers,
    c.last_activity,
    c.observed_at
FROM accounts c
JOIN access_observed a ON a.resource = c.resource AND a.account = c.account
WHERE c.can_login
    AND c.observed
    AND c.valid_until IS NULL
    AND substr(c.account, 1, 3) <> 'pg_'
    AND a.holding <> 'nested'
    AND a.grant_id IS NULL
    AND COALESCE(a.baseline, TRUE)
    AND NOT EXISTS (
        SELECT 1 FROM exceptions e
        WHERE e.resource = c.resource AND e.account = c.account AND e.finding IS NULL
            AND e.owner IS NOT NULL AND e.until > $as_of
    )
GROUP BY c.resource, c.account, c.principal, c.powers, c.last_activity, c.observed_at
ORDER BY 1
