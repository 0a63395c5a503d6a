/*
id: L9
version: "1"
step: 4
title: Credential outlives grant
question: Which secrets, keys or certificates of a grant work longer than the grant?
severity: high
confidence: fact
needs: [credentials, grants]
optional: []
parameters:
  tolerance_seconds: {default: 60, doc: a credential may be valid so much longer}
clauses: [NIST 800-53 IA-5, PCI DSS 8.6]
remediation: Revoke the credential; issue it with the grant's own end.
would_clear: The credential was revoked, or the target refuses it, by the grant's end.
*/
WITH ends AS (
    SELECT c.credential_id, c.kind, c.account, c.last_used, g.grant_id, g.beneficiary, g.entitlement, g.resource,
        LEAST(COALESCE(g.end_due_at, g.ended_at), COALESCE(g.ended_at, g.end_due_at)) AS over_at,
        LEAST(COALESCE(c.valid_until, c.revoked_at), COALESCE(c.revoked_at, c.valid_until)) AS valid_to
    FROM credentials c
    JOIN grants g ON g.grant_id = c.grant_id
)
SELECT
    credential_id AS subject,
    beneficiary AS principal,
    resource,
    'the ' || kind || ' for `' || entitlement || '` of `' || beneficiary || '` works '
        || CASE WHEN valid_to IS NULL THEN 'for ever'
            ELSE CAST(date_diff('minute', over_at, valid_to) AS VARCHAR) || ' min longer than the grant' END AS summary,
    CASE WHEN last_used > over_at THEN 'critical' ELSE 'high' END AS severity,
    grant_id,
    account,
    kind,
    over_at,
    valid_to,
    last_used
FROM ends
WHERE over_at IS NOT NULL
    AND over_at >= $period_start
    AND over_at < $period_end
    AND (valid_to IS NULL OR date_diff('second', over_at, valid_to) > $tolerance_seconds)
ORDER BY 1
