/*
id: C23
version: "1"
step: 1
title: Population mismatch
question: Where do a source's own counts differ from what was read for the review?
severity: high
confidence: fact
needs: [reconciliations]
optional: []
parameters: {}
clauses: [completeness of population]
remediation: Collect again; if it stays, find out which rows the source does not give.
would_clear: Both counts agree.
*/
SELECT
    table_name AS subject,
    CAST(NULL AS VARCHAR) AS principal,
    '' AS resource,
    'table `' || table_name || '`: ' || COALESCE(detail, 'the counts do not agree') AS summary,
    rows_read,
    rows_counted,
    rows_rejected,
    source
FROM reconciliations
WHERE NOT matches
ORDER BY 1
