/*
id: R4
version: "1"
step: 1
title: Owner missing or gone
question: Which resources, or objects on them, belong to somebody who is not there any more?
severity: medium
confidence: fact
needs: [resources, principals]
optional: [object_privileges, accounts]
parameters: {}
clauses: [NIST 800-53 AC-2b]
remediation: Name a new owner; on the target, reassign what the departed account owns.
would_clear: The owner is an active person, or the objects belong to another account.
*/
WITH owned AS (
    SELECT o.resource, o.grantee, c.principal, p.left_at,
        count(*) AS objects,
        string_agg(o.object_kind || ' ' || o.object_name, ', ' ORDER BY o.object_kind, o.object_name) AS examples
    FROM object_privileges o
    JOIN accounts c ON c.resource = o.resource AND c.account = o.grantee
    JOIN principals p ON p.principal = c.principal
    WHERE o.is_owner AND (NOT p.active OR p.left_at <= $as_of)
    GROUP BY o.resource, o.grantee, c.principal, p.left_at
)
SELECT
    r.resource AS subject,
    r.owner AS principal,
    r.resource,
    '`' || r.resource || '` belongs to `' || r.owner || '`, who is not active' AS summary,
    r.owner AS account,
    CAST(NULL AS TIMESTAMPTZ) AS left_at,
    CAST(NULL AS BIGINT) AS objects,
    CAST(NULL AS VARCHAR) AS examples
FROM resources r
WHERE r.owner IS NOT NULL AND NOT r.owner_active
UNION ALL
SELECT
    resource || '/' || grantee,
    principal,
    resource,
    '`' || grantee || '` owns ' || CAST(objects AS VARCHAR) || ' objects, and `' || principal || '` is gone',
    grantee,
    left_at,
    objects,
    substr(examples, 1, 400)
FROM owned
ORDER BY 1
