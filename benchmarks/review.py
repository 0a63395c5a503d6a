"""Review SQL over 1 M grants and 10 M usage events: each detector beside a bare scan of the columns it reads.

Times are of the engine alone, as a review uses it; all detectors together run in a process of their own, for its
peak memory. `LAPSE_BENCH_GRANTS` sets another size (usage is ten times that).
"""

from __future__ import annotations

import os
import re
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import duckdb
from _bench import AtMost, Row, alternate, in_child, report, row

from lapse.engines.duckdb_engine import DuckDbEngine
from lapse.review.collection.snapshot import register_all
from lapse.review.detection.cases import AS_OF
from lapse.review.detection.detector import Detector, all_detectors, run_detector
from lapse.review.evidence import TABLES
from lapse.review.model import Coverage, RunStatus, Snapshot, SnapshotManifest, TableManifest
from lapse.review.scope import parse_scope

GRANTS = int(os.environ.get("LAPSE_BENCH_GRANTS", "1000000"))
ROUNDS = 3
BIG = ("grants", "usage", "requests", "decisions", "stages", "approver_sets", "rederivations")

START = "TIMESTAMPTZ '2026-01-01 00:00:00+00' + INTERVAL (i * 23 % 23000000) SECOND"
WORLD = {
    "grants": f"""
        SELECT 'gra_' || i AS grant_id, 'p' || i % 5000 AS beneficiary, 'r' || i % 200 || '/reader' AS entitlement,
            'r' || i % 200 AS resource, 'reader' AS role, 'ended' AS state, 'req_' || i AS request_id,
            'p' || i % 5000 AS account, 'app_reader' AS native_role,
            {{start}} AS starts_at, {{start}} AS activated_at, {{start}} + INTERVAL 2 HOUR AS ends_at,
            {{start}} + INTERVAL 2 HOUR AS end_due_at,
            {{start}} + INTERVAL 2 HOUR + INTERVAL (CASE WHEN i % 10000 = 0 THEN 900000 ELSE i % 300 END) MILLISECOND
                AS ended_at, 'elapsed' AS end_reason, 7200 AS duration_s, FALSE AS held_before
        FROM range({GRANTS}) t(i)""",
    "usage": f"""
        SELECT 'r' || g % 200 AS resource, 'p' || g % 5000 AS account,
            {{start}} + INTERVAL (600 * (n % 10)) SECOND AS started_at,
            {{start}} + INTERVAL (600 * (n % 10) + 300) SECOND AS ended_at,
            CASE WHEN g % 1000 = 0 THEN NULL ELSE 'gra_' || g END AS grant_id, 'log' AS source
        FROM (SELECT n, n // 10 AS g, n // 10 AS i FROM range({10 * GRANTS}) t(n))""",
    "requests": f"""
        SELECT 'req_' || i AS request_id, 'p' || i % 5000 AS requester, 'p' || i % 5000 AS beneficiary,
            'r' || i % 200 || '/reader' AS entitlement, 'r' || i % 200 AS resource, 'approved' AS state,
            {{start}} - INTERVAL 10 MINUTE AS created_at, 7200 AS requested_s,
            'look into failed order ' || i AS justification, 28800 AS max_duration_s, 86400 AS max_total_s,
            {{start}} - INTERVAL 1 MINUTE AS closed_at
        FROM range({GRANTS}) t(i)""",
    "stages": f"SELECT 'req_' || i AS request_id, 'dba' AS stage, 0 AS position, 1 AS quorum FROM range({GRANTS}) t(i)",
    "decisions": f"""
        SELECT 'dec_' || i AS decision_id, 'req_' || i AS request_id, 'p' || (i + 1) % 5000 AS approver,
            'p' || (i + 1) % 5000 AS person, 'approve' AS verdict, 'dba' AS stage,
            {{start}} - INTERVAL 1 MINUTE AS decided_at
        FROM range({GRANTS}) t(i)""",
    "approver_sets": f"""
        SELECT 'req_' || n // 2 AS request_id, 'dba' AS stage, 'p' || (n // 2 + 1 + n % 2) % 5000 AS person
        FROM range({2 * GRANTS}) t(n)""",
    "rederivations": f"""
        SELECT 'req_' || i AS request_id, 'approved' AS recorded, 'approved' AS derived, 'same' AS outcome
        FROM range({GRANTS}) t(i)""",
    "principals": """
        SELECT 'p' || i AS principal, 'person' AS kind, TRUE AS active, 'p' || i AS person FROM range(5000) t(i)""",
    "humans_behind": "SELECT 'p' || i AS principal, 'p' || i AS person FROM range(5000) t(i)",
    "resources": "SELECT 'r' || i AS resource, 'p1' AS owner, TRUE AS owner_active FROM range(200) t(i)",
    "offers": """
        SELECT 'v' AS policy_version, 'read' AS offer, 'r' || i || '/reader' AS entitlement, 'r' || i AS resource,
            28800 AS max_duration_s, 86400 AS max_total_s, 1 AS approvals FROM range(200) t(i)""",
    "coverage": """SELECT 'r' || i AS resource, TIMESTAMPTZ '2025-12-31 00:00:00+00' AS from_at,
        TIMESTAMPTZ '2027-01-01 00:00:00+00' AS to_at, TRUE AS complete FROM range(200) t(i)""",
    "accounts": """SELECT 'r' || i % 200 AS resource, 'p' || i // 200 AS account, 'p' || i // 200 AS principal,
        TRUE AS can_login, TRUE AS observed, TIMESTAMPTZ '2026-10-01 00:00:00+00' AS observed_at
        FROM range(200000) t(i)""",
    "access_observed": """SELECT 'r' || i % 200 AS resource, 'p' || i // 200 AS account, 'team' AS role,
        'direct' AS holding, 0 AS depth, TIMESTAMPTZ '2026-10-01 00:00:00+00' AS observed_at,
        'p' || i // 200 AS principal, TRUE AS can_login, TRUE AS baseline, FALSE AS managed FROM range(20000) t(i)""",
}


