/*
id: C12
version: "1"
step: 4
title: Break-glass habit
question: Who uses emergency access again and again with no incident behind it?
severity: high
confidence: fact
needs: [requests]
optional: [tickets]
parameters:
  most: {default: 2, doc: emergencies in the period that are no habit}
  percent: {default: 50, doc: share of them with no open incident behind from which it is found}
clauses: [NIST 800-53 AC-3(10)]
remediation: Make an ordinary offer for what they do; keep break-glass for emergencies.
would_clear: The tickets of the incidents are supplied as evidence.
*/
WITH emergencies AS (
    SELECT r.request_id, r.beneficiary, r.resource, r.created_at,
        CASE WHEN EXISTS (
            SELECT 1 FROM tickets t
            WHERE t.ticket = r.ticket AND t.found AND t.kind = 'incident'
                AND COALESCE(t.opened_at, r.created_at) <= r.created_at
                AND COALESCE(t.closed_at, r.created_at) >= r.created_at
        ) THEN 1 ELSE 0 END AS founded
    FROM requests r
    WHERE COALESCE(r.break_glass, FALSE) AND r.created_at >= $period_start AND r.created_at < $period_end
),
sums AS (
    SELECT beneficiary, count(*) AS number, count(*) - sum(founded) AS unfounded, min(created_at) AS first_at,
        max(created_at) AS last_at, string_agg(DISTINCT resource, ';' ORDER BY resource) AS resources
    FROM emergencies
    GROUP BY beneficiary
)
SELECT
    beneficiary AS subject,
    beneficiary AS principal,
    '' AS resource,
    '`' || beneficiary || '` used break-glass ' || CAST(number AS VARCHAR) || ' times, '
        || CAST(unfounded AS VARCHAR) || ' of them without an incident behind' AS summary,
    number,
    unfounded,
    resources,
    first_at,
    last_at
FROM sums
WHERE number > $most AND 100 * unfounded >= $percent * number
ORDER BY 1
