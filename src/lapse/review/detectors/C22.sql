/*
id: C22
version: "1"
step: 1
title: Review overdue
question: Which resources were not reviewed within the time that they must be?
severity: high
confidence: fact
needs: [resources, reviews]
optional: []
parameters:
  days: {default: 180, doc: days between reviews where a resource names none (PCI DSS 7.2.4 asks for six months)}
clauses: [PCI DSS 7.2.4, DORA RTS Art. 21]
remediation: Put it on the schedule of reviews.
would_clear: A sealed review covers it in time.
*/
WITH last_review AS (
    SELECT resource, max(sealed_at) AS sealed_at FROM reviews WHERE sealed_at IS NOT NULL GROUP BY resource
)
SELECT
    r.resource AS subject,
    r.owner AS principal,
    r.resource,
    '`' || r.resource || '` was ' || CASE
        WHEN l.sealed_at IS NULL THEN 'never reviewed before'
        ELSE 'last reviewed on ' || strftime(l.sealed_at, '%Y-%m-%d') END
        || ', it must be every ' || CAST(COALESCE(r.review_every_days, $days) AS VARCHAR) || ' days' AS summary,
    CASE WHEN l.sealed_at IS NULL THEN 'medium' ELSE 'high' END AS severity,
    l.sealed_at AS last_reviewed,
    COALESCE(r.review_every_days, $days) AS every_days,
    r.owner
FROM resources r
LEFT JOIN last_review l ON l.resource = r.resource
WHERE l.sealed_at IS NULL
    OR date_diff('second', l.sealed_at, CAST($as_of AS TIMESTAMPTZ)) > 86400 * COALESCE(r.review_every_days, $days)
ORDER BY 1
