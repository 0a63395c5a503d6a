/*
id: C2
version: "2"
step: 4
title: Reciprocity
question: Which two people approve each other far more often than chance would have it, among those who could?
severity: medium
confidence: advice
needs: [requests, decisions]
optional: [principals, approver_sets]
parameters:
  fewest: {default: 5, doc: approvals in each direction}
  times_chance: {default: 2, doc: how many times more often than the approver takes what others ask for}
  sigmas: {default: 3, doc: by how many standard deviations more often than chance}
clauses: [NIST 800-53 AC-5]
remediation: Have others decide on these for a while; spread approvals over the set.
would_clear: The pair is the whole set of approvers, which is then the thing to change.
*/
WITH votes AS (
    SELECT DISTINCT d.request_id, d.stage, COALESCE(a.person, d.person) AS approver,
        COALESCE(b.person, r.beneficiary) AS holder
    FROM decisions d
    JOIN requests r ON r.request_id = d.request_id
    LEFT JOIN principals a ON a.principal = d.person
    LEFT JOIN principals b ON b.principal = r.beneficiary
    WHERE d.verdict = 'approve' AND d.decided_at >= $period_start AND d.decided_at < $period_end
),
pairs AS (
    SELECT approver, holder, count(*) AS n FROM votes WHERE approver <> holder GROUP BY approver, holder
),
mutual AS (
    SELECT a.approver, a.holder, a.n
    FROM pairs a
    JOIN pairs b ON b.approver = a.holder AND b.holder = a.approver
    WHERE a.n >= $fewest AND b.n >= $fewest
),
able AS (
    SELECT v.request_id, v.stage, v.holder, COALESCE(p.person, s.person) AS person
    FROM (SELECT DISTINCT request_id, stage, holder FROM votes WHERE approver <> holder) v
    JOIN approver_sets s ON s.request_id = v.request_id AND s.stage = v.stage
    LEFT JOIN principals p ON p.principal = s.person
    WHERE COALESCE(p.person, s.person) <> v.holder
    GROUP BY v.request_id, v.stage, v.holder, COALESCE(p.person, s.person)
),
sizes AS (
    SELECT request_id, stage, count(*) AS people FROM able GROUP BY request_id, stage
),
given AS (
    SELECT approver, CAST(sum(n) AS DOUBLE) / CAST((SELECT sum(n) FROM pairs) AS DOUBLE) AS share
    FROM pairs GROUP BY approver
),
turns AS (
    SELECT a.person, a.holder, count(*) AS able,
        sum(CASE WHEN v.request_id IS NULL THEN 0 ELSE 1 END) AS taken
    FROM able a
    LEFT JOIN votes v ON v.request_id = a.request_id AND v.stage = a.stage AND v.approver = a.person
    GROUP BY a.person, a.holder
),
everybody AS (
    SELECT person, sum(able) AS able, sum(taken) AS taken FROM turns GROUP BY person
),
known AS (
    SELECT m.approver, m.holder, LEAST(1.0, CAST(e.taken - t.taken + 1 AS DOUBLE)
        / CAST(e.able - t.able + z.people AS DOUBLE)) AS chance
    FROM mutual m
    JOIN able a ON a.holder = m.holder AND a.person = m.approver
    JOIN sizes z ON z.request_id = a.request_id AND z.stage = a.stage
    JOIN turns t ON t.person = m.approver AND t.holder = m.holder
    JOIN everybody e ON e.person = m.approver
),
unknown AS (
    SELECT m.approver, m.holder, g.share AS chance
    FROM mutual m
    JOIN given g ON g.approver = m.approver
    JOIN votes v ON v.holder = m.holder AND v.approver <> v.holder
    LEFT JOIN sizes z ON z.request_id = v.request_id AND z.stage = v.stage
    WHERE z.people IS NULL
),
expected AS (
    SELECT approver, holder, sum(chance) AS n, sum(chance * (1 - chance)) AS variance
    FROM (SELECT * FROM known UNION ALL SELECT * FROM unknown) c
    GROUP BY approver, holder
),
lifted AS (
    SELECT m.approver, m.holder, m.n, CAST(m.n AS DOUBLE) / e.n AS lift
    FROM mutual m
    JOIN expected e ON e.approver = m.approver AND e.holder = m.holder
    WHERE e.n > 0
        AND CAST(m.n AS DOUBLE) >= $times_chance * e.n
        AND (CAST(m.n AS DOUBLE) - e.n) * (CAST(m.n AS DOUBLE) - e.n) >= $sigmas * $sigmas * e.variance
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
ORDER BY 1