def make_world(folder: Path) -> Snapshot:
    """Write every table of `WORLD` with the columns of its declaration; returns them as a snapshot."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    tables = []
    for name, sql in WORLD.items():
        connection.execute(f"CREATE OR REPLACE TEMP VIEW made AS {sql.replace('{start}', START)}")
        given = {str(found[0]) for found in connection.execute("DESCRIBE made").fetchall()}
        kinds = {"text": "VARCHAR", "int": "BIGINT", "bool": "BOOLEAN", "time": "TIMESTAMPTZ"}
        columns = ", ".join(
            f"CAST({c.name if c.name in given else 'NULL'} AS {kinds[c.kind]}) AS {c.name}"
            for c in TABLES[name].columns
        )
        file = folder / f"{name}.parquet"
        connection.execute(f"COPY (SELECT {columns} FROM made) TO '{file}' (FORMAT parquet, COMPRESSION zstd)")
        (rows,) = connection.execute(f"SELECT count(*) FROM '{file}'").fetchone() or (0,)
        tables.append(TableManifest(table=name, coverage=Coverage.COMPLETE, file=file.name, rows=rows))
    scope = parse_scope("all", "2026-01-01..2026-09-30")
    manifest = SnapshotManifest(evidence_version=1, scope=scope, collected_at=AS_OF, tables=tuple(tables))
    return Snapshot(folder=str(folder), manifest=manifest)


def scan_of(detector: Detector, snapshot: Snapshot) -> str:
    """SQL that only reads every value of the columns that `detector` names, of the big tables.

    A hash of each value makes the engine decode it: a count of nulls is answered from the file's statistics.
    """
    words = set(re.findall(r"[a-z_]+", detector.sql))
    parts = []
    for name in (*detector.needs, *detector.optional):
        if name in BIG and name in snapshot.manifest.present:
            used = ", ".join(f"bit_xor(hash({c.name}))" for c in TABLES[name].columns if c.name in words)
            parts.append(f"(SELECT struct_pack(n := [{used}]) FROM {name})")
    return f"SELECT {', '.join(parts)}"


def run_all(folder: str, snapshot: Snapshot) -> dict[str, int]:
    """Every detector once, as a review does; how many findings each has."""
    engine = DuckDbEngine()
    register_all(engine, snapshot)
    found = {}
    for detector in all_detectors():
        findings, run = run_detector(engine, snapshot.manifest, detector)
        if run.status is not RunStatus.NOT_ASSESSED:
            found[detector.id] = len(findings)
    return found | {"tables": len(list(Path(folder).iterdir()))}


def scan_all(folder: str, snapshot: Snapshot) -> int:
    """Reads every value of every table, and nothing else."""
    engine = DuckDbEngine()
    register_all(engine, snapshot)
    for name in snapshot.manifest.present:
        engine.query(f"SELECT {', '.join(f'bit_xor(hash({c.name}))' for c in TABLES[name].columns)} FROM {name}")
    return len(folder)


def one_detector(snapshot: Snapshot, detector: Detector) -> Row:
    """One detector beside the scan of what it reads."""
    engine = DuckDbEngine()
    register_all(engine, snapshot)
    scan = scan_of(detector, snapshot)
    sides: dict[str, Callable[[], None]] = {
        "detector": lambda: _drop(run_detector(engine, snapshot.manifest, detector)),
        "scan": lambda: _drop(engine.query(scan)),
    }
    for side in sides.values():
        side()
    rounds = alternate(ROUNDS, **sides)
    found, _ = run_detector(engine, snapshot.manifest, detector)
    engine.close()
    return rounds.row(f"{detector.id} {detector.title.lower()} ({len(found):,} found)", "detector", "scan")


def main() -> None:
    """Make the world, time each detector, then all of them with their memory."""
    with tempfile.TemporaryDirectory() as folder:
        snapshot = make_world(Path(folder))
        rows = [
            one_detector(snapshot, detector)
            for detector in all_detectors()
            if set(detector.needs) & set(BIG) and set(detector.needs) <= snapshot.manifest.present
        ]
        review, memory, scans = [], [], []
        for _ in range(ROUNDS):
            seconds, peak, _ = in_child(run_all, folder, snapshot)
            review.append(seconds)
            memory.append(peak / 1e6)
            scans.append(in_child(scan_all, folder, snapshot)[0])
        ratios = [ours / bare for ours, bare in zip(review, scans, strict=True)]
        ratio, goal = statistics.median(ratios), AtMost(25)
        rows.append(
            replace(
                row("all detectors", review, "s"),
                compared_to=f"bare scan of every value: {statistics.median(scans):.3g} s",
                ratio=ratio,
                spread=(min(ratios), max(ratios)),
                goal=f"ratio {goal}",
                met=goal.met_by(ratio),
            )
        )
        rows.append(row("peak memory of all detectors", memory, "MB", goal=AtMost(4_000)))
    report("review", rows)


def _drop(_result: object) -> None:
    """What is timed returns nothing, so that it is timed."""


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
