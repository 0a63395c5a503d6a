"""Functions of PostgreSQL that do more than return a value, by name: what calling one makes of a statement.

Written down as data, so that a reader can see what a guard knows. Called by `statements`.
"""

from __future__ import annotations

from lapse.domain.guards import StatementClass
from lapse.domain.wildcards import wildcard_match

SET_CONFIG = "set_config"

RUNS_TEXT = (
    "query_to_xml*", "table_to_xml*", "schema_to_xml*", "database_to_xml*", "cursor_to_xml*", "ts_stat", "ts_rewrite",
    "dblink*", "crosstab*", "connectby", "xpath_table", "pg_stat_file", "pg_read_*file", "pg_ls_*", "lo_import*",
    "lo_export", "pg_file_*", "pg_logical_*", "pg_get_wal*", "plpgsql_*", "get_raw_page", "pg_start_backup",
    "heap_page_items*", "pg_sequence_last_value", "currtid*", "postgres_fdw_*", "cron_*", "pg_execute*",
)  # fmt: skip
"""Wildcards of functions that read tables, files or servers which their call does not name."""

_CLASSES: dict[StatementClass, tuple[str, ...]] = {
    StatementClass.SETTING: (SET_CONFIG,),
    StatementClass.UPDATE: ("nextval", "setval", "lo_put", "lowrite", "lo_truncate*", "lo_from_bytea"),
    StatementClass.INSERT: ("lo_create", "lo_creat", "lo_import*"),
    StatementClass.DELETE: ("lo_unlink",),
    StatementClass.CALL: ("dblink*", "query_to_xml*", "cursor_to_xml*", "ts_stat", "crosstab*", "connectby"),
    StatementClass.MAINTENANCE: (
        "pg_terminate_backend", "pg_cancel_backend", "pg_reload_conf", "pg_rotate_logfile*", "pg_switch_wal",
        "pg_create_*", "pg_drop_*", "pg_promote", "pg_backup_*", "pg_start_backup", "pg_stop_backup", "pg_wal_replay_*",
        "pg_replication_*", "pg_stat_reset*", "pg_import_system_collations", "pg_log_backend*", "brin_summarize_*",
        "brin_desummarize*", "gin_clean_pending_list", "pg_prewarm", "pg_copy_*", "pg_sync_*", "pg_restore_*",
        "pg_clear_*", "pg_stat_statements_reset",
    ),
    StatementClass.OTHER: (
        "lo_import*", "lo_export", "pg_read_*file", "pg_ls_*", "pg_stat_file", "pg_file_*", "pg_logical_*",
        "pg_execute*", "cron_*", "pg_notify",
    ),
}  # fmt: skip


def classes_of(function: str) -> frozenset[StatementClass]:
    """What calling `function` (its name without a schema) adds to a statement."""
    return frozenset(kind for kind, names in _CLASSES.items() if any(wildcard_match(name, function) for name in names))


def reads_unseen(function: str) -> bool:
    """Whether `function` reads what its call does not name as a table."""
    return any(wildcard_match(name, function) for name in RUNS_TEXT)
