/*
id: C25
version: "1"
step: 5
title: Policy drift
question: Is the policy that is used the one that was approved?
severity: critical
confidence: fact
needs: [live_policies, policies]
optional: []
parameters: {}
clauses: [NIST 800-53 CM-3]
remediation: Put the approved version back in force; find out who changed it.
would_clear: The version in use is the approved one, or the change was approved.
*/
SELECT
    l.place AS subject,
    CAST(NULL AS VARCHAR) AS principal,
    '' AS resource,
    CASE
        WHEN l.files_sha256 <> l.policy_version
            THEN '`' || l.place || '` uses files that are not policy ' || l.policy_version
        ELSE '`' || l.place || '` uses policy ' || l.policy_version || ', which is not the one in force' END AS summary,
    l.policy_version,
    l.files_sha256,
    l.seen_at
FROM live_policies l
WHERE l.files_sha256 <> l.policy_version
    OR NOT EXISTS (SELECT 1 FROM policies p WHERE p.policy_version = l.policy_version AND p.active)
ORDER BY 1
