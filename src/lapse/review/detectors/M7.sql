/*
id: M7
version: "1"
step: 5
title: Dead or shadowed rule
question: Which rules of the policy in force never decide anything?
severity: low
confidence: fact
needs: [rule_effects]
optional: []
parameters: {}
clauses: [NIST 800-53 AC-24]
remediation: Remove the rule, or correct what it selects; people may believe that it protects something.
would_clear: A request is shown whose answer depends on the rule.
*/
SELECT
    e.kind || ' ' || e.rule AS subject,
    CAST(NULL AS VARCHAR) AS principal,
    CAST(NULL AS VARCHAR) AS resource,
    e.kind || ' `' || e.rule || '` never decides anything: ' || COALESCE(e.detail, 'no answer depends on it') AS summary,
    e.rule,
    e.kind,
    e.file,
    e.line,
    e.policy_version
FROM rule_effects e
WHERE e.decisive = FALSE
ORDER BY 1
