from __future__ import annotations

from pathlib import Path

import pytest

from lapse.review.evidence import TABLES
from lapse.review.evidence.columns import tables_markdown


def test_the_page_of_evidence_tables_is_the_one_generated_from_the_declaration():
    assert (Path(__file__).parents[2] / "docs" / "evidence.md").read_text("utf-8") == tables_markdown(TABLES.values())


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_table_has_texts_and_distinct_columns_and_a_schema(table):
    names = [column.name for column in table.columns]
    assert len(set(names)) == len(names)
    assert all(column.doc for column in table.columns)
    assert table.required
    assert table.schema().names == names
