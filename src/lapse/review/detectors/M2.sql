/*
id: M2
version: "1"
step: 2
title: Wildcard role
question: Which roles give everything, or far more than their peers?
severity: high
confidence: fact
needs: [access_observed, accounts]
optional: [entitlements, object_privileges]
parameters:
  times_median: {default: 10, doc: this many times the rights of the median role on the same resource is far more}
  fewest_rights: {default: 50, doc: a role with fewer rights than this is never too wide}
  fewest_peers: {default: 3, doc: with fewer other roles there is no median to compare with}
clauses: [NIST 800-53 AC-6, PCI DSS 7.2.2]
remediation: Split the role by task, and offer the narrow ones.
would_clear: The role no longer has the power or the membership that makes it a wildcard, or is as narrow as its peers.
*/
WITH candidates AS (
    SELECT resource, native_role AS role FROM entitlements WHERE native_role IS NOT NULL
    UNION
    SELECT DISTINCT resource, role FROM access_observed
    WHERE holding = 'direct' AND substr(role, 1, 3) <> 'pg_' AND substr(account, 1, 3) <> 'pg_'
),
rights AS (
    SELECT c.resource, c.role,
        COALESCE(sum(length(o.privileges) - length(replace(o.privileges, ';', '')) + 1), 0) AS rights
    FROM candidates c
    LEFT JOIN object_privileges o ON o.resource = c.resource AND o.grantee = c.role
    GROUP BY c.resource, c.role
),
compared AS (
    SELECT r.resource, r.role, r.rights,
        (SELECT median(p.rights) FROM rights p WHERE p.resource = r.resource AND p.role <> r.role) AS median_rights,
        (SELECT count(*) FROM rights p WHERE p.resource = r.resource AND p.role <> r.role) AS peers
    FROM rights r
),
wide AS (
    SELECT c.resource, c.role, 'power' AS why, a.powers AS what
    FROM candidates c
    JOIN accounts a ON a.resource = c.resource AND a.account = c.role
    WHERE a.powers LIKE '%superuser%' OR a.powers LIKE '%bypassrls%'
    UNION
    SELECT c.resource, c.role, 'membership', a.role
    FROM candidates c
    JOIN access_observed a ON a.resource = c.resource AND a.account = c.role
    WHERE a.role IN ('pg_read_all_data', 'pg_write_all_data', 'pg_execute_server_program',
        'pg_write_server_files', 'pg_read_server_files')
    UNION
    SELECT resource, role, 'breadth',
        CAST(rights AS VARCHAR) || ' rights, median of peers ' || CAST(median_rights AS VARCHAR)
    FROM compared
    WHERE peers >= $fewest_peers
        AND rights >= $fewest_rights
        AND rights > $times_median * GREATEST(median_rights, 1)
)
SELECT
    resource || '/' || role AS subject,
    CAST(NULL AS VARCHAR) AS principal,
    resource,
    '`' || role || '` is a wildcard: ' || string_agg(what, ', ' ORDER BY why, what) AS summary,
    role,
    string_agg(why || ' ' || what, '; ' ORDER BY why, what) AS reasons
FROM wide
GROUP BY resource, role
ORDER BY 1
