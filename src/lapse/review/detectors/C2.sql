/*
id: C2
version: "1"
step: 4
title: Reciprocity
question: Which two people approve each other far more often than chance would have it?
severity: medium
confidence: advice
needs: [requests, decisions]
optional: [principals]
parameters:
  fewest: {default: 5, doc: approvals in each direction}
  times_chance: {default: 3, doc: how many times more often than if approvers were spread evenly}
clauses: [NIST 800-53 AC-5]
remediation: Have others decide on these for a while; spread approvals over the set.
would_clear: The pair is the whole set of approvers, which is then the thing to change.
*/
WITH votes AS (
    SELECT DISTINCT d.request_id, COALESCE(a.person, d.person) AS approver, COALESCE(b.person, r.beneficiary) AS holder
    FROM decisions d
    JOIN requests r ON r.request_id = d.request_id
    LEFT JOIN principals a ON a.principal = d.person
    LEFT JOIN principals b ON b.principal = r.beneficiary
    WHERE d.verdict = 'approve' AND d.decided_at >= $period_start AND d.decided_at < $period_end
),
pairs AS (
    SELECT approver, holder, count(*) AS n FROM votes WHERE approver <> holder GROUP BY approver, holder
),
total AS (
    SELECT sum(n) AS n FROM pairs
),
given AS (
    SELECT approver, sum(n) AS n FROM pairs GROUP BY approver
),
got AS (
    SELECT holder, sum(n) AS n FROM pairs GROUP BY holder
),
lifted AS (
    SELECT p.approver, p.holder, p.n,
        CAST(p.n AS DOUBLE) * CAST(t.n AS DOUBLE) / (CAST(g.n AS DOUBLE) * CAST(h.n AS DOUBLE)) AS lift
    FROM pairs p
    JOIN given g ON g.approver = p.approver
    JOIN got h ON h.holder = p.holder
    CROSS JOIN total t
)
SELECT
    a.approver || ' and ' || a.holder AS subject,
    CAST(NULL AS VARCHAR) AS principal,
    '' AS resource,
    '`' || a.approver || '` approved `' || a.holder || '` ' || CAST(a.n AS VARCHAR) || ' times and was approved '
        || CAST(b.n AS VARCHAR) || ' times in return, far above chance' AS summary,
    a.n AS approved,
    b.n AS in_return,
    round(a.lift, 1) AS times_chance,
    round(b.lift, 1) AS times_chance_in_return
FROM lifted a
JOIN lifted b ON b.approver = a.holder AND b.holder = a.approver
WHERE a.approver < a.holder
    AND a.n >= $fewest AND b.n >= $fewest
    AND a.lift >= $times_chance AND b.lift >= $times_chance
ORDER BY 1
