"""CSV, JSON and Parquet files of every sort, read by a mapping."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lapse.domain.errors import InvalidInput
from lapse.review.model import Coverage
from lapse.review.sources.mapping import inputs, rows
from support.aws_files import problems, write
from support.mapped_files import LOGINS, login, read, read_records, rule

TIME = datetime(2026, 7, 1, 10, 30, tzinfo=UTC)


# Formats


def test_csv_has_a_header_quotes_and_any_delimiter(tmp_path):
    mapping = """
version: 1
format: csv
delimiter: ";"
timezone: Europe/Berlin
tables:
  usage:
    columns:
      resource: {value: erp}
      account: $['User Name']
      started_at: {path: $.Zeit, as: "strptime:%d.%m.%Y %H:%M"}
      action: $.Was
"""
    text = 'User Name; Zeit ;Was\r\nann;01.07.2026 12:30;"reads; ""all""\r\nof it"\r\n\r\nMüller;01.07.2026 12:30;x\r\n'
    write(tmp_path, log__csv=text.encode("cp1252"))
    result = read(tmp_path / "log.csv", tmp_path, mapping)
    assert [(row["account"], row["started_at"], row["action"]) for row in result.usage] == [
        ("ann", TIME, 'reads; "all"\nof it'),
        ("Müller", TIME, "x"),
    ]
    assert problems(result) == {"records that are not UTF-8 were read as Windows-1252": 1}


CSV = rule({"action": "$.x"}, head="format: csv")


@pytest.mark.parametrize(
    ("data", "used", "why"),
    [
        (b"a,x\nann,1\nbob\ncat,3\n", 2, "it has 1 cells, and the header 2"),
        (b"a,x\nann,1\nbob,2,3\n", 1, "it has 3 cells"),
        (b'a,x\nann,1\n"bob,2\ncat,3\n', 1, "its quotes are never closed"),
        (b'a,x\nann,1\n"b"ob,2\n', 1, "it is no record of CSV"),
        (b"a,x\nann," + b"y" * 200_000 + b"\nbob,1\n", 1, "field larger than field limit"),
        (b"a,x\n,1\nbob,2\n", 1, "`usage.account` is missing"),
    ],
)
def test_a_row_of_csv_that_cannot_be_read_is_rejected(tmp_path, data, used, why):
    write(tmp_path, log__csv=data)
    result = read(tmp_path / "log.csv", tmp_path, CSV)
    assert (len(result.usage), result.report.rejected) == (used, 1)
    assert why in result.report.examples[0]


def test_a_header_with_one_name_twice_is_refused(tmp_path):
    write(tmp_path, log__csv=b"a,a\n1,2\n")
    with pytest.raises(InvalidInput, match="column `a` twice"):
        read(tmp_path / "log.csv", tmp_path, CSV)


def parquet(folder, name="log.parquet", **columns):
    pq.write_table(pa.table(columns), folder / name, row_group_size=2)
    return folder / name


PARQUET = rule({"started_at": "{path: $.t, as: epoch_ms}", "account": "$.u.name", "action": "$.n"})


def test_parquet_has_its_own_types(tmp_path):
    file = parquet(
        tmp_path,
        t=pa.array([TIME, TIME, TIME], pa.timestamp("ms", tz="Europe/Berlin")),
        u=[{"name": "ann"}, {"name": "bob"}, {"name": None}],
        n=pa.array([1, 2, 3], pa.decimal128(5)),
    )
    result = read(file, tmp_path, PARQUET)
    assert [(row["account"], row["started_at"], row["action"]) for row in result.usage] == [
        ("ann", TIME, "1"),
        ("bob", TIME, "2"),
    ]
    assert result.report.examples == ("log.parquet: row 3: `usage.account` is missing",)


def test_an_odd_value_in_parquet_costs_only_its_row(tmp_path):
    times = pa.array([1782901800000000, 2**62], pa.timestamp("us"))
    file = parquet(tmp_path, t=times, u=[{"name": "ann"}, {"name": "bob"}], n=["x", "y"])
    result = read(file, tmp_path, PARQUET.replace("version: 1", "version: 1\ntimezone: UTC"))
    assert [row["account"] for row in result.usage] == ["ann"]
    assert "a value in it cannot be read" in result.report.examples[0]


@pytest.mark.parametrize("cut", [0, 3, 50, -1, -20])
def test_a_parquet_file_that_is_cut_off_is_rejected(tmp_path, cut):
    file = parquet(tmp_path, t=[1], u=[{"name": "ann"}], n=["x"])
    file.write_bytes(file.read_bytes()[:cut])
    result = read(file, tmp_path, PARQUET)
    assert (result.usage, result.report.rejected) == ([], 1)
    assert result.manifest.table("usage").coverage is Coverage.PARTIAL


def test_a_parquet_file_that_would_unpack_to_too_much_is_rejected(tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "MOST_ROW_GROUP", 10)
    result = read(parquet(tmp_path, t=[1], u=[{"name": "ann"}], n=["x"]), tmp_path, PARQUET)
    assert "more than is read" in result.report.examples[0]


def test_a_folder_may_have_files_of_several_formats(tmp_path):
    folder = tmp_path / "in"
    write(
        tmp_path,
        in_S_a__jsonl=json.dumps(login(1)).encode(),
        in_S_b__json__gz=json.dumps([login(2)], indent=2).encode(),
        in_S_c__bin=b"?",
    )
    pq.write_table(pa.Table.from_pylist([login(3)]), folder / "d.parquet")
    result = read(folder, tmp_path)
    assert (len(result.usage), result.report.files) == (3, 4)  # the mapping is one of them
    assert problems(result) == {"files that are not of this kind by their names were not read": 1}


def test_a_file_whose_name_says_nothing_is_refused_unless_the_mapping_says_what_it_is(tmp_path):
    write(tmp_path, export=json.dumps(login()).encode())
    with pytest.raises(InvalidInput, match="does not say what it is"):
        read(tmp_path / "export", tmp_path)
    assert len(read(tmp_path / "export", tmp_path, "format: json\n" + LOGINS).usage) == 1


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b'[{"a": 1}, 7]', "it is no JSON object"),
        (b'{"id": 1, "type": "login"}', "`usage.account` is missing"),
        (
            b'{"type": "login", "user": {"name": ["x"]}, "time": "2026-07-01T10:00:00Z"}',
            "`usage.account`: a list is no single value",
        ),
        (b'{"type": "login", "user": {"name": "x"}, "time": "soon"}', "`usage.started_at`: `soon` is not a time"),
        (b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}", "nested too deeply"),
        (b'{"a": "\xff"', "truncated"),
    ],
)
def test_a_record_that_cannot_be_read_is_rejected_whole(tmp_path, data, why):
    write(tmp_path, log__json=data)
    result = read(tmp_path / "log.json", tmp_path)
    assert any(why in example for example in result.report.examples), result.report.examples
    assert result.usage == []


def test_packed_json_that_ends_early_gives_what_there_is(tmp_path):
    data = "\n".join(json.dumps(login(n)) for n in range(3000)).encode()
    (tmp_path / "log.jsonl.gz").write_bytes(gzip.compress(data)[:-100])
    result = read(tmp_path / "log.jsonl.gz", tmp_path)
    assert 0 < len(result.usage) < 3000
    assert result.report.rejected >= 1


def test_where_records_should_be_and_are_not_the_object_is_rejected(tmp_path):
    mapping = LOGINS.replace("id: $.id", "records: $.items[*]")
    result = read_records(tmp_path, {"items": []}, {"item": [login()]}, {"items": [login(), 7]}, mapping=mapping)
    assert (len(result.usage), result.report.rejected) == (1, 2)
    assert result.report.examples == (
        "log.json: record 2: there is nothing at `$.items[*]`",
        "log.json: record 3 item 2: it is no record",
    )


def test_a_record_with_endless_items_is_rejected(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "MOST_ROWS", 10)
    mapping = LOGINS.replace("    where:", "    from: $.many[*]\n    where:")
    assert "more than 10 rows" in read_records(tmp_path, login(many=[1] * 50), mapping=mapping).report.examples[0]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60, deadline=None
)
@given(
    st.lists(
        st.builds(lambda key, value: login() | {key: value}, st.sampled_from(sorted(login())), json_values), max_size=6
    )
)
def test_any_records_are_used_skipped_or_rejected(tmp_path, records):
    assert read_records(tmp_path, *records).report.records == len(records)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60, deadline=None
)
@given(st.binary(max_size=80) | st.text(alphabet='a,"\n\r;x', max_size=40).map(str.encode))
def test_any_bytes_are_rows_of_csv_or_rejected(tmp_path, data):
    (tmp_path / "log.csv").write_bytes(data)
    try:
        result = read(tmp_path / "log.csv", tmp_path, CSV)
    except InvalidInput:
        return  # two columns of its header have one name
    assert result.report.records == result.report.used + result.report.rejected + sum(result.report.skipped.values())
