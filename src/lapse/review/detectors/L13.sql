/*
id: L13
version: "1"
step: 4
title: Over-frequent activation
question: Who activates so often in a short time that it looks like a script?
severity: medium
confidence: advice
needs: [grants]
optional: []
parameters:
  most: {default: 10, doc: more activations than this within the window are found}
  hours: {default: 24, doc: length of the window}
clauses: [NIST 800-53 AC-2(12)]
remediation: Ask what asks; a service deserves an identity of its own.
would_clear: There were fewer activations within any window of this length.
*/
WITH activations AS (
    SELECT beneficiary, entitlement, resource, activated_at,
        row_number() OVER (PARTITION BY beneficiary, entitlement ORDER BY activated_at, grant_id) AS place
    FROM grants
    WHERE activated_at >= $period_start AND activated_at < $period_end
),
bursts AS (
    SELECT a.beneficiary, a.entitlement, a.resource, a.activated_at AS from_at, b.activated_at AS to_at
    FROM activations a
    JOIN activations b ON b.beneficiary = a.beneficiary AND b.entitlement = a.entitlement
        AND b.place = a.place + $most
    WHERE date_diff('second', a.activated_at, b.activated_at) < 3600 * $hours
),
firsts AS (
    SELECT *, count(*) OVER (PARTITION BY beneficiary, entitlement) AS windows,
        row_number() OVER (PARTITION BY beneficiary, entitlement ORDER BY from_at, to_at) AS place
    FROM bursts
)
SELECT
    beneficiary || ' ' || entitlement AS subject,
    beneficiary AS principal,
    resource,
    '`' || beneficiary || '` activated `' || entitlement || '` ' || CAST($most + 1 AS VARCHAR) || ' times in '
        || CAST(date_diff('minute', from_at, to_at) AS VARCHAR) || ' min' AS summary,
    from_at,
    to_at,
    windows
FROM firsts
WHERE place = 1
ORDER BY 1
