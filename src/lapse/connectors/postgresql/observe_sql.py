"""The catalog queries of `observe`. Each gives rows in the shape of its observed value.

An access control list that is null means the built-in defaults, which are the owner's own rights and the usual ones
of PUBLIC; only what goes beyond them is a row. What belongs to the server itself is left out, unless somebody was
given a right on it later (`pg_init_privs` says what was there from the start).
"""

# ruff: noqa: S608  every part of these queries is a constant of this file

from __future__ import annotations

from textwrap import dedent

ROLES = dedent("""
    SELECT r.rolname::text, r.rolcanlogin, r.rolsuper, r.rolcreaterole, r.rolcreatedb, r.rolreplication,
           r.rolbypassrls,
           CASE WHEN isfinite(r.rolvaliduntil) AND r.rolvaliduntil < '9999-01-01'
                THEN greatest(r.rolvaliduntil, '1970-01-01') END,
           r.rolvaliduntil = '-infinity', coalesce(s.sessions, 0), s.last_activity
    FROM pg_roles r LEFT JOIN (
        SELECT usesysid, count(*)::int AS sessions, max(greatest(backend_start, state_change)) AS last_activity
        FROM pg_stat_get_activity(NULL) WHERE usesysid IS NOT NULL GROUP BY usesysid
    ) s ON s.usesysid = r.oid
    WHERE NOT (r.oid < 16384 AND r.rolname ~ '^pg_') ORDER BY 1
""")

_MEMBERSHIPS = dedent("""
    SELECT m.rolname::text, r.rolname::text, coalesce(g.rolname::text, ''), am.admin_option, {options},
           m.oid < 16384 AND m.rolname ~ '^pg_'
    FROM pg_auth_members am JOIN pg_roles m ON m.oid = am.member JOIN pg_roles r ON r.oid = am.roleid
    LEFT JOIN pg_roles g ON g.oid = am.grantor ORDER BY 1, 2, 3
""")
MEMBERSHIPS_BY_OPTION = _MEMBERSHIPS.format(options="am.inherit_option, am.set_option")
MEMBERSHIPS_BY_ROLE = _MEMBERSHIPS.format(options="m.rolinherit, true")

DATABASES = dedent("""
    SELECT datname::text, datallowconn, has_database_privilege(oid, 'CONNECT') FROM pg_database ORDER BY 1
""")

_GRANTEE = "CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee)::text END"
_RIGHTS = f"""
    SELECT {_GRANTEE} AS grantee, o.kind, o.name, array_agg(DISTINCT a.privilege_type::text) AS rights,
           pg_get_userbyid(a.grantor)::text AS grantor, a.is_grantable AS grantable, false AS owner
    FROM o, aclexplode(o.acl) a
    WHERE a.grantee <> o.owner AND NOT (a.grantee = 0 AND a.privilege_type = ANY (o.usual))
      AND NOT EXISTS (SELECT 1 FROM pg_init_privs i, aclexplode(i.initprivs) was
                      WHERE i.objoid = o.oid AND i.classoid = o.class AND i.objsubid = o.sub
                        AND was.grantee = a.grantee AND was.privilege_type = a.privilege_type
                        AND (o.system OR a.grantee = 0) AND NOT (o.kind = 'schema' AND was.privilege_type = 'CREATE'))
    GROUP BY 1, 2, 3, 5, 6
"""
_OWNERS = """
    SELECT pg_get_userbyid(o.owner)::text, o.kind, o.name, ARRAY['OWNER'], '', false, true
    FROM o WHERE NOT o.system AND o.sub = 0
"""
_SYSTEM = "n.nspname IN ('pg_catalog', 'information_schema', 'pg_toast') OR n.nspname ~ '^pg_(toast_)?temp_'"


def _privileges(objects: str) -> str:
    """Rows of rights and owners from `objects`, which has oid, class, sub, kind, name, owner, acl, usual, system."""
    return f"WITH o AS ({dedent(objects)}) {_RIGHTS} UNION ALL {_OWNERS} ORDER BY 2, 3, 1"


