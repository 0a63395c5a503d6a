/*
id: M4
version: "1"
step: 3
title: Granted wider than used
question: Which rights of a role did none of its holders use, where every action would have been recorded?
severity: medium
confidence: fact
needs: [role_privileges, usage, coverage]
optional: []
one_of: [[grants, access_observed]]
parameters:
  least_percent: {default: 50, doc: a role is reported from this share of unused rights on}
clauses: [NIST 800-53 AC-6(7)]
remediation: Offer a narrower role; the review proposes one with exactly the rights that were used.
would_clear: A use of the right is supplied as evidence, or the role no longer has it.
*/
WITH edges AS (
    SELECT resource, from_at, to_at,
        max(to_at) OVER (PARTITION BY resource ORDER BY from_at, to_at
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS covered_to
    FROM coverage
    WHERE complete AND COALESCE(actions, FALSE)
),
numbered AS (
    SELECT resource, from_at, to_at,
        sum(CASE WHEN covered_to >= from_at THEN 0 ELSE 1 END)
            OVER (PARTITION BY resource ORDER BY from_at, to_at) AS island
    FROM edges
),
covered AS (
    SELECT DISTINCT resource
    FROM (SELECT resource, min(from_at) AS from_at, max(to_at) AS to_at FROM numbered GROUP BY resource, island) i
    WHERE from_at <= $period_start AND to_at >= LEAST(CAST($period_end AS TIMESTAMPTZ), CAST($as_of AS TIMESTAMPTZ))
),
allowed AS (
    SELECT p.resource, p.role, p.action, p.object
    FROM role_privileges p
    JOIN covered c ON c.resource = p.resource
    WHERE p.origin = 'observed' AND NOT COALESCE(p.wildcard, FALSE)
    GROUP BY p.resource, p.role, p.action, p.object
),
holders AS (
    SELECT resource, account, COALESCE(native_role, role) AS role
    FROM grants
    WHERE account IS NOT NULL AND activated_at < $period_end AND COALESCE(ended_at, $as_of) >= $period_start
    UNION
    SELECT resource, account, role FROM access_observed
),
hands AS (
    SELECT h.resource, h.account, string_agg(h.role, ' ' ORDER BY h.role) AS roles
    FROM holders h
    SEMI JOIN allowed a ON a.resource = h.resource
    GROUP BY h.resource, h.account
),
actions AS (
    SELECT h.resource, h.roles, u.action, u.object
    FROM usage u
    JOIN hands h ON h.resource = u.resource AND h.account = u.account
    WHERE u.action IS NOT NULL AND u.started_at >= $period_start AND u.started_at < $period_end
    GROUP BY h.resource, h.roles, u.action, u.object
),
used AS (
    SELECT DISTINCT h.resource, h.role, upper(a.action) AS action, a.object
    FROM actions a
    JOIN (
        SELECT DISTINCT n.resource, n.roles, o.role
        FROM hands n
        JOIN holders o ON o.resource = n.resource AND o.account = n.account
    ) h ON h.resource = a.resource AND h.roles = a.roles
),
unused AS (
    SELECT p.resource, p.role, p.action, p.object
    FROM allowed p
    WHERE NOT EXISTS (
        SELECT 1 FROM used u
        WHERE u.resource = p.resource AND u.role = p.role AND u.action = upper(p.action)
            AND (u.object IS NULL OR u.object = p.object OR p.object = '*')
    )
),
totals AS (
    SELECT a.resource, a.role, count(*) AS rights
    FROM allowed a
    JOIN (SELECT DISTINCT resource, role FROM holders) h ON h.resource = a.resource AND h.role = a.role
    GROUP BY a.resource, a.role
),
ranked AS (
    SELECT resource, role, action, object,
        count(*) OVER (PARTITION BY resource, role) AS number,
        row_number() OVER (PARTITION BY resource, role ORDER BY action, object) AS place
    FROM unused
)
SELECT
    r.resource || '/' || r.role AS subject,
    CAST(NULL AS VARCHAR) AS principal,
    r.resource,
    'role `' || r.role || '`: ' || CAST(r.number AS VARCHAR) || ' of ' || CAST(t.rights AS VARCHAR)
        || ' rights were not used by anybody' AS summary,
    r.role,
    r.action,
    r.object,
    r.number AS unused,
    t.rights
FROM ranked r
JOIN totals t ON t.resource = r.resource AND t.role = r.role
WHERE r.place <= 20 AND 100 * r.number >= $least_percent * t.rights
ORDER BY 1, r.place
