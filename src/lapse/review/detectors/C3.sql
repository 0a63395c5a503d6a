/*
id: C3
version: "1"
step: 4
title: Approval ring
question: Do three or four people approve in a circle, each getting most of their approvals from the next?
severity: medium
confidence: advice
needs: [requests, decisions]
optional: [principals]
parameters:
  fewest: {default: 3, doc: approvals on each step of the circle}
  percent: {default: 50, doc: share of a member's approvals that comes from the one before}
clauses: [NIST 800-53 AC-5]
remediation: Let people outside of the circle decide on its members.
would_clear: The circle is the whole set of approvers, which is then the thing to change.
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
got AS (
    SELECT holder, sum(n) AS n FROM pairs GROUP BY holder
),
steps AS (
    SELECT p.approver, p.holder, p.n
    FROM pairs p
    JOIN got g ON g.holder = p.holder
    WHERE p.n >= $fewest AND 100 * p.n >= $percent * g.n
),
rings AS (
    SELECT a.approver || ' > ' || b.approver || ' > ' || c.approver AS ring, a.n + b.n + c.n AS n
    FROM steps a
    JOIN steps b ON b.approver = a.holder
    JOIN steps c ON c.approver = b.holder AND c.holder = a.approver
    WHERE a.approver < b.approver AND a.approver < c.approver AND b.approver <> c.approver
    UNION ALL
    SELECT a.approver || ' > ' || b.approver || ' > ' || c.approver || ' > ' || d.approver, a.n + b.n + c.n + d.n
    FROM steps a
    JOIN steps b ON b.approver = a.holder
    JOIN steps c ON c.approver = b.holder AND c.holder <> a.approver
    JOIN steps d ON d.approver = c.holder AND d.holder = a.approver
    WHERE a.approver < b.approver AND a.approver < c.approver AND a.approver < d.approver
        AND b.approver <> c.approver AND b.approver <> d.approver AND c.approver <> d.approver
)
SELECT
    ring AS subject,
    CAST(NULL AS VARCHAR) AS principal,
    '' AS resource,
    'approvals go in a circle: ' || ring || ', ' || CAST(n AS VARCHAR) || ' of them' AS summary,
    ring,
    n AS approvals
FROM rings
ORDER BY 1
