/*
id: R8
version: "2"
step: 3
title: Peer outlier
question: Who holds what few of their peers hold?
severity: low
confidence: advice
needs: [principals]
optional: [people_events]
one_of: [[grants, access_observed]]
parameters:
  fewest_peers: {default: 5, doc: smaller groups of the same department and title say nothing}
  most_percent: {default: 10, doc: share of the peers, the person included, up to which it is unusual}
clauses: [NIST 800-53 AC-6]
remediation: Ask whether it belongs to the job; if so, that is a reason to note.
would_clear: More peers hold it, or a reviewer kept it with a reason.
*/
WITH peers AS (
    SELECT principal, COALESCE(department, '') || ' / ' || COALESCE(title, '') AS team
    FROM principals
    WHERE kind = 'person' AND active AND alias_of IS NULL AND (department IS NOT NULL OR title IS NOT NULL)
),
moves AS (
    SELECT principal, max(happened_at) AS moved_at
    FROM people_events
    WHERE event IN ('moved', 'joined') AND COALESCE(field, '') <> 'manager' AND happened_at <= $as_of
    GROUP BY principal
),
held AS (
    SELECT g.beneficiary AS principal, g.resource, g.role
    FROM grants g
    LEFT JOIN moves m ON m.principal = g.beneficiary
    WHERE g.activated_at < $period_end AND COALESCE(g.ended_at, $as_of) >= $period_start
        AND COALESCE(g.ended_at, $as_of) >= COALESCE(m.moved_at, CAST($period_start AS TIMESTAMPTZ))
    UNION
    SELECT principal, resource, role FROM access_observed WHERE grant_id IS NULL AND principal IS NOT NULL
),
sizes AS (
    SELECT team, count(*) AS people FROM peers GROUP BY team
),
shares AS (
    SELECT p.team, h.resource, h.role, count(*) AS holders
    FROM held h
    JOIN peers p ON p.principal = h.principal
    GROUP BY p.team, h.resource, h.role
)
SELECT
    h.principal || ' ' || h.resource || '/' || h.role AS subject,
    h.principal,
    h.resource,
    '`' || h.principal || '` holds `' || h.resource || '/' || h.role || '` like ' || CAST(s.holders AS VARCHAR)
        || ' of ' || CAST(z.people AS VARCHAR) || ' in ' || p.team AS summary,
    h.role,
    p.team,
    s.holders,
    z.people
FROM held h
JOIN peers p ON p.principal = h.principal
JOIN sizes z ON z.team = p.team
JOIN shares s ON s.team = p.team AND s.resource = h.resource AND s.role = h.role
WHERE z.people >= $fewest_peers AND 100 * s.holders <= $most_percent * z.people
ORDER BY 1