DATABASE_PRIVILEGES = _privileges("""
    SELECT oid, 'pg_database'::regclass AS class, 0 AS sub, 'database' AS kind, datname::text AS name,
           datdba AS owner, datacl AS acl, ARRAY['CONNECT', 'TEMPORARY'] AS usual, false AS system
    FROM pg_database
    UNION ALL
    SELECT oid, 'pg_tablespace'::regclass, 0, 'tablespace', spcname::text, spcowner, spcacl, '{}',
           spcname ~ '^pg_' FROM pg_tablespace
""")

OBJECT_PRIVILEGES = (
    _privileges(f"""
    SELECT n.oid, 'pg_namespace'::regclass AS class, 0 AS sub, 'schema' AS kind, n.nspname::text AS name,
           n.nspowner AS owner, n.nspacl AS acl,
           CASE WHEN n.nspname IN ('public', 'information_schema') THEN ARRAY['USAGE'] ELSE '{{}}' END AS usual,
           {_SYSTEM} AS system
    FROM pg_namespace n
    """),
    _privileges(f"""
    SELECT c.oid, 'pg_class'::regclass AS class, 0 AS sub,
           CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence'
                WHEN 'f' THEN 'foreign table' ELSE 'table' END AS kind,
           n.nspname || '.' || c.relname AS name, c.relowner AS owner, c.relacl AS acl,
           CASE WHEN n.nspname = 'information_schema' AND c.oid < 16384 THEN ARRAY['SELECT']
                ELSE '{{}}' END AS usual, {_SYSTEM} AS system
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
    UNION ALL
    SELECT c.oid, 'pg_class'::regclass, t.attnum, 'column', n.nspname || '.' || c.relname || '.' || t.attname,
           c.relowner, t.attacl, '{{}}', {_SYSTEM}
    FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE t.attacl IS NOT NULL AND NOT t.attisdropped
    """),
    _privileges(f"""
    SELECT p.oid, 'pg_proc'::regclass AS class, 0 AS sub,
           CASE p.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END
               || CASE WHEN p.prosecdef THEN ' (security definer)' ELSE '' END AS kind,
           n.nspname || '.' || p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')' AS name,
           p.proowner AS owner, p.proacl AS acl, ARRAY['EXECUTE'] AS usual, {_SYSTEM} AS system
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE p.proacl IS NOT NULL OR NOT ({_SYSTEM})
    """),
    _privileges("""
    SELECT oid, 'pg_foreign_server'::regclass AS class, 0 AS sub, 'foreign server' AS kind, srvname::text AS name,
           srvowner AS owner, srvacl AS acl, '{}'::text[] AS usual, false AS system FROM pg_foreign_server
    UNION ALL
    SELECT oid, 'pg_largeobject'::regclass, 0, 'large object', oid::text, lomowner, lomacl, '{}', false
    FROM pg_largeobject_metadata
    """),
)

DEFAULT_PRIVILEGES = dedent(f"""
    SELECT {_GRANTEE}, CASE d.defaclobjtype WHEN 'r' THEN 'table' WHEN 'S' THEN 'sequence' WHEN 'f' THEN 'function'
               WHEN 'T' THEN 'type' WHEN 'n' THEN 'schema' ELSE 'large object' END,
           'those created by ' || pg_get_userbyid(d.defaclrole) || coalesce(' in ' || n.nspname, ''),
           array_agg(DISTINCT a.privilege_type::text), pg_get_userbyid(a.grantor)::text, a.is_grantable, false
    FROM pg_default_acl d CROSS JOIN aclexplode(d.defaclacl) a LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
    WHERE a.grantee <> d.defaclrole
      AND NOT (a.grantee = 0 AND ((d.defaclobjtype = 'f' AND a.privilege_type = 'EXECUTE')
                               OR (d.defaclobjtype = 'T' AND a.privilege_type = 'USAGE')))
    GROUP BY 1, 2, 3, 5, 6 ORDER BY 2, 3, 1
""")
