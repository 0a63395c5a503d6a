"""What an engine keeps changes no row: with more use, with damaged files, with other evidence under the same name."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lapse.domain.errors import InvalidInput, Unavailable
from lapse.engines.duckdb_engine import DuckDbEngine
from lapse.engines.kept import KeptEngine
from lapse.review.detection.shared import SHARED, TOTALS
from lapse.review.evidence import TABLES
from support.spark import needs_spark, spark_engine

AT = datetime(2026, 7, 1, tzinfo=UTC)
SCHEMA = TABLES["usage"].schema()
ASK = {table.name: f"WITH {table.definition} SELECT * FROM {table.name} ORDER BY ALL" for table in SHARED}


def use(account="ann", *, grant="g1", minute=0, ended=True, lasted=30, **more):
    began = AT + timedelta(minutes=minute)
    return {
        "resource": "pg",
        "account": account,
        "started_at": began,
        "ended_at": began + timedelta(seconds=lasted) if ended else None,
        "grant_id": grant,
        **more,
    }


def write_usage(folder, rows, *, size=4, name="usage"):
    """As evidence is written: a row group for every `size` rows."""
    folder.mkdir(exist_ok=True, parents=True)
    with pq.ParquetWriter(folder / f"{name}.parquet", SCHEMA, compression="zstd") as writer:
        for start in range(0, len(rows), size):
            writer.write_table(pa.Table.from_pylist(rows[start : start + size], schema=SCHEMA))
    return str(folder / f"{name}.parquet")


class Counting(DuckDbEngine):
    """Notes every query."""

    def __init__(self):
        super().__init__(threads=1)
        self.asked = []

    def query(self, sql, parameters=None):
        self.asked.append(sql)
        return super().query(sql, parameters)

    def write(self, sql, parquet, parameters=None):
        self.asked.append(sql)
        super().write(sql, parquet, parameters)


def opened(file, folder, **more):
    engine = KeptEngine(Counting(), folder, **{"least_rows": 1, "least_seconds": 0.0, **more})
    engine.register("usage", file)
    return engine


def plain(file):
    engine = DuckDbEngine(threads=1)
    engine.register("usage", file)
    return engine


def whole_use(engine):
    """Times that all of the use was read."""
    return sum(
        "FROM usage\n" in sql
        or sql.endswith(("FROM usage WHERE grant_id IS NULL", "FROM usage WHERE ended_at < started_at"))
        for sql in engine._inner.asked
    )


uses = st.lists(
    st.builds(
        use,
        st.sampled_from(["ann", "bob", "çéd"]),
        grant=st.sampled_from([None, "g1", "g2", "g3"]),
        minute=st.integers(-5, 5),
        ended=st.booleans(),
        lasted=st.sampled_from([30, 0, -30]),
        principal=st.sampled_from([None, "ann", "bob"]),
        address=st.sampled_from([None, "10.0.0.1", "::1"]),
    ),
    max_size=25,
)


@settings(deadline=None, max_examples=10)
@given(days=st.lists(uses, min_size=1, max_size=3), size=st.integers(1, 6), sources=st.integers(1, 2))
def test_day_by_day_every_row_is_that_of_all_days_at_once(tmp_path_factory, days, size, sources):
    folder = tmp_path_factory.mktemp("days")
    for number in range(1, len(days) + 1):
        rows = [row for day in days[:number] for row in day]
        file = write_usage(folder / str(number), rows * sources, size=size)
        engine, bare = opened(file, folder / "kept"), plain(file)
        for sql in ASK.values():
            assert engine.query(sql) == bare.query(sql)
        engine.close()
        bare.close()


def test_only_new_use_is_added_up(tmp_path):
    rows = [use(minute=n, grant=f"g{n % 3}") for n in range(10)]
    first = opened(write_usage(tmp_path / "1", rows), tmp_path / "kept")
    first.query(ASK["usage_totals"])
    file = write_usage(tmp_path / "2", [*rows, use("bob", minute=11), use(minute=12)])
    second = opened(file, tmp_path / "kept")
    found = second.query(ASK["usage_totals"])
    assert (whole_use(first), whole_use(second)) == (1, 0)
    assert found == plain(file).query(ASK["usage_totals"])
    assert sum(row["uses"] for row in found) == 12


def test_several_sources_may_go_on_where_they_ended(tmp_path):
    """Each source ends with a row group that is not full, and the next day it has more rows."""
    one, other = ([use(name, minute=n) for n in range(11)] for name in ("ann", "bob"))

    def written(folder, *sources):
        folder.mkdir()
        with pq.ParquetWriter(folder / "usage.parquet", SCHEMA) as writer:
            for rows in sources:
                for start in range(0, len(rows), 4):
                    writer.write_table(pa.Table.from_pylist(rows[start : start + 4], schema=SCHEMA))
        return str(folder / "usage.parquet")

    opened(written(tmp_path / "1", one[:6], other[:7]), tmp_path / "kept").query(ASK["usage_totals"])
    file = written(tmp_path / "2", one, other)
    second = opened(file, tmp_path / "kept")
    assert second.query(ASK["usage_totals"]) == plain(file).query(ASK["usage_totals"])
    assert whole_use(second) == 0


def test_use_that_is_gone_or_changed_is_never_counted(tmp_path):
    rows = [use(minute=n) for n in range(12)]
    opened(write_usage(tmp_path / "1", rows), tmp_path / "kept").query(ASK["usage_totals"])
    for number, others in enumerate((rows[4:], [use("eve", minute=0), *rows[1:], use(minute=30)], [])):
        file = write_usage(tmp_path / f"2{number}", others)
        second = opened(file, tmp_path / "kept")
        assert second.query(ASK["usage_totals"]) == plain(file).query(ASK["usage_totals"])


def damage_rows(note, file):
    file.write_bytes(file.read_bytes()[:-20] + b"x" * 20)


def damage_note(note, file):
    note.write_text("{", "utf-8")


def other_rows(note, file):
    """A whole Parquet file, but not the one that the note is about."""
    pq.write_table(pq.read_table(file).slice(0, 0), file)


def other_maker(note, file):
    note.write_text(json.dumps({**json.loads(note.read_text("utf-8")), "made_by": "0", "key": "0"}), "utf-8")


def other_version(note, file):
    note.write_text(json.dumps({**json.loads(note.read_text("utf-8")), "tool": "0.0.0"}), "utf-8")


def no_groups(note, file):
    data = json.loads(note.read_text("utf-8"))
    note.write_text(json.dumps({**data, "groups": [1], "key": None}), "utf-8")


def not_there(note, file):
    file.unlink()


@pytest.mark.parametrize(
    "harm", [damage_rows, damage_note, other_rows, other_maker, other_version, no_groups, not_there]
)
def test_what_is_damaged_or_foreign_counts_as_not_there(tmp_path, harm):
    file = write_usage(tmp_path / "1", [use(minute=n) for n in range(10)])
    opened(file, tmp_path / "kept").query(ASK["usage_totals"])
    notes = list((tmp_path / "kept").glob("*.json"))
    assert len(notes) == 2
    for note in notes:
        harm(note, note.with_suffix(".parquet"))
    again = opened(file, tmp_path / "kept")
    assert again.query(ASK["usage_totals"]) == plain(file).query(ASK["usage_totals"])
    assert whole_use(again) == 1


def test_an_answer_is_given_again_for_the_same_evidence_and_values_only(tmp_path):
    file, sql = write_usage(tmp_path / "1", [use(), use("bob")]), "SELECT count(*) AS n FROM usage WHERE account = $who"
    assert opened(file, tmp_path / "kept").query(sql, {"who": "ann"}) == [{"n": 1}]
    again = opened(file, tmp_path / "kept")
    assert again.query(sql, {"who": "ann", "unasked": 1}) == [{"n": 1}]
    assert again._inner.asked == []
    assert again.query(sql, {"who": "eve"}) == [{"n": 0}]
    assert again.query(sql.upper().replace("$WHO", "$who"), {"who": "ann"}) == [{"N": 1}]
    more = opened(write_usage(tmp_path / "1", [use(), use()]), tmp_path / "kept")
    assert more.query(sql, {"who": "ann"}) == [{"n": 2}]


def test_an_answer_has_the_same_types_when_it_is_given_again(tmp_path):
    file = write_usage(tmp_path / "1", [use(), use(ended=False, minute=1)])
    sql = """SELECT started_at, ended_at, CAST(started_at AS DATE) AS day, 1 AS n, sum(1) OVER () AS total, 1.5 AS f,
        CAST(1.25 AS DECIMAL(5, 2)) AS d, NULL AS nothing, account = 'ann' AS ok FROM usage ORDER BY 1"""
    engines = [plain(file), opened(file, tmp_path / "kept"), opened(file, tmp_path / "kept")]
    rows = [[{k: (type(v), v) for k, v in row.items()} for row in engine.query(sql)] for engine in engines]
    assert rows[0] == rows[1] == rows[2]
    assert engines[2]._inner.asked == []


@pytest.mark.parametrize(
    "sql", ["SELECT now() AS t FROM usage", 'SELECT "CURRENT_DATE"() AS t', "SELECT random() AS t"]
)
def test_what_depends_on_more_than_evidence_is_not_kept(tmp_path, sql):
    file = write_usage(tmp_path / "1", [use()])
    engine = opened(file, tmp_path / "kept")
    with suppress(InvalidInput):
        engine.query(sql)
    assert list((tmp_path / "kept").iterdir()) == []


def test_quick_answers_are_not_kept_and_little_use_is_added_up_each_time(tmp_path):
    file = write_usage(tmp_path / "1", [use()])
    opened(file, tmp_path / "kept", least_rows=2, least_seconds=60.0).query(ASK["usage_totals"])
    assert list((tmp_path / "kept").iterdir()) == []


def test_without_a_folder_shared_tables_are_made_once(tmp_path):
    file = write_usage(tmp_path / "1", [use(minute=n) for n in range(5)])
    engine = opened(file, None)
    assert (
        engine.query(ASK["usage_totals"]) == engine.query(ASK["usage_totals"]) == plain(file).query(ASK["usage_totals"])
    )
    assert whole_use(engine) == 1
    engine.register("usage", file)
    engine.query(ASK["usage_totals"])
    assert whole_use(engine) == 1
    engine.register("usage", write_usage(tmp_path / "2", [use()]))
    assert [row["uses"] for row in engine.query(ASK["usage_totals"])] == [1]


def test_only_the_owner_can_read_what_is_kept(tmp_path):
    opened(write_usage(tmp_path / "1", [use()]), tmp_path / "kept").query(ASK["usage_totals"])
    assert (tmp_path / "kept").stat().st_mode & 0o077 == 0
    assert all(file.stat().st_mode & 0o077 == 0 for file in (tmp_path / "kept").iterdir())


def test_few_versions_of_a_shared_table_are_kept(tmp_path):
    for number in range(8):
        rows = [use(f"a{number}", minute=n) for n in range(4)]
        opened(write_usage(tmp_path / str(number), rows), tmp_path / "kept").query(ASK["usage_totals"])
    assert len(list((tmp_path / "kept").glob("usage_totals-*.parquet"))) == 4


def totals_of(file, uses):
    """A piece with rows of one account, used so many times."""
    nothing = pa.array([None] * len(uses), pa.string())
    columns = dict.fromkeys(("grant_id", "resource", "account", "principal"), nothing)
    columns["uses"] = pa.array(uses, pa.int64())
    for name in ("first_started_at", "last_started_at", "last_ended_at", "last_used_at"):
        columns[name] = pa.array([AT] + [None] * (len(uses) - 1), pa.timestamp("us", tz="UTC"))
    pq.write_table(pa.table({**columns, "address": nothing}), file)
    return file


def test_counts_are_added_up_exactly(tmp_path):
    engine = DuckDbEngine()
    engine.register("p1", str(totals_of(tmp_path / "p.parquet", [2**61, 2**61 + 1])))
    (row,) = engine.query(TOTALS.merged(["p1"]))
    assert (row["uses"], row["first_started_at"]) == (2**62 + 1, AT)


def test_a_sum_beyond_64_bits_is_an_error_and_no_number(tmp_path):
    engine = DuckDbEngine()
    engine.register("p1", str(totals_of(tmp_path / "p.parquet", [2**62, 2**62])))
    with pytest.raises(InvalidInput, match="out of range"):
        engine.query(TOTALS.merged(["p1"]))


@needs_spark
@pytest.mark.usefixtures("spark")
@pytest.mark.timeout(280)
def test_spark_keeps_the_same_rows_and_sums_as_far(tmp_path):
    rows = [use(name, minute=n, grant=g) for n in range(4) for name, g in (("ann", "g1"), ("bob", None))]
    engines = []
    for number in (6, 8):
        file = write_usage(tmp_path / str(number), rows[:number])
        engine = KeptEngine(spark_engine(), tmp_path / "kept", least_rows=1, least_seconds=0.0)
        engine.register("usage", file)
        for sql in ASK.values():
            asked = sql.replace("ORDER BY ALL", "ORDER BY resource")
            found, expected = engine.query(asked), plain(file).query(asked)
            assert sorted(map(repr, found)) == sorted(map(repr, expected))
        engines.append(engine)
    engines[-1]._inner.register("p1", str(totals_of(tmp_path / "p.parquet", [2**61, 2**61])))
    assert engines[-1]._inner.query(TOTALS.merged(["p1"]))[0]["uses"] == 2**62
    engines[-1]._inner.register("p2", str(totals_of(tmp_path / "q.parquet", [2**62, 2**62])))
    with pytest.raises((InvalidInput, Unavailable)):
        engines[-1]._inner.query(TOTALS.merged(["p2"]))
    for engine in engines:
        engine.close()


@pytest.mark.parametrize("late", [0, 900_000])
def test_an_error_is_the_same_whenever_it_shows(tmp_path, late):
    """Rows are written piece by piece: what is wrong with the last of them shows when the first are written."""
    sql = f"SELECT CASE WHEN i >= {late} THEN CAST('x' || i AS INTEGER) END AS n FROM range(1000000) t(i)"
    engine = opened(write_usage(tmp_path / "1", [use()]), tmp_path / "kept")
    with pytest.raises(InvalidInput, match="the query cannot be run"):
        engine.query(sql)
    assert list((tmp_path / "kept").iterdir()) == []


def test_where_nothing_can_be_kept_everything_is_computed(tmp_path):
    """The folder is a file here; a full disk and a folder of somebody else are no different."""
    (tmp_path / "kept").write_text("")
    file = write_usage(tmp_path / "1", [use(minute=n) for n in range(5)])
    engine = opened(file, tmp_path / "kept")
    assert engine.query(ASK["usage_totals"]) == plain(file).query(ASK["usage_totals"])
    assert (tmp_path / "kept").read_text() == ""
