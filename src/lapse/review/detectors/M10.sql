/*
id: M10
version: "1"
step: 5
title: Quorum that cannot be met
question: Who may ask for something and could never get enough approvals?
severity: medium
confidence: fact
needs: [quorums]
optional: []
parameters: {}
clauses: [NIST 800-53 AC-3(2)]
remediation: Add people who may decide, ask for fewer approvals, or name owners and managers that are missing.
would_clear: As many active persons may decide as approvals are needed, without those who ask.
*/
SELECT
    q.offer || ' ' || q.entitlement AS subject,
    CAST(NULL AS VARCHAR) AS principal,
    q.resource,
    CAST(q.stuck AS VARCHAR) || ' of ' || CAST(q.candidates AS VARCHAR) || ' who may ask for `' || q.entitlement
        || '` can never get the ' || CAST(q.needed AS VARCHAR) || ' approvals of offer `' || q.offer || '`, such as `'
        || COALESCE(q.example, '') || '` (' || CAST(COALESCE(q.possible, 0) AS VARCHAR) || ' possible)' AS summary,
    q.offer,
    q.entitlement,
    q.needed,
    q.possible,
    q.candidates,
    q.stuck,
    q.policy_version
FROM quorums q
WHERE q.stuck > 0
ORDER BY 1
