/*
id: C4
version: "1"
step: 4
title: Rubber stamp
question: Who decides within seconds, nearly always yes, without opening the evidence?
severity: medium
confidence: advice
needs: [requests, decisions]
optional: []
parameters:
  fewest: {default: 20, doc: with fewer decisions it is no habit}
  yes_percent: {default: 97, doc: share of approvals}
  fast_seconds: {default: 30, doc: a decision within this time cannot have been thought about}
  fast_percent: {default: 50, doc: share of such decisions}
clauses: [NIST 800-53 AC-6(7)(a)]
remediation: Ask for a second approver or fewer, better questions; auto-approve what needs no human.
would_clear: The approver opened the evidence of most requests before deciding.
*/
WITH waits AS (
    SELECT d.person, d.decision_id, d.verdict, d.evidence_opened,
        date_diff('millisecond', r.created_at, d.decided_at) AS wait_ms
    FROM decisions d
    JOIN requests r ON r.request_id = d.request_id
    WHERE d.decided_at >= $period_start AND d.decided_at < $period_end
),
sums AS (
    SELECT person, count(*) AS decisions,
        sum(CASE WHEN verdict = 'approve' THEN 1 ELSE 0 END) AS yes,
        sum(CASE WHEN wait_ms < 1000 * $fast_seconds THEN 1 ELSE 0 END) AS fast,
        sum(CASE WHEN evidence_opened THEN 1 ELSE 0 END) AS opened,
        sum(CASE WHEN evidence_opened IS NULL THEN 0 ELSE 1 END) AS recorded
    FROM waits
    GROUP BY person
)
SELECT
    person AS subject,
    person AS principal,
    '' AS resource,
    '`' || person || '` said yes to ' || CAST(yes AS VARCHAR) || ' of ' || CAST(decisions AS VARCHAR) || ' requests, to '
        || CAST(fast AS VARCHAR) || ' of them within ' || CAST($fast_seconds AS VARCHAR) || ' s' AS summary,
    decisions,
    yes,
    fast,
    CASE WHEN recorded > 0 THEN opened END AS opened
FROM sums
WHERE decisions >= $fewest
    AND 100 * yes >= $yes_percent * decisions
    AND 100 * fast >= $fast_percent * decisions
    AND 2 * opened <= recorded
ORDER BY 1
