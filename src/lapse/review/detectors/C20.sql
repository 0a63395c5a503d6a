/*
id: C20
version: "1"
step: 6
title: Undecided or defaulted
question: Which reviews were closed with items that nobody decided?
severity: high
confidence: fact
needs: [review_decisions, reviews]
optional: []
parameters: {}
clauses: [PCI DSS 7.2.4]
remediation: Decide them now; give reviews fewer, better items and a fallback reviewer.
would_clear: A person decided each item.
*/
WITH closed AS (
    SELECT review_id, max(sealed_at) AS sealed_at FROM reviews WHERE sealed_at IS NOT NULL GROUP BY review_id
),
left_open AS (
    SELECT i.review_id, i.item_id, i.resource, i.account, i.role, i.decision, c.sealed_at,
        CASE WHEN COALESCE(i.by_default, FALSE) THEN 1 ELSE 0 END AS defaulted
    FROM review_decisions i
    JOIN closed c ON c.review_id = i.review_id
    WHERE (COALESCE(i.by_default, FALSE) OR i.decision = 'undecided')
        AND c.sealed_at >= $period_start AND c.sealed_at < $period_end
),
counted AS (
    SELECT *, count(*) OVER (PARTITION BY review_id) AS items, sum(defaulted) OVER (PARTITION BY review_id) AS defaults,
        row_number() OVER (PARTITION BY review_id ORDER BY item_id) AS place
    FROM left_open
)
SELECT
    review_id AS subject,
    CAST(NULL AS VARCHAR) AS principal,
    '' AS resource,
    'review `' || review_id || '` was closed with ' || CAST(items AS VARCHAR) || ' items that nobody decided, '
        || CAST(defaults AS VARCHAR) || ' of them by default' AS summary,
    item_id,
    account,
    role,
    decision,
    sealed_at
FROM counted
WHERE place <= 20
ORDER BY 1, place
