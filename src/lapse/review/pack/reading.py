"""Reads a sealed pack back: the result that was sealed, with its items, and where its tables are.

Called by whoever makes an export of it. The pack is verified first, so what is read is what was sealed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lapse.domain.data import from_data
from lapse.domain.errors import Corrupt
from lapse.domain.names import shown
from lapse.domain.times import parse_time
from lapse.review.model import ReviewResult
from lapse.review.pack.contents import PackContents
from lapse.review.pack.standalone_items import ITEMS
from lapse.review.pack.standalone_verify import PROOFS, verify_pack


def sealed_contents(folder: Path, key: str, sealed_by: str, product_version: str) -> tuple[PackContents, str]:
    """The contents of the pack in `folder`, without the policies, and the hash (hex) of its manifest.

    Raises:
        Corrupt: it is not as it was sealed by the holder of `key` (a vkey), or is of a form that cannot be read.
    """
    outcome = verify_pack(str(folder), key)
    if not outcome.ok:
        file, problem = outcome.problems[0]
        raise Corrupt(f"the sealed pack does not verify: `{file}` {problem}", hint="restore it from a backup")
    try:
        review: dict[str, Any] = json.loads((folder / "review.json").read_bytes())
        body = review["result"]
        with (folder / ITEMS).open("rb") as lines:
            items = [json.loads(line) for line in lines]
        for table in body["snapshot"]["manifest"]["tables"]:
            table["file"] = table["file"] and f"{table['table']}.parquet"
        body |= {"items": items, "snapshot": body["snapshot"] | {"folder": str(folder / "tables")}}
        contents = PackContents(
            name=outcome.manifest["pack"],
            title=review["title"],
            result=from_data(ReviewResult, body),
            sealed_at=parse_time(outcome.manifest["sealed_at"]),
            sealed_by=sealed_by,
            product_version=product_version,
            ledger=json.loads((folder / PROOFS).read_bytes()) if outcome.manifest["ledger"] else None,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Corrupt(f"the sealed pack cannot be read back: {shown(str(error), 200)}") from None
    return contents, outcome.manifest_sha256
