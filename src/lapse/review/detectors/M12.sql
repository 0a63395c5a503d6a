/*
id: M12
version: "1"
step: 1
title: Unreconciled source
question: Which targets were not read completely for some time?
severity: high
confidence: fact
needs: [resources, target_reads]
optional: []
parameters:
  within_hours: {default: 24, doc: a complete read must not be older than this}
clauses: [completeness of population]
remediation: Let `lapse target check` say which right is missing, give it, and read the target again.
would_clear: A complete read of the target.
*/
SELECT
    r.resource AS subject,
    CAST(NULL AS VARCHAR) AS principal,
    r.resource,
    '`' || r.resource || '` was '
        || COALESCE('last read completely on ' || strftime(max(CASE WHEN t.complete THEN t.finished_at END),
            '%Y-%m-%d %H:%M'), 'never read completely') AS summary,
    max(CASE WHEN t.complete THEN t.finished_at END) AS last_complete_at,
    max(t.finished_at) AS last_read_at,
    max(t.gaps) AS gaps
FROM resources r
LEFT JOIN target_reads t ON t.resource = r.resource
GROUP BY r.resource
HAVING max(CASE WHEN t.complete THEN t.finished_at END) IS NULL
    OR date_diff('second', max(CASE WHEN t.complete THEN t.finished_at END), CAST($as_of AS TIMESTAMPTZ))
        > 3600 * $within_hours
ORDER BY 1
