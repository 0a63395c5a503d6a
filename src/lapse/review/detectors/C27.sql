/*
id: C27
version: "1"
step: 5
title: Expired exception
question: Which exceptions have no owner, no end, or an end that is over?
severity: medium
confidence: fact
needs: [exceptions]
optional: [principals]
parameters:
  longest_days: {default: 366, doc: an exception for longer than this counts as one without an end}
clauses: [NIST 800-53 AC-2f]
remediation: Decide again, with an owner and an end; or take the access away.
would_clear: The register names an active owner and an end that is to come.
*/
WITH judged AS (
    SELECT e.*, CASE
        WHEN e.owner IS NULL THEN 'has no owner'
        WHEN p.principal IS NOT NULL AND (NOT p.active OR p.left_at <= $as_of) THEN 'has an owner who has left'
        WHEN e.until IS NULL THEN 'has no end'
        WHEN e.until <= $as_of THEN 'is over since ' || strftime(e.until, '%Y-%m-%d')
        WHEN date_diff('second', COALESCE(e.given_at, CAST($as_of AS TIMESTAMPTZ)), e.until)
            > 86400 * $longest_days THEN 'is for longer than any should be'
        END AS what
    FROM exceptions e
    LEFT JOIN principals p ON p.principal = e.owner
)
SELECT
    exception_id AS subject,
    owner AS principal,
    COALESCE(resource, '') AS resource,
    'the exception for `' || COALESCE(resource || '/' || account, 'finding ' || finding, exception_id) || '` ' || what
        AS summary,
    account,
    role,
    finding,
    owner,
    until,
    reason
FROM judged
WHERE what IS NOT NULL
ORDER BY 1
