"""Four questions of a review beside what people write instead: SQL on SQLite and on PostgreSQL, and pandas.

All sides take turns on the same grants, use and accounts, and have to find the same number. The others have everything
loaded, indexed and analysed before the clock runs, and only count; lapse reads its Parquet files and makes findings.
What loading takes is beside it: all four questions, asked once of a fresh database. pandas takes part where it is
installed. Sizes by `LAPSE_BENCH_GRANTS` and `LAPSE_BENCH_USAGE`.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from _bench import Row, alternate, report, row, timed

from lapse.engines.duckdb_engine import DuckDbEngine
from lapse.engines.kept import KeptEngine
from lapse.entrypoints.demo.private_postgres import PrivatePostgres
from lapse.review.collection.snapshot import register_all
from lapse.review.detection.detector import all_detectors, run_detector
from lapse.review.lag import expiry_lag
from lapse.review.model import Snapshot
from lapse.review.workflows import _LAG, Lag

os.environ.setdefault("LAPSE_BENCH_GRANTS", "200000")
os.environ.setdefault("LAPSE_BENCH_USAGE", "2000000")
os.environ.setdefault("LAPSE_BENCH_ROUNDS", "3")

from review_scale import GRANTS, ROUNDS, USAGE, make_world

SECOND, DAY = 1_000_000, 86_400_000_000
COLUMNS = {
    "grants": ("grant_id", "resource", "account", "entitlement", "activated_at", "end_due_at", "ended_at"),
    "usage": ("resource", "account", "started_at", "ended_at", "grant_id"),
    "accounts": ("resource", "account", "can_login", "last_activity"),
}
INDEXES = ("usage(grant_id)", "usage(resource, account, started_at)", "grants(grant_id)", "grants(resource, account)")
OVER = "CASE WHEN {0}.ended_at < {0}.end_due_at THEN {0}.ended_at ELSE {0}.end_due_at END"
UNUSED = """
SELECT count(*) FROM grants g
WHERE g.activated_at IS NOT NULL AND g.ended_at >= {start} AND g.ended_at < {end}
    AND g.ended_at - g.activated_at >= 60000000
    AND NOT EXISTS (SELECT 1 FROM usage u WHERE u.grant_id = g.grant_id)
    AND NOT EXISTS (
        SELECT 1 FROM usage u
        WHERE u.grant_id IS NULL AND u.resource = g.resource AND u.account = g.account AND u.started_at <= g.ended_at
            AND COALESCE(u.ended_at, u.started_at) >= g.activated_at
    )"""
OUTLIVED = f"""
SELECT count(DISTINCT g.grant_id) FROM usage u JOIN grants g ON g.grant_id = u.grant_id
WHERE g.activated_at IS NOT NULL AND u.ended_at > {OVER.format("g")} + 5000000 AND u.started_at <= {OVER.format("g")}
    AND u.ended_at >= {{start}} AND u.ended_at < {{end}}
    AND NOT EXISTS (
        SELECT 1 FROM grants o
        WHERE o.resource = u.resource AND o.account = u.account AND o.entitlement = g.entitlement
            AND o.grant_id <> g.grant_id AND o.activated_at <= u.ended_at
            AND {OVER.format("o")} >= {OVER.format("g")}
    )"""
DORMANT = """
SELECT count(*) FROM accounts a LEFT JOIN (
    SELECT resource, account, max(COALESCE(ended_at, started_at)) AS used_at FROM usage GROUP BY resource, account
) u ON u.resource = a.resource AND u.account = a.account
WHERE a.can_login AND (u.used_at IS NULL OR u.used_at <= {end} - 7776000000000)
    AND (a.last_activity IS NULL OR a.last_activity <= {end} - 7776000000000)"""
LAG = """
SELECT (ended_at - end_due_at) / 1000 FROM grants
WHERE activated_at IS NOT NULL AND end_due_at IS NOT NULL AND ended_at >= {start} AND ended_at < {end}
ORDER BY 1 LIMIT 1 OFFSET (
    SELECT CAST(0.99 * count(*) AS INTEGER) FROM grants
    WHERE activated_at IS NOT NULL AND end_due_at IS NOT NULL AND ended_at >= {start} AND ended_at < {end}
)"""
QUESTIONS = {
    "grants that were never used": ("L4", UNUSED),
    "sessions that outlived their grant": ("L8", OUTLIVED),
    "logins that were not used for 90 days": ("R6", DORMANT),
    "expiry lag, 99th percentile": ("", LAG),
}


def lapse(snapshot: Snapshot, detector: str) -> int:
    """What a review has to say to the question; nothing is kept from one round to the next."""
    engine = KeptEngine(DuckDbEngine())
    register_all(engine, snapshot)
    try:
        if not detector:
            return _lag(engine, snapshot)
        (one,) = (found for found in all_detectors() if found.id == detector)
        return len(run_detector(engine, snapshot.manifest, one)[0])
    finally:
        engine.close()


def _lag(engine: KeptEngine, snapshot: Snapshot) -> int:
    period, at = snapshot.manifest.scope.period, snapshot.manifest.collected_at
    rows = engine.query(_LAG, {"period_start": period.start, "period_end": period.end, "as_of": at})
    found = expiry_lag("", [Lag(row["ms"], row["running"], row["n"]) for row in rows])
    return found.p99.ms if found.p99 is not None and found.p99.ms is not None else -1


def loaded(snapshot: Snapshot, name: str) -> pa.Table:
    """A table with the columns that the questions need; times are microseconds, which suits every side."""
    table = pq.read_table(Path(snapshot.folder) / f"{name}.parquet", columns=list(COLUMNS[name]))
    for number, column in enumerate(table.schema):
        if pa.types.is_timestamp(column.type):
            table = table.set_column(number, column.name, table.column(number).cast(pa.int64()))
    return table


def _declared(table: pa.Table) -> str:
    kinds = {pa.int64(): "BIGINT", pa.bool_(): "BOOLEAN"}
    return ", ".join(f"{column.name} {kinds.get(column.type, 'TEXT')}" for column in table.schema)


def in_sqlite(snapshot: Snapshot, file: Path) -> sqlite3.Connection:
    """A database with everything in it."""
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA cache_size = -1000000")
    for name in COLUMNS:
        table = loaded(snapshot, name)
        connection.execute(f"CREATE TABLE {name} ({_declared(table)})")
        marks = ", ".join("?" * table.num_columns)
        connection.executemany(f"INSERT INTO {name} VALUES ({marks})", _rows(table))
    for number, index in enumerate(INDEXES):
        connection.execute(f"CREATE INDEX i{number} ON {index}")
    connection.execute("ANALYZE")
    connection.commit()
    return connection


def _rows(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    for batch in table.to_batches(max_chunksize=50_000):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def in_postgres(snapshot: Snapshot, server: PrivatePostgres) -> psycopg.Connection[Any]:
    """The same in PostgreSQL."""
    connection = psycopg.connect(server.dsn(), autocommit=True)
    for name in COLUMNS:
        table = loaded(snapshot, name)
        connection.execute(f"CREATE TABLE {name} ({_declared(table)})".encode())
        with connection.cursor().copy(f"COPY {name} FROM STDIN (FORMAT csv)".encode()) as copy:
            for batch in table.to_batches(max_chunksize=50_000):
                text = pa.BufferOutputStream()
                pyarrow.csv.write_csv(batch, text, pyarrow.csv.WriteOptions(include_header=False))
                copy.write(text.getvalue().to_pybytes())
    for number, index in enumerate(INDEXES):
        connection.execute(f"CREATE INDEX i{number} ON {index}".encode())
    connection.execute(b"VACUUM ANALYZE")
    return connection


class Pandas:
    """The questions as they are written in a notebook."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.grants, self.usage, self.accounts = (loaded(snapshot, name).to_pandas() for name in COLUMNS)
        period = snapshot.manifest.scope.period
        self.start, self.end = (int(at.timestamp()) * SECOND for at in (period.start, period.end))

    def ask(self, question: str) -> int:
        """The number that answers it."""
        return int({"L4": self._unused, "L8": self._outlived, "R6": self._dormant, "": self._lag}[question]())

    def _ended(self) -> Any:
        return self.grants[(self.grants.ended_at >= self.start) & (self.grants.ended_at < self.end)]

    def _unused(self) -> int:
        ended = self._ended()
        ended = ended[ended.ended_at - ended.activated_at >= 60 * SECOND]
        left = ended[~ended.grant_id.isin(self.usage.grant_id.dropna().unique())]
        unnamed = self.usage[self.usage.grant_id.isna()]
        both = left.merge(unnamed, on=["resource", "account"], suffixes=("", "_use"))
        used = both[(both.started_at <= both.ended_at) & (both.ended_at_use >= both.activated_at)]
        return len(left) - used.grant_id.nunique()

    def _outlived(self) -> int:
        grants = self.grants.assign(over=self.grants[["end_due_at", "ended_at"]].min(axis=1))
        both = self.usage.merge(grants, on="grant_id", suffixes=("_use", ""))
        late = both[
            (both.ended_at_use > both.over + 5 * SECOND)
            & (both.started_at <= both.over)
            & (both.ended_at_use >= self.start)
            & (both.ended_at_use < self.end)
        ].reset_index()
        others = late.merge(grants, on=["resource", "account", "entitlement"], suffixes=("", "_other"))
        covered = others[
            (others.grant_id != others.grant_id_other)
            & (others.activated_at_other <= others.ended_at_use)
            & (others.over_other >= others.over)
        ]
        return late[~late["index"].isin(covered["index"])].grant_id.nunique()

    def _dormant(self) -> int:
        ended = self.usage.ended_at.fillna(self.usage.started_at)
        last = self.usage.assign(used=ended).groupby(["resource", "account"], as_index=False).used.max()
        both = self.accounts.merge(last, on=["resource", "account"], how="left")
        seen = both[["used", "last_activity"]].max(axis=1)
        return len(both[both.can_login & (seen.isna() | (seen <= self.end - 90 * DAY))])

    def _lag(self) -> int:
        ended = self._ended()
        late = ((ended.ended_at - ended.end_due_at) // 1000).sort_values()
        return late.iloc[int(0.99 * len(late))]


def _first(execute: Callable[[str], Any], sql: str, limits: dict[str, int]) -> int:
    return int(execute(sql.format(**limits)).fetchone()[0])


def main() -> None:
    """Load everything everywhere, then let all sides take turns at each question."""
    with tempfile.TemporaryDirectory() as folder, PrivatePostgres() as server:
        snapshot = make_world(Path(folder) / "world", USAGE)
        period = snapshot.manifest.scope.period
        limits = {"start": int(period.start.timestamp()) * SECOND, "end": int(period.end.timestamp()) * SECOND}
        filling_sqlite, sqlite = timed(lambda: in_sqlite(snapshot, Path(folder) / "rival.db"))
        filling_postgres, postgres = timed(lambda: in_postgres(snapshot, server))
        filling_pandas, frames = timed(lambda: Pandas(snapshot) if find_spec("pandas") else None)
        filling = {"sqlite": filling_sqlite, "postgresql": filling_postgres, "pandas": filling_pandas}
        rows: list[Row] = []
        asking: dict[str, float] = defaultdict(float)
        with closing(sqlite), closing(postgres):
            for question, (detector, sql) in QUESTIONS.items():
                sides: dict[str, Callable[[], int]] = {
                    "lapse": lambda detector=detector: lapse(snapshot, detector),
                    "sqlite": lambda sql=sql: _first(sqlite.execute, sql, limits),
                    "postgresql": lambda sql=sql: _first(lambda q: postgres.execute(q.encode()), sql, limits),
                }
                if frames is not None:
                    sides["pandas"] = lambda detector=detector: frames.ask(detector)
                found, seconds = compared(question, sides)
                rows += found
                for name, took in seconds.items():
                    asking[name] += took
        others = [name for name in asking if name != "lapse"]
        rows += [with_filling(name, filling[name] + asking[name], asking["lapse"]) for name in others]
    print(f"{GRANTS:,} grants, {USAGE:,} events")
    report("review_rivals", rows)


def with_filling(name: str, seconds: float, ours: float) -> Row:
    """All questions once, loading included."""
    together = row(f"all four with loading: {name}", [seconds], "s")
    return replace(together, compared_to=f"lapse: {ours:.3g} s", ratio=seconds / ours)


def compared(question: str, sides: dict[str, Callable[[], int]]) -> tuple[list[Row], dict[str, float]]:
    """The others beside lapse, if all find the same; and the seconds of each."""
    answers = {name: ask() for name, ask in sides.items()}
    if len(set(answers.values())) > 1:
        raise RuntimeError(f"{question}: {answers}")
    rounds = alternate(ROUNDS, **{name: lambda ask=ask: _drop(ask()) for name, ask in sides.items()})
    others = [name for name in sides if name != "lapse"]
    rows = [rounds.row(f"{question} ({answers['lapse']:,}): {name}", name, "lapse") for name in others]
    return rows, {name: rounds.median(name) for name in sides}


def _drop(_answer: int) -> None:
    """What is timed returns nothing, so that it is timed."""


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
