"""AWS CloudTrail: log files as a trail puts them into S3, in whatever folders, packed or not, one record a line or not.

Guarantee: each record is used, skipped with the reason, or rejected with its place; one that lies there twice is
counted once as far as memory allows, and what could not be compared is said. Called through `SOURCE`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from lapse.review.sources.aws.names import RESOURCE_OPTION, ResourceNames
from lapse.review.sources.aws.trail_parts import Asked
from lapse.review.sources.aws.trail_pool import File, read_all
from lapse.review.sources.aws.trail_reader import Claims, TrailReader, time_in
from lapse.review.sources.clocks import flag, gap_of, taken_at
from lapse.review.sources.files import files_below, name_below
from lapse.review.sources.reading import Reading
from lapse.review.sources.source import Options, Source

_LOGS = (".json", ".gz", ".jsonl", ".ndjson", ".log", ".txt")
_NO_LOGS = {
    "CloudTrail-Digest": "a digest file, which has no records",
    "CloudTrail-Insight": "a file of Insights, which are no events",
}
_DAY = re.compile(r"(?:^|/)(\d{4})/(\d\d)/(\d\d)/")


def read(path: Path, options: Options, reading: Reading) -> None:
    """Read the log file or the folder `path`."""
    names, gap = ResourceNames(options), gap_of(options)
    claims = Claims(complete=flag(options, "complete"), actions=flag(options, "data_events"))
    now: datetime = taken_at(options)
    reader = TrailReader(reading, names, gap)
    files = sorted(_logs(path, reading), key=lambda file: (_time_in(file[0]), file[0]))
    size = sum(file.stat().st_size for _, file in files)
    known = ((name, file) for name, file in files if _known(file, name, reading, reader))
    for part in read_all(known, size, Asked(now=now.timestamp(), gap=gap.total_seconds())):
        reader.take(part)
    reader.finish(claims)


def _logs(path: Path, reading: Reading) -> Iterator[File]:
    """The files to read; what is left out is skipped with the reason."""
    for file in files_below(path):
        name = name_below(path, file)
        reason = next((why for word, why in _NO_LOGS.items() if word in file.as_posix()), "")
        if not reason and file != path and not name.endswith(_LOGS):
            reason = "a file whose name is not that of a log"
        if reason:
            reading.skip(reason)
        else:
            yield name, file


def _known(file: Path, name: str, reading: Reading, reader: TrailReader) -> bool:
    """Put the file on record before it is read; one that cannot be read is rejected."""
    try:
        reading.file(name, file)
    except OSError as error:
        reading.reject(name, f"the file cannot be read: {error}")
        reader.lost(name)
        return False
    return True


def _time_in(name: str) -> str:
    """When the file was delivered, as its name says: copies of one record come close together then."""
    if delivered := time_in(name):
        return f"{delivered:%Y%m%d%H%M}"
    return "".join(day.groups()) if (day := _DAY.search(name)) else ""


SOURCE = Source(
    kind="cloudtrail",
    title="AWS CloudTrail",
    tables=("usage", "access_periods", "sessions", "coverage"),
    read=read,
    options={
        **RESOURCE_OPTION,
        "complete": "`yes` if the trail records every management event of all regions (default `no`)",
        "data_events": "`yes` if it records every data event with its object as well (default `no`)",
        "gap": "without an event for longer than this, nothing is known of the time between (default 1h)",
        "taken_at": "when the files were taken; events after that are reported (default now)",
    },
)
