/*
id: L10
version: "1"
step: 4
title: Extension chain
question: Who held the same thing without a break for longer than the cap, by extending or asking again?
severity: high
confidence: fact
needs: [grants, requests]
optional: []
parameters:
  cap_hours: {default: 24, doc: cap where the request's terms name none}
  gap_minutes: {default: 1, doc: a break of at most this long is none}
clauses: [NIST 800-53 AC-2(2), ISO 27001 A.5.18]
remediation: Ask whether this is a standing need; put it on the register with an owner and an end, or cap it in the policy.
would_clear: There was a real break, or the terms of the requests allow the whole length.
*/
WITH held AS (
    SELECT grant_id, beneficiary, entitlement, resource, request_id, activated_at,
        LEAST(COALESCE(end_due_at, CAST($as_of AS TIMESTAMPTZ)), COALESCE(ended_at, CAST($as_of AS TIMESTAMPTZ)))
            AS until_at
    FROM grants
    WHERE activated_at IS NOT NULL
),
edges AS (
    SELECT *,
        max(until_at) OVER (PARTITION BY beneficiary, entitlement ORDER BY activated_at, grant_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS held_to,
        lead(activated_at) OVER (PARTITION BY beneficiary, entitlement ORDER BY activated_at, grant_id) AS next_at
    FROM held
),
touching AS (
    SELECT *,
        CASE WHEN held_to IS NOT NULL AND date_diff('second', held_to, activated_at) <= 60 * $gap_minutes
            THEN 0 ELSE 1 END AS begins
    FROM edges
    WHERE date_diff('second', held_to, activated_at) <= 60 * $gap_minutes
        OR date_diff('second', GREATEST(until_at, COALESCE(held_to, until_at)), next_at) <= 60 * $gap_minutes
),
numbered AS (
    SELECT *,
        sum(begins) OVER (PARTITION BY beneficiary, entitlement ORDER BY activated_at, grant_id) AS chain
    FROM touching
),
chains AS (
    SELECT n.beneficiary, n.entitlement, n.resource,
        min(n.activated_at) AS from_at,
        max(n.until_at) AS to_at,
        count(*) AS grants,
        string_agg(n.grant_id, ';' ORDER BY n.activated_at) AS grant_ids,
        COALESCE(max(r.max_total_s), 3600 * $cap_hours) AS cap_s
    FROM numbered n
    LEFT JOIN requests r ON r.request_id = n.request_id
    GROUP BY n.beneficiary, n.entitlement, n.resource, n.chain
)
SELECT
    beneficiary || ' ' || entitlement || ' ' || strftime(from_at, '%Y-%m-%dT%H:%M:%SZ') AS subject,
    beneficiary AS principal,
    resource,
    '`' || beneficiary || '` held `' || entitlement || '` for '
        || CAST(date_diff('minute', from_at, to_at) AS VARCHAR) || ' min without a break, cap '
        || CAST(cap_s // 60 AS VARCHAR) || ' min' AS summary,
    grants,
    from_at,
    to_at,
    cap_s,
    grant_ids
FROM chains
WHERE grants > 1
    AND to_at >= $period_start
    AND from_at < $period_end
    AND date_diff('second', from_at, to_at) > cap_s + 60 * $gap_minutes
ORDER BY 1
