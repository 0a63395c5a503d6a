"""What a kind of source is. Every module of `kinds` declares one as `SOURCE`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from lapse.review.sources.reading import Reading

Options: TypeAlias = Mapping[str, str]
Read: TypeAlias = Callable[[Path, Options, Reading], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A kind of source: what it reads, the evidence tables it fills, its options with what they mean.

    `read(path, options, reading)`: `path` is a file or a folder that exists, `options` are those that were given, all
    declared. It raises `InvalidInput` where an option or the whole source makes no sense; a bad record is no error.
    """

    kind: str
    title: str
    tables: tuple[str, ...]
    read: Read
    options: Options = field(default_factory=dict)
