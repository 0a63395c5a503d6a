/*
id: C16
version: "1"
step: 3
title: Empty purpose
question: Which justifications say nothing?
severity: low
confidence: advice
needs: [requests]
optional: []
parameters:
  shortest_characters: {default: 8, doc: a justification with fewer characters says nothing}
clauses: [NIST 800-53 AC-2i]
remediation: Ask for a ticket or a minimum length in the offer; talk to the people who type a dot.
would_clear: The request names a ticket, or a justification of some length.
*/
SELECT
    request_id AS subject,
    requester AS principal,
    resource,
    '`' || requester || '` asked for `' || entitlement || '` because: `' || COALESCE(justification, '') || '`' AS summary,
    justification,
    created_at,
    state
FROM requests
WHERE created_at >= $period_start
    AND created_at < $period_end
    AND ticket IS NULL
    AND length(trim(COALESCE(justification, ''))) < $shortest_characters
ORDER BY 1
