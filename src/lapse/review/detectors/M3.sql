/*
id: M3
version: "1"
step: 2
title: Granted wider than requested
question: Did a grant give more on the target than was asked for and approved?
severity: high
confidence: fact
needs: [grants, access_observed]
optional: [role_privileges]
parameters: {}
clauses: [NIST 800-53 AC-3, NIST 800-53 AC-24]
remediation: Take the surplus away on the target; correct what the entitlement maps to.
would_clear: The target shows just what was requested, or the entitlement declares what it really gives.
*/
WITH live AS (
    SELECT grant_id, beneficiary, entitlement, resource, account, COALESCE(native_role, role) AS role
    FROM grants
    WHERE state IN ('activating', 'active', 'revoking', 'revoke_failed')
),
declared AS (
    SELECT DISTINCT resource, role, action, object FROM role_privileges WHERE origin = 'declared'
),
surplus AS (
    SELECT DISTINCT o.resource, o.role, o.action, o.object
    FROM role_privileges o
    JOIN (SELECT DISTINCT resource, role FROM declared) k ON k.resource = o.resource AND k.role = o.role
    WHERE o.origin = 'observed'
        AND NOT EXISTS (
            SELECT 1 FROM declared d
            WHERE d.resource = o.resource AND d.role = o.role
                AND (d.action = o.action OR d.action = '*')
                AND (d.object = o.object OR d.object = '*')
        )
),
wider AS (
    SELECT resource, role, count(*) AS number, min(action || ' on ' || object) AS example
    FROM surplus GROUP BY resource, role
),
ways AS (
    SELECT g.grant_id, 'it also gave the role `' || a.role || '`' AS what, a.role AS held, g.account
    FROM live g
    JOIN access_observed a ON a.grant_id = g.grant_id
    WHERE a.holding = 'direct' AND a.role <> g.role
    UNION ALL
    SELECT g.grant_id, 'the holder can pass `' || a.role || '` on', a.role, g.account
    FROM live g
    JOIN access_observed a ON a.grant_id = g.grant_id
    WHERE a.holding = 'direct' AND a.role = g.role AND COALESCE(a.admin_option, FALSE)
    UNION ALL
    SELECT g.grant_id,
        'its role allows ' || CAST(w.number AS VARCHAR) || ' things that are not declared, e.g. ' || w.example,
        w.role, g.account
    FROM live g
    JOIN wider w ON w.resource = g.resource AND w.role = g.role
)
SELECT
    g.grant_id AS subject,
    g.beneficiary AS principal,
    g.resource,
    '`' || g.beneficiary || '` asked for `' || g.entitlement || '`, and ' || w.what AS summary,
    g.grant_id,
    g.entitlement,
    w.account,
    w.held,
    w.what
FROM live g
JOIN ways w ON w.grant_id = g.grant_id
ORDER BY 1, w.what
