/*
id: M5
version: "1"
step: 2
title: Escalation path
question: Who can reach an administrator's power by steps that no list of members shows?
severity: critical
confidence: fact
needs: [admin_paths]
optional: [exceptions]
parameters:
  most_steps: {default: 10, doc: longer ways are left out}
clauses: [NIST 800-53 AC-6(1), NIST 800-53 AC-6(10)]
remediation: Cut the way at its weakest step, or make the first step an access that is asked for.
would_clear: One step of the way is gone, or the access is on the exception register with an owner and an end.
*/
SELECT
    p.resource || '/' || p.account || '/' || p.power AS subject,
    p.principal,
    p.resource,
    '`' || p.account || '` reaches ' || p.power || ' in ' || CAST(p.steps AS VARCHAR)
        || CASE WHEN p.steps = 1 THEN ' step: ' ELSE ' steps: ' END || p.path AS summary,
    p.account,
    p.power,
    p.steps,
    p.path,
    p.how,
    p.grant_id
FROM admin_paths p
WHERE p.steps > 0
    AND p.steps <= $most_steps
    AND NOT EXISTS (
        SELECT 1 FROM exceptions e
        WHERE e.resource = p.resource AND e.account = p.account AND e.role IS NULL AND e.finding IS NULL
            AND e.owner IS NOT NULL AND e.until > $as_of
    )
ORDER BY 1, p.steps
