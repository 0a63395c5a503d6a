/*
id: M8
version: "1"
step: 5
title: Unbounded duration
question: Which offers give access without an end, or with one beyond the cap?
severity: high
confidence: fact
needs: [offers]
optional: []
parameters:
  longest_hours: {default: 24, doc: longest grant that an offer should give}
  longest_total_hours: {default: 168, doc: longest time with extensions that an offer should give}
clauses: [NIST 800-53 AC-2(2)]
remediation: Lower `max_duration` or `max_total` of the offer, or add a limit.
would_clear: No input to the policy yields an end beyond the cap.
*/
SELECT
    o.offer || ' ' || o.entitlement AS subject,
    CAST(NULL AS VARCHAR) AS principal,
    o.resource,
    'offer `' || o.offer || '` gives `' || o.entitlement || '` for '
        || CASE
            WHEN o.max_duration_s IS NULL THEN 'ever'
            WHEN o.max_duration_s > 3600 * $longest_hours
                THEN CAST(o.max_duration_s // 3600 AS VARCHAR) || ' h at once'
            WHEN o.max_total_s IS NULL THEN 'ever with extensions'
            ELSE CAST(o.max_total_s // 3600 AS VARCHAR) || ' h with extensions'
        END AS summary,
    o.offer,
    o.entitlement,
    o.max_duration_s,
    o.max_total_s,
    o.policy_version
FROM offers o
WHERE o.max_duration_s IS NULL
    OR o.max_duration_s > 3600 * $longest_hours
    OR o.max_total_s IS NULL
    OR o.max_total_s > 3600 * $longest_total_hours
ORDER BY 1
