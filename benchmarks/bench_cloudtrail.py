"""CloudTrail's packed files into rows of use: lapse beside DuckDB's own JSON reader, on the same files in turns.

DuckDB finds out the types by itself, which it is fastest with, and writes the same columns into a Parquet file; it does
no more than that: who it was, what failed, what came twice and when there were logs is lapse's alone. About 200 MB
unpacked; `LAPSE_BENCH_MB` or an argument sets another size.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb
from _bench import AtMost, alternate, in_child, report, row
from _cloudtrail import make_files

from lapse.review.collection.identities import Identities, Rules
from lapse.review.collection.snapshot import SnapshotWriter
from lapse.review.scope import parse_scope
from lapse.review.sources.aws import trail_pool
from lapse.review.sources.kinds.cloudtrail import SOURCE
from lapse.review.sources.reading import Reading
from lapse.review.sources.registry import read_source

ROUNDS = 5
SEED = 20_260_701
CORES = 2
LARGEST = "maximum_object_size=268435456"


def main(args: list[str] | None = None) -> None:
    """Make the files, let both read them in turns, and once more for their memory."""
    megabytes = int((args or [os.environ.get("LAPSE_BENCH_MB", "200")])[0])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = folder / "files"
        records, size = make_files(files, megabytes, SEED)
        packed = sum(file.stat().st_size for file in files.rglob("*.gz"))
        print(f"  {records:,} records, {size / 1e6:,.0f} MB, {packed / 1e6:,.0f} MB packed")
        rounds = alternate(
            ROUNDS,
            lapse=lambda: with_lapse(files, folder, records, sys.maxsize),
            processes=lambda: with_lapse(files, folder, records, 0),
            duckdb=lambda: with_duckdb(files, folder),
        )
        memory = [in_child(side, *given)[1] / 1e6 for side, given in _in_turn(files, folder, records)]
    rows = [
        rounds.row("read in one process", "lapse", "duckdb", goal=AtMost(2)),
        rounds.row("read in several processes", "processes", "duckdb", goal=AtMost(2)),
        row("  rate of one process", [size / 1e6 / one for one in rounds.measured["lapse"]], "MB/s"),
        row("  rate of several processes", [size / 1e6 / one for one in rounds.measured["processes"]], "MB/s"),
        row("  rate of DuckDB", [size / 1e6 / one for one in rounds.measured["duckdb"]], "MB/s"),
        row("  peak memory of one process", memory[:1], "MB"),
        row("  peak memory of DuckDB", memory[1:], "MB"),
    ]
    report("bench_cloudtrail", rows)


def with_lapse(files: Path, folder: Path, records: int, pool_from: int) -> None:
    """Read the files into a snapshot the way a review does."""
    trail_pool.POOL_FROM = pool_from
    with tempfile.TemporaryDirectory(dir=folder) as snapshot:
        writer = SnapshotWriter(Path(snapshot), parse_scope("all", "2026-Q3"), datetime.now(UTC))
        reading = Reading(writer, SOURCE.kind, files.name, Identities(Rules()))
        read_source(SOURCE, files, {}, reading)
        done = reading.finish()
        writer.finish(())
    if done.records != records or done.rejected:
        raise RuntimeError(f"{done.records} of {records} records were read, {done.rejected} rejected")


def with_duckdb(files: Path, folder: Path) -> None:
    """Read the files with DuckDB into a Parquet file with the columns that lapse's has."""
    connection = duckdb.connect()
    connection.execute(f"SET threads = {CORES}")
    connection.execute("SET preserve_insertion_order = false")
    connection.execute(f"""
        COPY (
            SELECT r.recipientAccountId, r.userIdentity.arn, r.eventTime, r.eventSource || ':' || r.eventName AS action,
                r.resources[1].ARN AS object, r.sourceIPAddress, r.userAgent, r.userIdentity.accessKeyId, r.eventID
            FROM (SELECT unnest(Records) AS r FROM read_json_auto('{files}/**/*.json.gz', {LARGEST}))
            WHERE r.errorCode IS NULL
        ) TO '{folder}/duckdb.parquet' (COMPRESSION zstd)""")
    connection.close()


def _in_turn(files: Path, folder: Path, records: int) -> list[tuple[Callable[..., None], tuple[object, ...]]]:
    return [(with_lapse, (files, folder, records, sys.maxsize)), (with_duckdb, (files, folder))]


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main(sys.argv[1:])
