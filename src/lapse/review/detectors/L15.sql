/*
id: L15
version: "1"
step: 4
title: Break-glass secret not rotated
question: Which secrets that break-glass made known were not changed afterwards?
severity: high
confidence: fact
needs: [credentials, grants]
optional: []
parameters:
  hours: {default: 24, doc: time to rotate after the access ended}
clauses: [NIST 800-53 IA-5, NIST 800-53 AC-2k]
remediation: Rotate the secret now, and let its rotation follow the end of break-glass by itself.
would_clear: A rotation after the end of the access is on record, or the secret no longer works.
*/
WITH uses AS (
    SELECT g.grant_id, g.beneficiary, g.resource, g.account, COALESCE(g.ended_at, g.end_due_at) AS over_at
    FROM grants g
    WHERE COALESCE(g.break_glass, FALSE) AND g.activated_at IS NOT NULL
),
known AS (
    SELECT c.credential_id, c.kind, c.rotated_at, c.issued_at, u.*,
        row_number() OVER (PARTITION BY c.credential_id ORDER BY u.over_at DESC, u.grant_id) AS place
    FROM credentials c
    JOIN uses u ON u.resource = c.resource AND (u.account = c.account OR u.grant_id = c.grant_id)
    WHERE u.over_at IS NOT NULL
        AND COALESCE(c.issued_at, u.over_at) <= u.over_at
        AND COALESCE(c.valid_until, CAST($as_of AS TIMESTAMPTZ)) > u.over_at
        AND COALESCE(c.revoked_at, CAST($as_of AS TIMESTAMPTZ)) > u.over_at
)
SELECT
    credential_id AS subject,
    beneficiary AS principal,
    resource,
    'the ' || kind || ' `' || credential_id || '` was known to `' || beneficiary
        || '` by break-glass and was not changed since' AS summary,
    grant_id,
    account,
    kind,
    over_at,
    rotated_at
FROM known
WHERE place = 1
    AND (rotated_at IS NULL OR rotated_at < over_at)
    AND date_diff('second', over_at, CAST($as_of AS TIMESTAMPTZ)) > 3600 * $hours
ORDER BY 1
