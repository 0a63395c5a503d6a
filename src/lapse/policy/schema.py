"""The JSON Schema of policy files (draft 2020-12), for editors. Written out of `language`; a test keeps the copy.

`python -m lapse.policy.schema` prints it; `schema.json` in this package and `docs/policy.schema.json` hold it.
"""

from __future__ import annotations

import json
import sys
from typing import Any

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


def schema_text() -> str:
    """The schema as it is kept in files."""
    return json.dumps(policy_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":  # pragma: no cover  a test runs it in a process of its own
    sys.stdout.write(schema_text())
