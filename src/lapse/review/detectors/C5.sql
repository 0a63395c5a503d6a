/*
id: C5
version: "1"
step: 4
title: Bulk decision
question: Did a reviewer decide many grave items in one act?
severity: medium
confidence: fact
needs: [review_decisions]
optional: []
parameters:
  most: {default: 10, doc: grave items in one act}
clauses: [PCI DSS 7.2.4]
remediation: Have a sample of these decided again, one by one, by somebody else.
would_clear: The items were one question (the same role on like resources), noted as such.
*/
WITH acts AS (
    SELECT review_id, decided_by, COALESCE(act, strftime(decided_at, '%Y-%m-%d %H:%M:%S')) AS act, count(*) AS items,
        min(decided_at) AS decided_at, count(DISTINCT resource) AS resources,
        sum(CASE WHEN decision = 'keep' THEN 1 ELSE 0 END) AS kept
    FROM review_decisions
    WHERE decided_by IS NOT NULL AND NOT COALESCE(by_default, FALSE) AND COALESCE(sensitive, TRUE)
        AND decided_at >= $period_start AND decided_at < $period_end
    GROUP BY review_id, decided_by, COALESCE(act, strftime(decided_at, '%Y-%m-%d %H:%M:%S'))
)
SELECT
    review_id || ' ' || decided_by || ' ' || act AS subject,
    decided_by AS principal,
    '' AS resource,
    '`' || decided_by || '` decided ' || CAST(items AS VARCHAR) || ' grave items of review `' || review_id
        || '` in one act' AS summary,
    review_id,
    act,
    items,
    kept,
    resources,
    decided_at
FROM acts
WHERE items > $most
ORDER BY 1
