"""Evidence from files: every row is taken, or counted and shown."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.domain.catalog import Catalog
from lapse.domain.errors import InvalidInput, NotFound
from lapse.review.collection.collect import Inputs, collect_imports
from lapse.review.collection.identities import Identities
from lapse.review.collection.identity_rules import rules_of
from lapse.review.collection.imports import read_row
from lapse.review.collection.people import People, read_people
from lapse.review.collection.snapshot import load_snapshot
from lapse.review.detection.cases import AS_OF
from lapse.review.evidence import TABLES
from lapse.review.model import Coverage
from lapse.review.scope import parse_scope

SCOPE = parse_scope("all", "2026-Q3")
HEADER = "resource,account,started_at\n"


def imported(folder, **files):
    source = folder / "in"
    source.mkdir()
    for name, content in files.items():
        (source / name.replace("__", ".")).write_bytes(content if isinstance(content, bytes) else content.encode())
    return collect_imports(Inputs(imports=source), SCOPE, folder / "snapshot", AS_OF)


def usage_of(snapshot):
    return pq.read_table(f"{snapshot.folder}/usage.parquet").to_pylist()


def test_good_rows_are_taken_as_they_are(tmp_path):
    snapshot = imported(tmp_path, usage__csv=HEADER + 'pg,"ann ""x"", y",2026-07-01T10:00:00+02:00\n')
    assert [(u["account"], u["started_at"].isoformat()) for u in usage_of(snapshot)] == [
        ('ann "x", y', "2026-07-01T08:00:00+00:00")
    ]
    assert snapshot.manifest.problems == ()


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("pg,,2026-07-01T10:00:00Z", "`account` is missing"),
        ("pg,ann,tomorrow", "`started_at` is `tomorrow`, which is not a time"),
        ("pg,ann,2026-07-01T10:00:00", "is not a time"),
        ("pg,ann,2026-07-01T10:00:00Z,more", "more cells than the header has"),
        ("pg", "`account` is missing"),
    ],
)
def test_a_bad_row_is_counted_and_shown_and_the_others_stay(tmp_path, row, says):
    snapshot = imported(tmp_path, usage__csv=f"{HEADER}pg,ann,2026-07-01\n{row}\npg,bob,2026-07-02\n")
    table = snapshot.manifest.table("usage")
    assert (table.rows, table.rejected, table.coverage) == (2, 1, Coverage.PARTIAL)
    (problem,) = snapshot.manifest.problems
    assert problem.rows == 1
    assert says in problem.examples[0]
    assert problem.examples[0].startswith("line 3")


def test_an_empty_file_with_a_header_is_a_table_without_rows_and_no_file_is_no_table(tmp_path):
    snapshot = imported(tmp_path, usage__csv=HEADER)
    assert snapshot.manifest.table("usage").coverage is Coverage.COMPLETE
    assert snapshot.manifest.table("coverage").coverage is Coverage.ABSENT
    assert load_snapshot(tmp_path / "snapshot") == snapshot


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe\x00bad", HEADER.encode() + b'pg,"never closed,2026', HEADER.encode() + b"pg,\x00\xff,2026"],
)
def test_a_file_that_cannot_be_read_is_a_gap(tmp_path, content):
    snapshot = imported(tmp_path, usage__csv=content)
    assert snapshot.manifest.table("usage").coverage is Coverage.PARTIAL
    assert snapshot.manifest.problems


def test_a_parquet_file_that_is_none_is_a_gap(tmp_path):
    snapshot = imported(tmp_path, usage__parquet=b"PAR1 not really")
    assert "could not be read" in snapshot.manifest.problems[0].what


def test_unknown_files_and_columns_are_named(tmp_path):
    snapshot = imported(
        tmp_path, usage__csv="resource,account,started_at,mood\npg,ann,2026-07-01,good\n", gossip__csv="a\n1\n"
    )
    said = {problem.source: problem.examples for problem in snapshot.manifest.problems}
    assert said == {"usage.csv": ("mood",), "gossip.csv": ()}


def test_parquet_is_taken_whole_or_row_by_row(tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    exact = [{"resource": "pg", "account": "ann", "started_at": AS_OF}]
    pq.write_table(pa.Table.from_pylist(exact, schema=TABLES["usage"].schema()), source / "usage.parquet")
    loose = pa.table(
        {"resource": ["pg", None], "from_at": [AS_OF, AS_OF], "to_at": [AS_OF, AS_OF], "complete": [True, True]}
    )
    pq.write_table(loose, source / "coverage.parquet")
    snapshot = collect_imports(Inputs(imports=source), SCOPE, tmp_path / "snapshot", AS_OF)
    assert snapshot.manifest.table("usage").rows == 1
    coverage = snapshot.manifest.table("coverage")
    assert (coverage.rows, coverage.rejected, coverage.reconciled) == (1, 1, True)


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(NotFound, match="there is no folder"):
        collect_imports(Inputs(imports=tmp_path / "none"), SCOPE, tmp_path / "snapshot", AS_OF)


def test_people_are_known_by_login_or_mail_address(tmp_path):
    file = tmp_path / "people.csv"
    file.write_text("Name,Email,Login\nNina,nina@example.com,\nOtto,,otto;otto_admin\n,,\n", "utf-8-sig")
    people = read_people(file)
    rules, _ = rules_of(Catalog(), people, None)
    identities = Identities(rules)
    found = [identities.of("pg", login) for login in ("nina", "OTTO", "otto_admin", "eve")]
    assert found == ["Nina", "Otto", "Otto", None]
    assert people.problems[0].rows == 1


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n"])
def test_a_file_without_names_is_not_a_list_of_people(tmp_path, content):
    file = tmp_path / "people.csv"
    file.write_text(content)
    if content:
        with pytest.raises(InvalidInput, match="has no column"):
            read_people(file)
    else:
        assert read_people(file).persons == ()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b'name,email\n"cut,', "it ends inside of a quoted cell"),
        ("name\nJ\N{LATIN SMALL LETTER U WITH DIAERESIS}rgen\n".encode("latin-1"), "it is not UTF-8"),
        ("name\nAnn\n".encode("utf-16"), "it is not UTF-8"),
        (b"name\n" + b"x" * 200_000, "field larger than field limit"),
    ],
)
def test_a_damaged_list_of_people_or_accounts_is_refused_in_a_sentence(tmp_path, content, why):
    file = tmp_path / "people.csv"
    file.write_bytes(content)
    with pytest.raises(InvalidInput, match=f"`people.csv` cannot be read as CSV: {why}"):
        read_people(file)
    with pytest.raises(InvalidInput, match=f"`people.csv` cannot be read as CSV: {why}"):
        rules_of(Catalog(), People(), file)


@given(st.dictionaries(st.sampled_from([c.name for c in TABLES["grants"].columns]), st.text(max_size=12)))
def test_any_cells_make_a_row_or_are_refused(cells):
    try:
        row = read_row(TABLES["grants"], cells)
    except InvalidInput:
        return
    assert all(row[name] is not None for name in TABLES["grants"].required)
