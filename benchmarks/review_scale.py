"""All detectors over 1 M grants and 100 M usage events, beside one bare scan of the usage columns.

The data is skewed like life: few accounts do most, a third of the grants is never used, times are unsorted within the
files, some use comes late, some grants end late. Run on a tenth of the use as well, to see how time grows. Sizes by
`LAPSE_BENCH_GRANTS` and `LAPSE_BENCH_USAGE`; each run is a process of its own, for its peak memory.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import duckdb
from _bench import AtMost, Row, in_child, report, row

from lapse.engines.duckdb_engine import DuckDbEngine
from lapse.engines.kept import KeptEngine
from lapse.review.collection.snapshot import register_all
from lapse.review.detection.cases import AS_OF
from lapse.review.evidence import TABLES
from lapse.review.evidence.columns import Table
from lapse.review.model import Coverage, RunStatus, Snapshot, SnapshotManifest, TableManifest
from lapse.review.scope import parse_scope
from lapse.review.stages import Stages

GRANTS = int(os.environ.get("LAPSE_BENCH_GRANTS", "1000000"))
USAGE = int(os.environ.get("LAPSE_BENCH_USAGE", "100000000"))
ROUNDS = int(os.environ.get("LAPSE_BENCH_ROUNDS", "3"))
PEOPLE, RESOURCES, DAYS = 20_000, 500, 266
T = TypeVar("T")
KINDS = {"text": "VARCHAR", "int": "BIGINT", "bool": "BOOLEAN", "time": "TIMESTAMPTZ"}


def uniform(seed: int, of: str) -> str:
    """SQL for a number in [0, 1) that depends on the seed and `of` alone."""
    return f"((hash({of} * 1000003 + {seed}) % 1000000007) / 1000000007.0)"


PERSON = f"CAST({PEOPLE} * pow({uniform(1, 'i')}, 3) AS BIGINT)"
PLACE = f"CAST({RESOURCES} * pow({uniform(2, 'i')}, 2) AS BIGINT)"
BEGIN = f"TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_seconds(CAST(23000000 * {uniform(3, 'i')} AS BIGINT))"
LATE = f"CASE WHEN {uniform(4, 'i')} < 0.0001 THEN 900000 ELSE CAST(300 * {uniform(5, 'i')} AS BIGINT) END"
WORLD = {
    "grants": f"""
        SELECT 'gra_' || i AS grant_id, 'p' || person AS beneficiary, 'r' || place || '/reader' AS entitlement,
            'r' || place AS resource, 'reader' AS role, 'ended' AS state, 'req_' || i AS request_id,
            'p' || person AS account, 'app_reader' AS native_role, began AS starts_at, began AS activated_at,
            began + INTERVAL 2 HOUR AS ends_at, began + INTERVAL 2 HOUR AS end_due_at,
            began + INTERVAL 2 HOUR + to_milliseconds({LATE}) AS ended_at, 'elapsed' AS end_reason,
            7200 AS duration_s, FALSE AS held_before, FALSE AS break_glass, began AS created_at
        FROM (SELECT i, {PERSON} AS person, {PLACE} AS place, {BEGIN} AS began FROM range({{grants}}) t(i))""",
    "usage": f"""
        SELECT 'r' || {PLACE} AS resource, 'p' || {PERSON} AS account,
            {BEGIN} + to_seconds(CAST(7200 * pow({uniform(6, "n")}, 2) AS BIGINT)) AS started_at,
            {BEGIN} + to_seconds(CAST(7200 * pow({uniform(6, "n")}, 2) AS BIGINT) + 30) AS ended_at,
            CASE WHEN n % 1000 = 0 THEN NULL ELSE 'gra_' || i END AS grant_id, 'app_reader' AS role,
            CASE n % 3 WHEN 0 THEN 'SELECT' WHEN 1 THEN 'INSERT' ELSE 'UPDATE' END AS action,
            'app.t' || n % 200 AS object, 'p' || {PERSON} AS principal, 'log' AS source
        FROM (
            SELECT n, CASE WHEN n < {USAGE} THEN 3 * CAST(FLOOR({GRANTS // 3} * pow({uniform(7, "n")}, 2)) AS BIGINT)
                + n % 2 ELSE {GRANTS} + 3 * (n % {1 + GRANTS // DAYS // 3}) + n % 2 END AS i
            FROM range({{usage}}) u(n)
        )""",
    "requests": f"""
        SELECT 'req_' || i AS request_id, 'p' || {PERSON} AS requester, 'p' || {PERSON} AS beneficiary,
            'r' || {PLACE} || '/reader' AS entitlement, 'r' || {PLACE} AS resource, 'approved' AS state,
            {BEGIN} - INTERVAL 10 MINUTE AS created_at, 7200 AS requested_s, FALSE AS break_glass,
            'look into failed order ' || i AS justification, 28800 AS max_duration_s, 86400 AS max_total_s,
            {BEGIN} - INTERVAL 1 MINUTE AS closed_at
        FROM range({{grants}}) t(i)""",
    "stages": """
        SELECT 'req_' || i AS request_id, 'dba' AS stage, 0 AS position, 1 AS quorum FROM range({grants}) t(i)""",
    "decisions": f"""
        SELECT 'dec_' || i AS decision_id, 'req_' || i AS request_id, 'a' || i % 300 AS approver,
            'a' || i % 300 AS person, 'approve' AS verdict, 'dba' AS stage, {BEGIN} - INTERVAL 1 MINUTE AS decided_at
        FROM range({{grants}}) t(i)""",
    "approver_sets": """
        SELECT 'req_' || n // 2 AS request_id, 'dba' AS stage, 'a' || (n // 2 + n % 2) % 300 AS person
        FROM range(2 * {grants}) t(n)""",
    "rederivations": """
        SELECT 'req_' || i AS request_id, 'approved' AS recorded, 'approved' AS derived, 'same' AS outcome
        FROM range({grants}) t(i)""",
    "principals": f"""
        SELECT 'p' || i AS principal, 'person' AS kind, TRUE AS active, 'p' || i AS person, 'd' || i % 40 AS department,
            't' || i % 25 AS title FROM range({PEOPLE + 1}) t(i)
        UNION ALL SELECT 'a' || i, 'person', TRUE, 'a' || i, 'ops', 'lead' FROM range(300) t(i)""",
    "humans_behind": f"SELECT 'p' || i AS principal, 'p' || i AS person FROM range({PEOPLE + 1}) t(i)",
    "resources": f"SELECT 'r' || i AS resource, 'p1' AS owner, TRUE AS owner_active FROM range({RESOURCES + 1}) t(i)",
    "offers": f"""
        SELECT 'v' AS policy_version, 'read' AS offer, 'r' || i || '/reader' AS entitlement, 'r' || i AS resource,
            28800 AS max_duration_s, 86400 AS max_total_s, 1 AS approvals FROM range({RESOURCES + 1}) t(i)""",
    "coverage": f"""SELECT 'r' || i AS resource, TIMESTAMPTZ '2025-12-31 00:00:00+00' AS from_at,
        TIMESTAMPTZ '2027-01-01 00:00:00+00' AS to_at, TRUE AS complete, TRUE AS actions
        FROM range({RESOURCES + 1}) t(i)""",
    "accounts": f"""SELECT 'r' || i % {RESOURCES} AS resource, 'p' || i // {RESOURCES} AS account,
        'p' || i // {RESOURCES} AS principal, TRUE AS can_login, TRUE AS observed,
        CASE WHEN i % 1000 = 0 THEN NULL ELSE TIMESTAMPTZ '2026-09-20 00:00:00+00' END AS last_activity,
        TIMESTAMPTZ '2026-10-01 00:00:00+00' AS observed_at FROM range(500000) t(i)""",
    "access_observed": f"""SELECT 'r' || i % {RESOURCES} AS resource, 'p' || i // {RESOURCES} AS account,
        'team' AS role, 'direct' AS holding, 0 AS depth, TIMESTAMPTZ '2026-10-01 00:00:00+00' AS observed_at,
        'p' || i // {RESOURCES} AS principal, TRUE AS can_login, TRUE AS baseline, FALSE AS managed
        FROM range(2000) t(i)""",
    "role_privileges": f"""SELECT 'r' || i // 1000 AS resource, 'app_reader' AS role,
        CASE i % 5 WHEN 0 THEN 'SELECT' WHEN 1 THEN 'INSERT' WHEN 2 THEN 'UPDATE' WHEN 3 THEN 'DELETE'
            ELSE 'TRUNCATE' END AS action, 'app.t' || (i // 5) % 200 AS object, 'observed' AS origin
        FROM range({1000 * RESOURCES}) t(i)""",
}


def make_world(folder: Path, usage: int, grants: int = GRANTS) -> Snapshot:
    """Write every table of `WORLD` with the columns of its declaration; returns them as a snapshot.

    Rows are in order, as those of a source are: with more of them, the files begin as they did. Use beyond `USAGE` is
    of grants beyond `GRANTS`.
    """
    folder.mkdir()
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")
    connection.execute("SET memory_limit = '6GB'")
    tables = []
    for name, sql in WORLD.items():
        sized = sql.replace("{usage}", str(usage)).replace("{grants}", str(grants))
        tables.append(_written(connection, TABLES[name], sized, folder))
    scope = parse_scope("all", "2026-01-01..2026-09-30")
    manifest = SnapshotManifest(evidence_version=1, scope=scope, collected_at=AS_OF, tables=tuple(tables))
    return Snapshot(folder=str(folder), manifest=manifest)


def _written(connection: duckdb.DuckDBPyConnection, table: Table, sql: str, folder: Path) -> TableManifest:
    given = {str(found[0]) for found in connection.execute(f"DESCRIBE {sql}").fetchall()}
    columns = ", ".join(
        f"CAST({c.name if c.name in given else 'NULL'} AS {KINDS[c.kind]}) AS {c.name}" for c in table.columns
    )
    file = folder / f"{table.name}.parquet"
    connection.execute(f"COPY (SELECT {columns} FROM ({sql})) TO '{file}' (FORMAT parquet, COMPRESSION zstd)")
    (rows,) = connection.execute(f"SELECT count(*) FROM '{file}'").fetchone() or (0,)
    return TableManifest(table=table.name, coverage=Coverage.COMPLETE, file=file.name, rows=rows)


def run_all(snapshot: Snapshot, kept: Path | None = None) -> dict[str, tuple[float, int]]:
    """Every detector once, as a review runs them; seconds and findings of each."""
    from lapse.review.detection.detector import all_detectors, run_detector

    engine, took = KeptEngine(DuckDbEngine(memory_limit="5GB"), kept), {}
    with Stages(engine, snapshot) as stages:
        for detector in all_detectors():
            began = time.perf_counter()
            found, run = run_detector(engine, stages.snapshot.manifest, detector)
            if run.status is not RunStatus.NOT_ASSESSED:
                took[detector.id] = time.perf_counter() - began, len(found)
            elif not run.missing:
                raise RuntimeError(f"{detector.id}: {run.reason}")
    return took


def slowest(each: Mapping[str, tuple[float, int]]) -> str:
    """The detectors that took longest, in words."""
    ranked = sorted(each.items(), key=lambda one: -one[1][0])[:8]
    return ", ".join(f"{name} {seconds:.1f} s" for name, (seconds, _) in ranked)


def scan(snapshot: Snapshot) -> int:
    """Reads every value of the usage columns that have any, and nothing else."""
    engine = DuckDbEngine()
    register_all(engine, snapshot)
    names = ("resource", "account", "started_at", "ended_at", "grant_id", "role", "action", "object", "principal")
    engine.query(f"SELECT {', '.join(f'bit_xor(hash({name})) AS {name}' for name in names)} FROM usage")
    return len(names)


def on_cpu(work: Callable[..., T], *args: object) -> tuple[float, T]:
    """CPU seconds of `work`, all threads together, and its result."""
    began = time.process_time()
    result = work(*args)
    return time.process_time() - began, result


def measure(snapshot: Snapshot, usage: int, goal: AtMost | None) -> tuple[list[Row], float]:
    """Rows about one size, and the median seconds of all detectors."""
    review, memory, scans, computing, each = [], [], [], [], {}
    for _ in range(ROUNDS):
        seconds, peak, (cpu, each) = in_child(on_cpu, run_all, snapshot)
        review.append(seconds)
        memory.append(peak / 1e6)
        bare, _, (bare_cpu, _) = in_child(on_cpu, scan, snapshot)
        scans.append(bare)
        computing.append(cpu / bare_cpu)
    ratios = [ours / bare for ours, bare in zip(review, scans, strict=True)]
    print("slowest:", slowest(each))
    first = replace(
        row(f"{len(each)} detectors, {GRANTS:,} grants, {usage:,} events", review, "s"),
        compared_to=f"bare scan of usage: {statistics.median(scans):.3g} s",
        ratio=statistics.median(ratios),
        spread=(min(ratios), max(ratios)),
        goal=f"ratio {goal}" if goal else "",
        met=goal.met_by(statistics.median(ratios)) if goal else None,
    )
    busy = row("the same in CPU seconds of both", computing, "scans", goal=goal)
    return [first, busy, row("peak memory", memory, "MB", goal=AtMost(6_000))], statistics.median(review)


def main() -> None:
    """Make both worlds, run all detectors on each, and print how time grows."""
    with tempfile.TemporaryDirectory() as place:
        rows, seconds = [], []
        for usage, goal in ((USAGE // 10, None), (USAGE, AtMost(30))):
            snapshot = make_world(Path(place) / str(usage), usage)
            size = (Path(place) / str(usage) / "usage.parquet").stat().st_size
            print(f"{usage:,} events made, {size / 1e9:.2f} GB")
            found, took = measure(snapshot, usage, goal)
            rows += found
            seconds.append(took)
        growth = seconds[1] / seconds[0]
        rows.append(row("growth for ten times the use", [growth], "times", goal=AtMost(10)))
    report("review_scale", rows)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
