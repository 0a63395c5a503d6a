"""Source `ocsf`: events in the Open Cybersecurity Schema Framework about sign-ins, accounts, access and calls of APIs.

It is the mapping `ocsf.yaml` that comes with the product, which can be copied and changed for the kind `mapped`.
Called through `SOURCE`.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

from lapse.review.sources.mapping.language import parse_mapping
from lapse.review.sources.mapping.model import SourceMapping
from lapse.review.sources.mapping.reader import READ_OPTIONS, read_mapped
from lapse.review.sources.reading import Reading
from lapse.review.sources.source import Options, Source

MAPPING = "ocsf.yaml"


@cache
def ocsf_mapping() -> SourceMapping:
    """The mapping of OCSF that comes with the product."""
    text = files("lapse.review.sources").joinpath("mappings", MAPPING).read_text("utf-8")
    return parse_mapping(MAPPING, text)


def read(path: Path, options: Options, reading: Reading) -> None:
    """Read the files of `path`.

    Raises:
        InvalidInput: an option makes no sense, or there is no file to read.
    """
    read_mapped(path, ocsf_mapping(), options, reading)


SOURCE = Source(
    kind="ocsf",
    title="OCSF: authentication, account change, user access and API activity",
    tables=("usage", "accounts", "access_periods", "coverage"),
    read=read,
    options=READ_OPTIONS,
)
