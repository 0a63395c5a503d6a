"""Records of any system with their mappings, and reading them."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from lapse.review.sources.mapping import rows
from lapse.review.sources.mapping.language import parse_mapping
from support.aws_files import read_as, write

TAKEN = "2026-08-01T00:00:00Z"
LOGINS = """
version: 1
id: $.id
tables:
  usage:
    where: {path: $.type, equals: login}
    person: $.user.mail
    columns:
      resource: {value: crm}
      account: $.user.name
      started_at: $.time
      action: $.type
"""


def at(text):
    return datetime.fromisoformat(f"2026-07-{text}").replace(tzinfo=UTC)


def login(number=1, **more):
    user = {"name": "a.nn", "mail": "ann@example.com"}
    return {"id": number, "type": "login", "user": user, "time": "2026-07-01T10:00:00Z"} | more


def read(place, tmp_path, mapping=LOGINS, **options):
    (tmp_path / "crm.yaml").write_text(mapping, "utf-8")
    return read_as("mapped", place, tmp_path, mapping=str(tmp_path / "crm.yaml"), **({"taken_at": TAKEN} | options))


def read_records(tmp_path, *records, mapping=LOGINS, **options):
    write(tmp_path, log__json=json.dumps(records).encode())
    return read(tmp_path / "log.json", tmp_path, mapping, **options)


def rule(columns, table="usage", head=""):
    """A mapping of one rule; columns that usage needs are filled in."""
    base = {"resource": "{value: crm}", "account": "$.a", "started_at": "{value: 2026-07-01T00:00:00Z}"}
    lines = [f"      {name}: {text}" for name, text in ((base if table == "usage" else {}) | columns).items()]
    return f"version: 1\n{head}\ntables:\n  {table}:\n    columns:\n" + "\n".join(lines) + "\n"


def cell(text, value, column="action", head=""):
    """What a column comes to for the record `{"a": "ann", "x": value}`."""
    mapping = parse_mapping("m", rule({column: text}, head=head))
    (made,) = rows.rows_of({"a": "ann", "x": value}, mapping)
    return made.row[column]
