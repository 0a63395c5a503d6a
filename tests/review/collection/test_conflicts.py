"""Files that an operator writes for a review: conflicting duties, and lists of sources."""

from __future__ import annotations

import pytest

from lapse.domain.errors import InvalidInput, NotFound
from lapse.review.collection.conflicts import conflict_rows
from lapse.review.sources.wanted import WantedSource, parse_wanted, read_wanted, spelled

GOOD = """
conflicts:
  - name: pay
    reason: who enters must not release
    sides:
      enter: [erp/clerk]
      release: [bank/signer, bank/admin]
"""


def test_a_conflict_has_sides_with_roles(tmp_path):
    (tmp_path / "c.yaml").write_text(GOOD)
    rows = conflict_rows(tmp_path / "c.yaml")
    assert [(row["side"], row["resource"], row["role"]) for row in rows] == [
        ("enter", "erp", "clerk"),
        ("release", "bank", "signer"),
        ("release", "bank", "admin"),
    ]
    assert {(row["conflict"], row["reason"]) for row in rows} == {("pay", "who enters must not release")}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[", "cannot be read as YAML"),
        ("\xff", "has no list `conflicts`"),
        ("a: 1", "has no list `conflicts`"),
        ("conflicts: [7]", "conflict 1 of `c.yaml` is not `name`"),
        ("conflicts: [{name: x, sides: {a: [p/q]}}]", "needs at least two sides"),
        ("conflicts: [{name: x, sides: {a: [p/q], b: p/q}}]", "side `b` of conflict 1"),
        ("conflicts: [{name: x, sides: {a: [p/q], b: [pq]}}]", "`pq`"),
        ("conflicts: [{name: x, sides: {a: [p/q], b: [p/r]}, extra: 1}]", "is not `name`"),
    ],
)
def test_a_mistake_in_it_is_named_with_its_place(tmp_path, text, says):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(InvalidInput, match=says):
        conflict_rows(tmp_path / "c.yaml")


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(NotFound):
        conflict_rows(tmp_path / "none.yaml")
    with pytest.raises(NotFound):
        read_wanted(tmp_path / "none.yaml")


def test_a_source_is_its_kind_and_place_with_options(tmp_path):
    wanted = parse_wanted("cloudtrail=logs/AWSLogs,complete=yes,gap=PT2H")
    assert (wanted.kind, str(wanted.path), wanted.options) == (
        "cloudtrail", "logs/AWSLogs", {"complete": "yes", "gap": "PT2H"},
    )  # fmt: skip
    again = parse_wanted(spelled(wanted))
    assert (again.kind, again.options) == (wanted.kind, wanted.options)
    assert again.path.is_absolute()


def test_a_file_lists_sources_beside_it(tmp_path):
    (tmp_path / "s.yaml").write_text(
        "sources:\n  - {kind: aws-iam, path: iam.json}\n  - {kind: cloudtrail, path: logs, options: {complete: yes}}\n"
    )
    assert read_wanted(tmp_path / "s.yaml") == [
        WantedSource(kind="aws-iam", path=tmp_path / "iam.json"),
        WantedSource(kind="cloudtrail", path=tmp_path / "logs", options={"complete": "yes"}),
    ]


@pytest.mark.parametrize("text", ["", "cloudtrail", "cloudtrail=", "cloudtrail=x,complete", "cloudtrail=x,=yes"])
def test_what_names_no_source_is_refused(text):
    with pytest.raises(InvalidInput, match="names no source"):
        parse_wanted(text)


def test_a_kind_that_there_is_not_is_refused_with_those_there_are():
    with pytest.raises(NotFound, match="no kind of source `cloudtrial`"):
        parse_wanted("cloudtrial=x")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sources: 1", "has no list `sources`"),
        ("sources: [{kind: aws-iam}]", "source 1 of `s.yaml` is not"),
        ("sources: [{kind: aws-iam, path: 7}]", "kind and path are texts"),
        ("sources: [{kind: aws-iam, path: x, more: 1}]", "source 1 of `s.yaml` is not"),
        ("sources: [", "cannot be read as YAML"),
    ],
)
def test_a_list_with_a_mistake_is_refused_with_its_place(tmp_path, text, says):
    (tmp_path / "s.yaml").write_text(text)
    with pytest.raises(InvalidInput, match=says):
        read_wanted(tmp_path / "s.yaml")
