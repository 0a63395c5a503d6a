"""What a sealed pack found, for comparing it with another review. Offline; the pack is not verified by this."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from lapse.domain.data import from_data
from lapse.domain.errors import InvalidInput
from lapse.domain.names import shown
from lapse.review.model import PastReview, RunStatus

_FINDINGS = "findings.json"
_MOST = 512 << 20
"""Bytes of findings that are read; what unpacks to more is no pack of ours."""


def past_of_pack(path: Path) -> PastReview:
    """The findings of the pack at `path`, a zip file or its unpacked folder.

    Raises:
        InvalidInput: it is no pack, or its findings cannot be read.
    """
    try:
        return _read(json.loads(_bytes(path)))
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, InvalidInput) as error:
        raise InvalidInput(
            f"`{shown(str(path), 200)}` is no pack whose findings can be read: {shown(str(error), 100)}",
            hint="name the zip file that `lapse review pack` saved, or the folder it unpacks to",
        ) from None


def _bytes(path: Path) -> bytes:
    if path.is_dir():
        return (path / _FINDINGS).read_bytes()
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.rpartition("/")[2] == _FINDINGS)
        if archive.getinfo(name).file_size > _MOST:
            raise ValueError(f"its findings are larger than {_MOST} bytes")
        return archive.read(name)


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
