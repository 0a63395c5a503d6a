/*
id: C18
version: "1"
step: 3
title: Other principal
question: Was a grant used by somebody else than it was given to?
severity: critical
confidence: fact
needs: [grants]
optional: [principals]
one_of: [[usage, sessions]]
parameters: {}
clauses: [NIST 800-53 IA-2, PCI DSS 8.2.2]
remediation: End the grant and its sessions; find out how the credential got there.
would_clear: The identity is shown to be a second name of the holder.
*/
WITH used AS (
    SELECT grant_id, principal, min(first_started_at) AS first_at, max(address) AS address,
        CAST(sum(uses) AS BIGINT) AS times
    FROM usage_totals WHERE grant_id IS NOT NULL AND principal IS NOT NULL GROUP BY grant_id, principal
    UNION ALL
    SELECT grant_id, principal, min(started_at), max(address), count(*)
    FROM sessions WHERE grant_id IS NOT NULL AND principal IS NOT NULL GROUP BY grant_id, principal
)
SELECT
    g.grant_id AS subject,
    u.principal,
    g.resource,
    '`' || u.principal || '` used `' || g.entitlement || '`, which was given to `' || g.beneficiary || '`' AS summary,
    g.grant_id,
    g.beneficiary,
    u.principal AS used_by,
    u.first_at,
    u.times,
    u.address
FROM used u
JOIN grants g ON g.grant_id = u.grant_id
LEFT JOIN principals a ON a.principal = u.principal
LEFT JOIN principals b ON b.principal = g.beneficiary
WHERE u.principal <> g.beneficiary
    AND COALESCE(a.person, u.principal) <> COALESCE(b.person, g.beneficiary)
    AND u.first_at < $period_end
    AND COALESCE(g.ended_at, $as_of) >= $period_start
ORDER BY 1, u.principal, u.first_at
