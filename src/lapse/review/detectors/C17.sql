/*
id: C17
version: "1"
step: 3
title: Out-of-purpose use
question: Was access used for something else than the request had declared?
severity: high
confidence: fact
needs: [usage, grants, purposes]
optional: []
parameters:
  most: {default: 0, doc: so many uses of a grant may be about something else}
clauses: [NIST 800-53 AC-2(11), NIST 800-53 AC-2(12), GDPR Art. 5(1)(b)]
remediation: Ask the person; narrow the role to what the task needs.
would_clear: The request declared it, or an amended declaration was approved.
*/
WITH patterns AS (
    SELECT request_id, kind,
        lower(replace(replace(replace(replace(pattern, '!', '!!'), '%', '!%'), '_', '!_'), '*', '%')) AS pattern
    FROM purposes
),
kinds AS (
    SELECT request_id,
        max(CASE WHEN kind = 'action' THEN 1 ELSE 0 END) AS actions,
        max(CASE WHEN kind = 'object' THEN 1 ELSE 0 END) AS objects
    FROM purposes GROUP BY request_id
),
done AS (
    SELECT g.grant_id, g.request_id, g.beneficiary, g.entitlement, g.resource, u.action, u.object, count(*) AS times,
        min(u.started_at) AS first_at
    FROM usage u
    JOIN grants g ON g.grant_id = u.grant_id
    JOIN kinds k ON k.request_id = g.request_id
    WHERE u.started_at >= $period_start AND u.started_at < $period_end
    GROUP BY g.grant_id, g.request_id, g.beneficiary, g.entitlement, g.resource, u.action, u.object
),
outside AS (
    SELECT d.*,
        CASE WHEN k.actions = 1 AND d.action IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM patterns p
            WHERE p.request_id = d.request_id AND p.kind = 'action' AND lower(d.action) LIKE p.pattern ESCAPE '!'
        ) THEN 1 ELSE 0 END AS other_action,
        CASE WHEN k.objects = 1 AND d.object IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM patterns p
            WHERE p.request_id = d.request_id AND p.kind = 'object' AND lower(d.object) LIKE p.pattern ESCAPE '!'
        ) THEN 1 ELSE 0 END AS other_object
    FROM done d
    JOIN kinds k ON k.request_id = d.request_id
),
ranked AS (
    SELECT *, sum(times) OVER (PARTITION BY grant_id) AS number,
        row_number() OVER (PARTITION BY grant_id ORDER BY times DESC, first_at, action, object) AS place
    FROM outside
    WHERE other_action = 1 OR other_object = 1
)
SELECT
    grant_id AS subject,
    beneficiary AS principal,
    resource,
    '`' || beneficiary || '` used `' || entitlement || '` ' || CAST(number AS VARCHAR)
        || CASE WHEN number = 1 THEN ' time' ELSE ' times' END || ' outside of what was declared' AS summary,
    action,
    object,
    times,
    first_at,
    request_id
FROM ranked
WHERE place <= 20 AND number > $most
ORDER BY 1, place
