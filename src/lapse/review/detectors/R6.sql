/*
id: R6
version: "1"
step: 2
title: Dormant account
question: Which logins were not used for a long time, where every use would have been recorded?
severity: medium
confidence: fact
needs: [accounts, usage, coverage]
optional: [sessions]
parameters:
  days: {default: 90, doc: days without use}
clauses: [NIST 800-53 AC-2(3)(d), PCI DSS 8.2.6]
remediation: Disable the login; remove it after a while if nobody misses it.
would_clear: A use within the time is supplied as evidence.
*/
WITH edges AS (
    SELECT resource, from_at, to_at,
        max(to_at) OVER (PARTITION BY resource ORDER BY from_at, to_at
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS covered_to
    FROM coverage
    WHERE complete
),
numbered AS (
    SELECT resource, from_at, to_at,
        sum(CASE WHEN covered_to >= from_at THEN 0 ELSE 1 END)
            OVER (PARTITION BY resource ORDER BY from_at, to_at) AS island
    FROM edges
),
islands AS (
    SELECT resource, min(from_at) AS from_at, max(to_at) AS to_at FROM numbered GROUP BY resource, island
),
covered AS (
    SELECT resource, min(from_at) AS from_at, max(to_at) AS to_at
    FROM islands
    WHERE to_at >= LEAST(CAST($period_end AS TIMESTAMPTZ), CAST($as_of AS TIMESTAMPTZ))
        AND date_diff('second', from_at,
            LEAST(CAST($period_end AS TIMESTAMPTZ), CAST($as_of AS TIMESTAMPTZ))) >= 86400 * $days
    GROUP BY resource
),
last_use AS (
    SELECT resource, account, max(used_at) AS used_at
    FROM (
        SELECT resource, account, max(last_used_at) AS used_at FROM usage_totals GROUP BY resource, account
        UNION ALL
        SELECT resource, account, max(COALESCE(ended_at, started_at)) FROM sessions GROUP BY resource, account
        UNION ALL
        SELECT resource, account, last_activity FROM accounts WHERE last_activity IS NOT NULL
    ) u
    GROUP BY resource, account
)
SELECT
    a.resource || '/' || a.account AS subject,
    a.principal,
    a.resource,
    'login `' || a.account || '` was not used '
        || COALESCE('since ' || strftime(l.used_at, '%Y-%m-%d'), 'at all since ' || strftime(c.from_at, '%Y-%m-%d'))
        AS summary,
    a.account,
    l.used_at AS last_used,
    c.from_at AS recorded_since
FROM accounts a
JOIN covered c ON c.resource = a.resource
LEFT JOIN last_use l ON l.resource = a.resource AND l.account = a.account
WHERE COALESCE(a.can_login, FALSE)
    AND a.observed
    AND a.grant_id IS NULL
    AND NOT COALESCE(a.builtin, FALSE)
    AND date_diff('second', COALESCE(a.created_at, c.from_at),
        LEAST(CAST($period_end AS TIMESTAMPTZ), CAST($as_of AS TIMESTAMPTZ))) >= 86400 * $days
    AND (l.used_at IS NULL OR date_diff('second', l.used_at,
        LEAST(CAST($period_end AS TIMESTAMPTZ), CAST($as_of AS TIMESTAMPTZ))) >= 86400 * $days)
ORDER BY 1
