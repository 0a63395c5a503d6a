/*
id: M13
version: "1"
step: 3
title: Telemetry gap
question: When was use not recorded, so that nothing can be said about it?
severity: medium
confidence: fact
needs: [coverage, resources]
optional: []
parameters:
  tolerance_minutes: {default: 5, doc: a gap of at most this long does not count}
clauses: [NIST 800-53 AU-12]
remediation: Find out why telemetry stopped; supply the missing log if another system has it.
would_clear: Complete coverage of the window is supplied.
*/
WITH bounds AS (
    SELECT CAST($period_start AS TIMESTAMPTZ) AS from_at,
        LEAST(CAST($period_end AS TIMESTAMPTZ), CAST($as_of AS TIMESTAMPTZ)) AS to_at
),
windows AS (
    SELECT c.resource, GREATEST(c.from_at, b.from_at) AS from_at, LEAST(c.to_at, b.to_at) AS to_at
    FROM coverage c CROSS JOIN bounds b
    WHERE c.complete AND c.to_at > b.from_at AND c.from_at < b.to_at
    UNION ALL
    SELECT r.resource, b.to_at, b.to_at FROM resources r CROSS JOIN bounds b
),
edges AS (
    SELECT w.resource, w.from_at,
        COALESCE(max(w.to_at) OVER (PARTITION BY w.resource ORDER BY w.from_at, w.to_at
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), b.from_at) AS covered_to
    FROM windows w CROSS JOIN bounds b
)
SELECT
    resource || ' ' || strftime(covered_to, '%Y-%m-%dT%H:%M:%SZ') AS subject,
    CAST(NULL AS VARCHAR) AS principal,
    resource,
    'use of `' || resource || '` was not recorded from ' || strftime(covered_to, '%Y-%m-%d %H:%M') || ' to '
        || strftime(from_at, '%Y-%m-%d %H:%M') || ' UTC' AS summary,
    covered_to AS gap_from,
    from_at AS gap_to,
    date_diff('minute', covered_to, from_at) AS gap_minutes
FROM edges
WHERE date_diff('second', covered_to, from_at) > 60 * $tolerance_minutes
ORDER BY 1
