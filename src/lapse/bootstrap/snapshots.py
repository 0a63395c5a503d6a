"""Where the evidence of reviews is kept besides the home folder, as `[review]` in `lapse.toml` says.

Used by `reviewing` and by the settings. Imports nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lapse.domain.errors import InvalidInput
from lapse.storage.s3 import S3Snapshots, parse_place

if TYPE_CHECKING:
    from lapse.ports import SnapshotStore


def check_snapshots(url: str, endpoint: str) -> None:
    """Raise `InvalidInput` unless `url` is empty, or a place in S3 at `endpoint`."""
    if url:
        parse_place(url, endpoint)
    elif endpoint:
        raise InvalidInput(
            "`snapshots_endpoint` in [review] needs `snapshots`",
            hint='say which bucket: snapshots = "s3://BUCKET/PREFIX"',
        )


def snapshot_store(url: str, endpoint: str = "") -> SnapshotStore | None:
    """The store at `url`, which is not asked yet; None if there is none."""
    return S3Snapshots(parse_place(url, endpoint)) if url else None
