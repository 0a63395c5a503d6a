/*
id: C26
version: "1"
step: 5
title: Widening change
question: Which change of the policy permitted more, with no second person?
severity: high
confidence: fact
needs: [policy_changes]
optional: [principals]
parameters: {}
clauses: [NIST 800-53 AC-24, NIST 800-53 AC-3(2)]
remediation: Let a second person look at what it newly permits, or take it back.
would_clear: Another person's agreement is on record, or it permits nothing new.
*/
SELECT
    c.policy_version AS subject,
    c.proposed_by AS principal,
    '' AS resource,
    'policy ' || c.policy_version || CASE WHEN c.widens THEN ' permits more than the one before'
        ELSE ' may permit more than the one before' END || ', and no second person agreed' AS summary,
    CASE WHEN c.widens THEN 'high' ELSE 'medium' END AS severity,
    c.base,
    c.activated_at,
    c.proposed_by,
    c.approved_by,
    c.detail
FROM policy_changes c
LEFT JOIN principals a ON a.principal = c.proposed_by
LEFT JOIN principals b ON b.principal = c.approved_by
WHERE COALESCE(c.widens, TRUE)
    AND c.base IS NOT NULL
    AND c.activated_at >= $period_start
    AND c.activated_at < $period_end
    AND (c.approved_by IS NULL OR COALESCE(a.person, c.proposed_by) = COALESCE(b.person, c.approved_by))
ORDER BY 1
