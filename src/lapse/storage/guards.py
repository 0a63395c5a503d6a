"""Triggers around the ledger's tables, by dialect. Part of the schema and of the first migration.

They refuse to change or delete an entry; on PostgreSQL they also queue every new entry for the sequencer.
They are a safety net against mistakes of ours and of operators: whoever owns the database can drop them, and what
shows such tampering is the Merkle tree.
"""

from __future__ import annotations

_REFUSAL = "ledger entries are only ever added"

SQLITE = (
    f"CREATE TRIGGER ledger_entries_keep BEFORE UPDATE ON ledger_entries BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END",
    f"CREATE TRIGGER ledger_entries_stay BEFORE DELETE ON ledger_entries BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END",
    "INSERT INTO ledger_head (one, size) VALUES (1, 0)",
    "INSERT INTO catalog_version (one, version) VALUES (1, 0)",
)

POSTGRESQL = (
    (
        "CREATE FUNCTION ledger_entries_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$"
    ),
    (
        "CREATE FUNCTION ledger_entries_enqueue() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN INSERT INTO ledger_unplaced (entry_id) SELECT id FROM added; RETURN NULL; END $$"
    ),
    (
        "CREATE TRIGGER ledger_entries_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries "
        "FOR EACH STATEMENT EXECUTE FUNCTION ledger_entries_refuse()"
    ),
    (
        "CREATE TRIGGER ledger_entries_queue AFTER INSERT ON ledger_entries REFERENCING NEW TABLE AS added "
        "FOR EACH STATEMENT EXECUTE FUNCTION ledger_entries_enqueue()"
    ),
    "INSERT INTO ledger_head (one, size) VALUES (1, 0)",
    "INSERT INTO catalog_version (one, version) VALUES (1, 0)",
)

GUARDS = {"sqlite": SQLITE, "postgresql": POSTGRESQL}
