/*
id: M9
version: "1"
step: 5
title: Unapproved path to a sensitive tier
question: Which sensitive entitlements can somebody get with nobody deciding, before or after?
severity: critical
confidence: fact
needs: [approval_paths]
optional: []
parameters:
  all_tiers: {default: 0, doc: "1 reports every entitlement; else those tagged env=prod, data, pii, tier or sensitive, and roles of administrators"}
clauses: [NIST 800-53 AC-2e, PCI DSS 7.2.3]
remediation: Let somebody approve it, or demand approval of everything in the tier with a limit.
would_clear: No request for the entitlement is given without anybody's approval.
*/
SELECT
    p.entitlement AS subject,
    CAST(NULL AS VARCHAR) AS principal,
    p.resource,
    'offer `' || COALESCE(p.offer, '') || '` gives `' || p.entitlement || '` and nobody decides: '
        || COALESCE(p.detail, '') AS summary,
    p.entitlement,
    p.offer,
    p.tags,
    p.policy_version
FROM approval_paths p
WHERE p.unattended = TRUE
    AND ($all_tiers = 1
        OR ';' || COALESCE(p.tags, '') || ';' LIKE '%;env=prod%'
        OR ';' || COALESCE(p.tags, '') || ';' LIKE '%;data=%'
        OR ';' || COALESCE(p.tags, '') || ';' LIKE '%;pii=%'
        OR ';' || COALESCE(p.tags, '') || ';' LIKE '%;tier=%'
        OR ';' || COALESCE(p.tags, '') || ';' LIKE '%;sensitive=%'
        OR p.role LIKE '%admin%'
        OR p.role IN ('owner', 'root', 'superuser'))
ORDER BY 1
