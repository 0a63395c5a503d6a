/*
id: M1
version: "1"
step: 1
title: Ungoverned resource
question: Which resources have no policy or no owner?
severity: high
confidence: fact
needs: [resources, offers]
optional: []
parameters: {}
clauses: [NIST 800-53 AC-2b, NIST 800-53 AC-2d, SOC 2 CC6.1, ISO 27001 A.5.15]
remediation: Name an owner in the catalog, and write an offer for the roles people need.
would_clear: The resource has an owner and at least one offer of the policy in force is about it.
*/
SELECT
    r.resource AS subject,
    r.owner AS principal,
    r.resource,
    '`' || r.resource || '` has '
        || CASE
            WHEN r.owner IS NULL AND g.resource IS NULL THEN 'no owner and no policy'
            WHEN r.owner IS NULL THEN 'no owner'
            ELSE 'no policy'
        END AS summary,
    r.owner,
    r.connector,
    g.resource IS NOT NULL AS governed
FROM resources r
LEFT JOIN (SELECT DISTINCT resource FROM offers) g ON g.resource = r.resource
WHERE r.owner IS NULL OR g.resource IS NULL
ORDER BY 1
