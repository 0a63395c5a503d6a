/*
id: R1
version: "1"
step: 2
title: Departed holder
question: Who has left and still has live access?
severity: critical
confidence: fact
needs: [principals, access_observed]
optional: [people_events, accounts, grants]
parameters:
  tolerance_hours: {default: 24, doc: time after leaving in which access may still be there}
clauses: [NIST 800-53 PS-4, NIST 800-53 AC-2(3)(b), PCI DSS 8.2.5]
remediation: Revoke everything the person holds, lock the principal, and find out why leaving did not do it.
would_clear: The person is active again, or the targets show no login and no role.
*/
WITH leavings AS (
    SELECT principal, left_at FROM principals
    WHERE (NOT active OR left_at <= $as_of) AND kind = 'person'
    UNION ALL
    SELECT principal, max(CASE WHEN event = 'left' THEN happened_at END) AS left_at
    FROM people_events
    WHERE happened_at <= $as_of
    GROUP BY principal
    HAVING max(CASE WHEN event = 'left' THEN happened_at END)
        >= max(CASE WHEN event = 'joined' THEN happened_at ELSE CAST('1900-01-01T00:00:00Z' AS TIMESTAMPTZ) END)
),
left_persons AS (
    SELECT principal, min(left_at) AS left_at FROM leavings GROUP BY principal
),
gone AS (
    SELECT principal, left_at FROM left_persons
    UNION
    SELECT p.principal, l.left_at FROM principals p JOIN left_persons l ON l.principal = p.person
),
live AS (
    SELECT resource, account, principal, role AS what, observed_at AS seen_at FROM access_observed
    UNION ALL
    SELECT resource, account, principal, 'login', observed_at FROM accounts WHERE observed AND can_login
    UNION ALL
    SELECT resource, account, beneficiary, entitlement, CAST($as_of AS TIMESTAMPTZ) FROM grants
    WHERE state IN ('activating', 'active', 'revoking', 'revoke_failed')
)
SELECT
    v.resource || '/' || COALESCE(v.account, g.principal) AS subject,
    g.principal,
    v.resource,
    '`' || g.principal || '` left' || COALESCE(' on ' || strftime(g.left_at, '%Y-%m-%d'), '')
        || ' and still has ' || string_agg(DISTINCT v.what, ', ' ORDER BY v.what) AS summary,
    v.account,
    g.left_at,
    max(v.seen_at) AS seen_at,
    string_agg(DISTINCT v.what, ';' ORDER BY v.what) AS access
FROM live v
JOIN gone g ON g.principal = v.principal
WHERE g.left_at IS NULL OR date_diff('second', g.left_at, v.seen_at) > 3600 * $tolerance_hours
GROUP BY v.resource, v.account, g.principal, g.left_at
ORDER BY 1
