/*
id: C9
version: "1"
step: 4
title: Decision does not re-derive
question: Does any past decision come out differently when it is taken again under the recorded policy and context?
severity: critical
confidence: fact
needs: [rederivations]
optional: [requests]
parameters: {}
clauses: [NIST 800-53 AC-24, NIST 800-53 AU-10]
remediation: Find out whether the record or the decision is wrong; treat the grant as unapproved until then.
would_clear: The replay under the recorded policy and context gives the recorded outcome.
*/
SELECT
    d.request_id AS subject,
    r.beneficiary AS principal,
    r.resource,
    'request was recorded as ' || d.recorded || ' and re-derives as ' || d.derived
        || COALESCE(': ' || d.differences, '') AS summary,
    d.recorded,
    d.derived,
    d.policy_version,
    d.differences
FROM rederivations d
LEFT JOIN requests r ON r.request_id = d.request_id
WHERE d.outcome = 'different'
ORDER BY 1
