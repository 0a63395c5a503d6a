/*
id: L5
version: "1"
step: 4
title: Late revocation
question: Which grants were seen to end later than promised, beyond the objective?
severity: high
confidence: fact
needs: [grants]
optional: []
parameters:
  objective_seconds: {default: 60, doc: an end this much later than promised is on time}
clauses: [NIST 800-53 AC-2(2), NIST 800-53 AC-3(8)]
remediation: Find out what held the removal up (target down, enforcer stopped), and what was done in the time between.
would_clear: The target is shown to have refused within the objective.
*/
SELECT
    grant_id AS subject,
    beneficiary AS principal,
    resource,
    '`' || entitlement || '` of `' || beneficiary || '` ended '
        || CAST(date_diff('second', end_due_at, ended_at) AS VARCHAR) || ' s after it had to' AS summary,
    grant_id,
    account,
    entitlement,
    end_reason,
    end_due_at,
    ended_at,
    date_diff('millisecond', end_due_at, ended_at) AS lag_ms,
    last_error
FROM grants
WHERE activated_at IS NOT NULL
    AND ended_at >= $period_start
    AND ended_at < $period_end
    AND date_diff('millisecond', end_due_at, ended_at) > 1000 * $objective_seconds
ORDER BY lag_ms DESC, 1
