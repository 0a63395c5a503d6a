"""The JSON Schemas of policy files and of their tests (draft 2020-12), for editors. Written out of the languages.

`python -m lapse.policy.schema` prints that of policies, with `cases` that of tests. `schema.json` and
`cases.schema.json` in this package hold them, and so do the files in `docs`; a test keeps the copies.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from lapse.policy.cases.language import CASE_FILE
from lapse.policy.language import LIMIT, OFFER, POLICY_FILE


def policy_schema() -> dict[str, Any]:
    """The schema as a value."""
    file = POLICY_FILE.schema()
    properties = file["properties"]
    properties["offers"]["items"] = {"$ref": "#/$defs/offer"}
    properties["limits"]["items"] = {"$ref": "#/$defs/limit"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "lapse policy",
        **file,
        "$defs": {"offer": OFFER.schema(), "limit": LIMIT.schema()},
    }


def cases_schema() -> dict[str, Any]:
    """The schema of files with test cases."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "test cases of a lapse policy",
        **CASE_FILE.schema(),
    }


def schema_text(what: str = "policy") -> str:
    """The schema of `policy` or `cases` as it is kept in files."""
    schema = cases_schema() if what == "cases" else policy_schema()
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":  # pragma: no cover  a test runs it in a process of its own
    sys.stdout.write(schema_text(*sys.argv[1:2]))
