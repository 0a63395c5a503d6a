"""Tables as CSV and the workbook: whole, read back by other programs, and nothing in them is a formula."""

from __future__ import annotations

import csv
import io
import zipfile
from dataclasses import replace
from datetime import UTC, datetime

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.review.frameworks import all_frameworks
from lapse.review.pack import table_files
from lapse.review.pack.spreadsheet import FINDING_COLUMNS, plain_cell, safe_cell
from lapse.review.pack.table_files import table_csv
from lapse.review.pack.workbook import workbook
from lapse.review.seal import seal
from support.sample_review import ITEMS, MADE, renamed, sample_contents, sample_result


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return sample_result(tmp_path_factory.mktemp("snapshot"))


def rows_of(pieces):
    return list(csv.reader(io.StringIO(b"".join(pieces).decode(), newline="")))


def book_of(result):
    return openpyxl.load_workbook(io.BytesIO(workbook(result, all_frameworks(), "A review", MADE)))


def cells(book):
    return [cell for sheet in book for row in sheet.iter_rows() for cell in row if cell.value is not None]


def test_every_table_of_the_pack_is_there_as_csv(sealed):
    names = {path.stem for path in (sealed.folder / "tables").iterdir()}
    assert {path.stem for path in (sealed.folder / "csv").iterdir()} == names | {"index"}
    grants = rows_of([(sealed.folder / "csv/grants.csv").read_bytes()])
    assert grants[0] == ["id", "n"]
    assert len(grants) == 241
    index = rows_of([(sealed.folder / "csv/index.csv").read_bytes()])
    assert index[1] == ["grants", "240", "csv/grants.csv", ""]


def test_cells_of_every_kind_are_spelled(tmp_path):
    at = datetime(2026, 10, 2, 8, 30, 0, 125, tzinfo=UTC)
    table = pa.table(
        {
            "text": ['=1+1 "quoted", a\nline', None, "plain"],
            "number": [-5, None, 7],
            "yes": [True, False, None],
            "at": pa.array([at, None, at], pa.timestamp("us", tz="UTC")),
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    assert rows_of(table_csv(tmp_path / "t.parquet")) == [
        ["text", "number", "yes", "at"],
        ['\'=1+1 "quoted", a\nline', "-5", "true", "2026-10-02T08:30:00.000125Z"],
        ["", "", "false", ""],
        ["plain", "7", "", "2026-10-02T08:30:00.000125Z"],
    ]
    assert b"".join(table_csv(tmp_path / "t.parquet")).count(b"\r\n") == 4


@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"])), max_size=5))
def test_a_column_is_guarded_as_single_cells_are(texts):
    from pathlib import Path
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        pq.write_table(pa.table({"text": pa.array(texts, pa.string())}), Path(folder) / "t.parquet")
        found = [row[0] for row in rows_of(table_csv(Path(folder) / "t.parquet"))[1:] if row]
    assert found == [safe_cell(text) for text in texts]
    assert [plain_cell(cell) for cell in found] == texts


def test_a_table_that_is_too_large_is_left_out_and_said_so(signer, tmp_path, monkeypatch):
    monkeypatch.setattr(table_files, "MOST_ROWS", 250)
    contents = sample_contents(tmp_path / "snapshot", signer)
    folder = seal(contents, signer=signer, into=tmp_path / "sealed").folder
    assert (folder / "csv/grants.csv").is_file()
    assert not (folder / "csv/usage.csv").exists()
    index = {row[0]: row[2:] for row in rows_of([(folder / "csv/index.csv").read_bytes()])}
    assert index["usage"] == ["", "it has more than 250 rows, which no spreadsheet opens"]


def test_the_workbook_has_a_sheet_for_each_thing(result):
    book = book_of(result)
    assert book.sheetnames == [
        "About", "Findings", "Items", "Clauses", "Detectors", "Grants in force", "Standing access", "Population",
    ]  # fmt: skip
    findings = list(book["Findings"].values)
    assert list(findings[0]) == [name.replace("_", " ") for name in FINDING_COLUMNS]
    assert len(findings) == len(result.findings) + 1
    assert len(list(book["Items"].values)) == len(ITEMS) + 1
    assert len(list(book["Clauses"].values)) == sum(len(one.clauses) for one in all_frameworks()) + 1


@pytest.mark.parametrize(
    "hostile", ["=1+1", "+1", "-1", "@SUM(A1)", "=cmd|' /C calc'!A0", "\t=1", "https://example.com"]
)
def test_nothing_in_the_workbook_is_a_formula_or_a_link(result, hostile):
    book = book_of(renamed(result, hostile))
    found = cells(book)
    assert any(cell.value == hostile for cell in found)
    assert {cell.data_type for cell in found} <= {"s", "n"}
    assert all(cell.hyperlink is None for cell in found)
    assert all(cell.quotePrefix for cell in found if cell.value == hostile)
    raw = zipfile.ZipFile(io.BytesIO(workbook(renamed(result, hostile), all_frameworks(), hostile, MADE)))
    sheets = [raw.read(name) for name in raw.namelist() if name.startswith("xl/worksheets/sheet")]
    assert not any(b"<f>" in sheet for sheet in sheets)


@pytest.mark.parametrize("odd", ["a\0b", "\ud800", "x" * 40_000, "<&>\"'"])
def test_odd_texts_make_a_workbook_that_opens(result, odd):
    assert cells(book_of(renamed(result, odd)))


def test_the_same_review_gives_the_same_workbook(result):
    first, second = (workbook(result, all_frameworks(), "A review", MADE) for _ in range(2))
    assert first == second


def test_rows_beyond_what_a_sheet_takes_are_counted(result, monkeypatch):
    monkeypatch.setattr("lapse.review.pack.workbook.MOST_ROWS", 3)
    items = tuple(replace(ITEMS[0], id=f"it_{n}") for n in range(9))
    book = book_of(replace(result, items=items))
    assert len(list(book["Items"].values)) == 4
    assert ("Sheet Items", "9 rows, the first 3 of them here, all in the CSV files") in list(book["About"].values)
