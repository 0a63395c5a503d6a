/*
id: L1
version: "1"
step: 2
title: Standing privilege
question: Who holds a role or a power that never ends, and is not on the exception register?
severity: high
confidence: fact
needs: [access_observed]
optional: [exceptions, accounts]
parameters:
  longest_days: {default: 366, doc: an end further away than this many days counts as no end}
clauses: [NIST 800-53 AC-6(5), ISO 27001 A.8.2, FedRAMP KSI-IAM-JIT]
remediation: Revoke it, and let the holder request the role for the time it is needed; or enter an exception that ends.
would_clear: The access has an end, is explained by a grant, or is on the exception register with an owner and an end.
*/
SELECT
    a.resource || '/' || a.account || '/' || a.role AS subject,
    a.principal,
    a.resource,
    CASE
        WHEN a.holding = 'power' THEN '`' || a.account || '` has ' || a.role || ' for ever'
        ELSE '`' || a.account || '` holds `' || a.role || '` with no end'
    END AS summary,
    CASE
        WHEN COALESCE(a.powers, '') LIKE '%superuser%' THEN 'critical'
        WHEN a.holding = 'power' AND a.powers NOT IN ('createrole', 'bypassrls', 'replication') THEN 'medium'
        WHEN a.holding = 'power' OR a.admin_option OR a.managed THEN 'high'
        WHEN substr(a.role, 1, 3) = 'pg_' OR a.powers IS NOT NULL THEN 'high'
        ELSE 'medium'
    END AS severity,
    a.account,
    a.role,
    a.holding,
    a.admin_option,
    a.powers,
    a.valid_until,
    a.observed_at
FROM access_observed a
WHERE a.holding <> 'nested'
    AND a.grant_id IS NULL
    AND COALESCE(a.baseline, TRUE)
    AND COALESCE(a.can_login, TRUE)
    AND substr(a.account, 1, 3) <> 'pg_'
    AND (a.valid_until IS NULL OR date_diff('day', CAST($as_of AS TIMESTAMPTZ), a.valid_until) > $longest_days)
    AND NOT EXISTS (
        SELECT 1 FROM exceptions e
        WHERE e.resource = a.resource
            AND e.account = a.account
            AND (e.role IS NULL OR e.role = a.role)
            AND e.owner IS NOT NULL AND e.finding IS NULL AND e.until > $as_of
    )
ORDER BY 1
