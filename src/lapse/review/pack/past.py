"""What a sealed pack found, for comparing it with another review. Offline; the pack is verified with its own key."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lapse.domain.data import from_data
from lapse.domain.errors import InvalidInput
from lapse.domain.names import shown
from lapse.review.model import PastReview, RunStatus
from lapse.review.pack.standalone_verify import Verification, verify_pack

_FINDINGS = "findings.json"


@dataclass(frozen=True, slots=True)
class PastPack:
    """The findings of a pack, and the name of the key that it was signed by."""

    review: PastReview
    signer: str


def past_of_pack(path: Path) -> PastPack:
    """The findings of the pack at `path`, a zip file or its unpacked folder.

    Raises:
        InvalidInput: it is no pack, is not as it was sealed, or its findings cannot be read.
    """
    outcome = verify_pack(str(path))
    if not outcome.ok:
        file, problem = outcome.problems[0]
        raise InvalidInput(
            f"`{shown(str(path), 200)}` does not verify: `{file}` {problem}",
            hint="name the zip file that `lapse review pack` saved, or the folder it unpacks to",
        )
    try:
        return PastPack(_read(json.loads(_bytes(path, outcome))), outcome.signer)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, InvalidInput) as error:
        raise InvalidInput(
            f"the findings of `{shown(str(path), 200)}` cannot be read: {shown(str(error), 100)}",
            hint="it may be of a version that this one does not know",
        ) from None


def _bytes(path: Path, outcome: Verification) -> bytes:
    """Verified before: nothing in it is packed, and all of it is there."""
    if path.is_dir():
        return (path / _FINDINGS).read_bytes()
    with zipfile.ZipFile(path) as archive:
        return archive.read(f"{outcome.manifest['pack']}/{_FINDINGS}")


def _read(data: dict[str, Any]) -> PastReview:
    runs = data["detectors"]
    body = {
        "review_id": data["review"],
        "at": data["at"],
        "resources": data.get("resources", []),
        "assessed": [run["detector"] for run in runs if run["status"] != RunStatus.NOT_ASSESSED],
    }
    findings = [{**finding, "evidence": []} for finding in data["findings"]]
    return from_data(PastReview, {**body, "findings": findings})
