/*
id: M14
version: "1"
step: 6
title: Clock or causality fault
question: Does anything in the record happen before what it follows from, or later than now?
severity: medium
confidence: fact
needs: [requests]
optional: [decisions, grants, usage, ledger_entries]
parameters:
  tolerance_seconds: {default: 5, doc: clocks may differ by so much}
clauses: [NIST 800-53 AU-12(1), PCI DSS 10.6]
remediation: Set the clocks right (NTP), and treat order within that window as unknown.
would_clear: The times are corrected at their source, with the reason on record.
*/
WITH faults AS (
    SELECT 'decision ' || d.decision_id AS subject, d.person AS principal, r.resource,
        'decided before it was asked' AS what, d.decided_at AS seen_at, r.created_at AS other_at, 1 AS number
    FROM decisions d
    JOIN requests r ON r.request_id = d.request_id
    WHERE date_diff('second', d.decided_at, r.created_at) > $tolerance_seconds
    UNION ALL
    SELECT 'grant ' || g.grant_id, g.beneficiary, g.resource, 'active before it was asked for', g.activated_at,
        r.created_at, 1
    FROM grants g
    JOIN requests r ON r.request_id = g.request_id
    WHERE date_diff('second', g.activated_at, r.created_at) > $tolerance_seconds
    UNION ALL
    SELECT 'grant ' || grant_id, beneficiary, resource, 'ended before it was active', ended_at, activated_at, 1
    FROM grants
    WHERE date_diff('second', ended_at, activated_at) > $tolerance_seconds
    UNION ALL
    SELECT 'use of ' || resource, NULL, resource, 'use that ended before it began', min(ended_at), min(started_at),
        count(*)
    FROM usage_backwards
    WHERE date_diff('second', ended_at, started_at) > $tolerance_seconds
    GROUP BY resource
    UNION ALL
    SELECT 'use of ' || resource, NULL, resource, 'use later than the evidence was read', max(started_at),
        CAST($as_of AS TIMESTAMPTZ), count(*)
    FROM usage
    WHERE started_at > $as_of AND date_diff('second', CAST($as_of AS TIMESTAMPTZ), started_at) > $tolerance_seconds
    GROUP BY resource
    UNION ALL
    SELECT 'ledger entry ' || CAST(seq AS VARCHAR), NULL, '', 'earlier than the entry before it', happened_at,
        before_at, 1
    FROM (
        SELECT seq, happened_at, lag(happened_at) OVER (ORDER BY seq) AS before_at FROM ledger_entries
    ) l
    WHERE date_diff('second', happened_at, before_at) > $tolerance_seconds
)
SELECT
    f.subject,
    f.principal,
    f.resource,
    f.subject || ': ' || f.what
        || CASE WHEN f.number > 1 THEN ' (' || CAST(f.number AS VARCHAR) || ' times)' ELSE '' END AS summary,
    f.what,
    f.seen_at,
    f.other_at,
    f.number
FROM faults f
ORDER BY 1, f.what
