/*
id: C24
version: "1"
step: 6
title: Ledger break
question: Is the record itself whole?
severity: critical
confidence: fact
needs: [ledger_checks]
optional: [ledger_entries]
parameters: {}
clauses: [NIST 800-53 AU-9(3), NIST 800-53 AU-10]
remediation: Keep the database as it is, restore a copy from before the break, and find out who could write to it.
would_clear: Verification passes against a checkpoint that somebody else kept.
*/
WITH gaps AS (
    SELECT seq, lag(seq) OVER (ORDER BY seq) AS before FROM ledger_entries
)
SELECT
    'check ' || check_name AS subject,
    CAST(NULL AS VARCHAR) AS principal,
    CAST(NULL AS VARCHAR) AS resource,
    'the ledger fails the check `' || check_name || '`'
        || COALESCE(', first broken entry ' || CAST(first_bad AS VARCHAR), '') || COALESCE(': ' || detail, '') AS summary,
    check_name,
    first_bad,
    entries,
    detail,
    checked_at
FROM ledger_checks
WHERE NOT ok
UNION ALL
SELECT
    'entry ' || CAST(seq AS VARCHAR),
    NULL,
    NULL,
    'the ledger has no entries between ' || CAST(before AS VARCHAR) || ' and ' || CAST(seq AS VARCHAR),
    'sequence',
    before + 1,
    NULL,
    NULL,
    NULL
FROM gaps
WHERE before IS NOT NULL AND seq <> before + 1
ORDER BY 1
