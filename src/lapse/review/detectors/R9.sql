/*
id: R9
version: "2"
step: 2
title: Orphan workload
question: Which services and agents act with nobody left who answers for them?
severity: high
confidence: fact
needs: [principals]
optional: [people_events, accounts]
parameters: {}
clauses: [PCI DSS 7.2.5.1, FedRAMP KSI-IAM-JIT]
remediation: Give it an owner who works here, or switch it off.
would_clear: The catalog names an active person as owner or sponsor.
*/
WITH gone AS (
    SELECT principal FROM people_events
    WHERE happened_at <= $as_of
    GROUP BY principal
    HAVING max(CASE WHEN event = 'left' THEN happened_at END)
        >= max(CASE WHEN event = 'joined' THEN happened_at ELSE CAST('1900-01-01T00:00:00Z' AS TIMESTAMPTZ) END)
    UNION
    SELECT principal FROM principals WHERE NOT active OR left_at <= $as_of
),
known AS (
    SELECT principal, string_agg(DISTINCT resource, ';' ORDER BY resource) AS resources
    FROM accounts WHERE principal IS NOT NULL GROUP BY principal
),
workloads AS (
    SELECT w.principal, w.kind, CASE WHEN w.kind = 'agent' THEN COALESCE(w.sponsor, w.owner) ELSE w.owner END AS owner
    FROM principals w
    WHERE w.kind IN ('service', 'agent') AND w.active
)
SELECT
    w.principal AS subject,
    w.principal,
    '' AS resource,
    w.kind || ' `' || w.principal || '` ' || CASE
        WHEN w.owner IS NULL THEN 'has nobody who answers for it'
        ELSE 'belongs to `' || w.owner || '`, who has left' END AS summary,
    w.kind,
    w.owner,
    k.resources
FROM workloads w
LEFT JOIN known k ON k.principal = w.principal
WHERE w.owner IS NULL OR w.owner IN (SELECT principal FROM gone)
ORDER BY 1
