/*
id: C15
version: "1"
step: 3
title: Bad ticket
question: Which requests name a ticket that is missing, closed, somebody else's, or about something else?
severity: high
confidence: fact
needs: [requests, tickets]
optional: [principals]
parameters:
  tolerance_seconds: {default: 300, doc: a ticket may have been closed so shortly before}
clauses: [NIST 800-53 AC-2i, DORA RTS Art. 21]
remediation: Ask for the real reason; let requests be checked against the ticket system when they are made.
would_clear: The ticket system shows an open ticket about this resource, of this person, at that time.
*/
WITH named AS (
    SELECT r.request_id, r.requester, r.beneficiary, r.resource, r.entitlement, r.created_at, t.*,
        COALESCE(p.person, r.requester) AS human, COALESCE(q.person, r.beneficiary) AS holder
    FROM requests r
    JOIN tickets t ON t.ticket = r.ticket
    LEFT JOIN principals p ON p.principal = r.requester
    LEFT JOIN principals q ON q.principal = r.beneficiary
    WHERE r.created_at >= $period_start AND r.created_at < $period_end
),
judged AS (
    SELECT request_id, requester, ticket, created_at, opened_at, closed_at, status, looked_up_at, people, resources,
        entitlement,
        CASE
            WHEN NOT found THEN 'does not exist'
            WHEN date_diff('second', closed_at, created_at) > $tolerance_seconds THEN 'was closed before'
            WHEN status = 'closed' AND date_diff('second', created_at, looked_up_at) <= $tolerance_seconds
                THEN 'was closed then'
            WHEN date_diff('second', created_at, opened_at) > $tolerance_seconds THEN 'was opened only later'
            WHEN people IS NOT NULL
                AND strpos(';' || people || ';', ';' || requester || ';') = 0
                AND strpos(';' || people || ';', ';' || beneficiary || ';') = 0
                AND strpos(';' || people || ';', ';' || human || ';') = 0
                AND strpos(';' || people || ';', ';' || holder || ';') = 0 THEN 'is somebody else''s'
            WHEN resources IS NOT NULL AND strpos(';' || resources || ';', ';' || resource || ';') = 0
                THEN 'is about something else'
        END AS what
    FROM named
)
SELECT
    j.request_id AS subject,
    j.requester AS principal,
    r.resource,
    '`' || j.requester || '` asked for `' || j.entitlement || '` with ticket `' || j.ticket || '`, which ' || j.what
        AS summary,
    j.ticket,
    j.what,
    j.created_at,
    j.opened_at,
    j.closed_at,
    j.status,
    j.looked_up_at,
    j.people,
    j.resources
FROM judged j
JOIN requests r ON r.request_id = j.request_id
WHERE j.what IS NOT NULL
ORDER BY 1
