/*
id: C21
version: "1"
step: 6
title: Decision not carried out
question: What was to be taken away by a review and is still there?
severity: critical
confidence: fact
needs: [review_decisions]
optional: []
one_of: [[access_observed, grants]]
parameters:
  hours: {default: 24, doc: time to carry it out where the review names none}
clauses: [NIST 800-53 AC-6(7)(b), NIS2 11.2.3]
remediation: Take it away now; find out why the removal did not arrive.
would_clear: The target was seen without it.
*/
WITH due AS (
    SELECT item_id, review_id, resource, account, role, principal, grant_id, decided_by, decided_at, outcome,
        carried_out_at
    FROM review_decisions
    WHERE decision = 'revoke'
        AND decided_at IS NOT NULL
        AND ((carry_out_by IS NOT NULL AND carry_out_by < $as_of)
            OR (carry_out_by IS NULL AND date_diff('second', decided_at, CAST($as_of AS TIMESTAMPTZ)) > 3600 * $hours))
)
SELECT
    d.item_id AS subject,
    d.principal,
    d.resource,
    '`' || d.account || '` still has `' || COALESCE(d.role, 'access') || '`, which review `' || d.review_id
        || '` took away on ' || strftime(d.decided_at, '%Y-%m-%d') AS summary,
    d.account,
    d.role,
    d.review_id,
    d.decided_by,
    d.decided_at,
    d.outcome
FROM due d
WHERE d.carried_out_at IS NULL
    AND (EXISTS (
        SELECT 1 FROM access_observed a
        WHERE a.resource = d.resource AND a.account = d.account AND (d.role IS NULL OR a.role = d.role)
            AND a.grant_id IS NULL AND a.observed_at > d.decided_at
    ) OR EXISTS (
        SELECT 1 FROM grants g
        WHERE g.grant_id = d.grant_id AND g.state IN ('activating', 'active', 'revoking', 'revoke_failed')
    ))
ORDER BY 1
