/*
id: L6
version: "1"
step: 4
title: Failed revocation
question: Which grants are past their end, and the target has not been seen to refuse?
severity: critical
confidence: fact
needs: [grants]
optional: [access_observed]
parameters:
  tolerance_seconds: {default: 60, doc: an end under way for at most this long is not a failure yet}
clauses: [NIST 800-53 AC-2(3)(a), SOC 2 CC6.3]
remediation: Remove the access on the target by hand now; then mend what keeps the enforcer from doing it.
would_clear: The target is read back and refuses.
*/
SELECT
    g.grant_id AS subject,
    g.beneficiary AS principal,
    g.resource,
    '`' || g.entitlement || '` of `' || g.beneficiary || '` had to end '
        || CAST(date_diff('second', g.end_due_at, CAST($as_of AS TIMESTAMPTZ)) AS VARCHAR)
        || ' s ago and has not been seen to be gone' AS summary,
    g.grant_id,
    g.account,
    g.native_role,
    g.state,
    g.end_due_at,
    g.attempts,
    g.last_error,
    EXISTS (
        SELECT 1 FROM access_observed a
        WHERE a.resource = g.resource AND a.account = g.account AND a.role = g.native_role
            AND a.observed_at > g.end_due_at
    ) AS seen_on_target
FROM grants g
WHERE g.state IN ('activating', 'active', 'revoking', 'revoke_failed')
    AND g.ended_at IS NULL
    AND date_diff('second', g.end_due_at, CAST($as_of AS TIMESTAMPTZ)) > $tolerance_seconds
ORDER BY 1
