"""The kinds of sources there are, and how one is read. Called by `collect` and by whoever lists them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from lapse.domain.errors import InvalidInput, NotFound
from lapse.domain.names import shown
from lapse.review.sources import kinds
from lapse.review.sources.reading import Reading
from lapse.review.sources.source import Options, Source


@cache
def all_sources() -> Mapping[str, Source]:
    """Every kind of source, by name."""
    modules = (import_module(f"{kinds.__name__}.{module.name}") for module in iter_modules(kinds.__path__))
    found: list[Source] = [module.SOURCE for module in modules]
    return {source.kind: source for source in sorted(found, key=lambda source: source.kind)}


def source_of(kind: str) -> Source:
    """The source called `kind`.

    Raises:
        NotFound: there is none.
    """
    found = all_sources().get(kind)
    if found is None:
        raise NotFound(f"there is no kind of source `{shown(kind)}`", hint=f"there are: {', '.join(all_sources())}")
    return found


def read_source(source: Source, path: Path, options: Options, reading: Reading) -> None:
    """Read `path` as `source` into `reading`.

    Raises:
        NotFound: there is no such file or folder.
        InvalidInput: there is no such option, or the source makes no sense as a whole.
    """
    if not path.exists():
        raise NotFound(f"there is no `{shown(str(path), 200)}` to read as {source.kind}")
    unknown = next((name for name in options if name not in source.options), None)
    if unknown is not None:
        known = ", ".join(source.options) or "none"
        raise InvalidInput(f"source {source.kind} has no option `{shown(unknown)}`", hint=f"it has: {known}")
    reading.begin(*source.tables)
    source.read(path, options, reading)
