"""Source `mapped`: any CSV, JSON or Parquet files, by a mapping that says which field is which column of evidence.

Guarantee: the mapping is checked as a whole before anything is read; what is wrong with it is said with file, line and
column. Called through `SOURCE`.
"""

from __future__ import annotations

from pathlib import Path

from lapse.domain.errors import InvalidInput, NotFound
from lapse.domain.names import shown
from lapse.review.sources.mapping.language import parse_mapping
from lapse.review.sources.mapping.reader import COVERAGE, READ_OPTIONS, covers_use, read_mapped
from lapse.review.sources.reading import Reading
from lapse.review.sources.source import Options, Source


def read(path: Path, options: Options, reading: Reading) -> None:
    """Read the files of `path` by the mapping in the option `mapping`.

    Raises:
        InvalidInput: an option makes no sense, the mapping cannot be used, or there is no file to read.
        NotFound: there is no mapping file.
    """
    name = options.get("mapping", "").strip()
    if not name:
        raise InvalidInput("nothing says what the fields are", hint="give the option `mapping`, the path of a mapping")
    file = _found(Path(name), path)
    mapping = parse_mapping(file.name, _text(file))
    # What the evidence means hangs on the mapping: its hash is kept with those of the files.
    reading.file(f"mapping {file.name}", file)
    reading.begin(*mapping.tables, *([COVERAGE] if covers_use(mapping) else []))
    read_mapped(path, mapping, options, reading)


def _found(name: Path, path: Path) -> Path:
    """The mapping where it is said to be, or beside what is read."""
    try:
        return name if name.is_absolute() or name.exists() else path.parent / name
    except OSError:
        return name


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except FileNotFoundError:
        raise NotFound(f"there is no mapping `{shown(str(file), 200)}`") from None
    except (OSError, ValueError) as error:
        raise InvalidInput(f"the mapping `{shown(str(file), 200)}` cannot be read: {error}") from None


SOURCE = Source(
    kind="mapped",
    title="Any CSV, JSON or Parquet files, by a mapping",
    tables=(),
    read=read,
    options={
        "mapping": "path of the mapping, a YAML file, from here or from beside the files; required",
        **READ_OPTIONS,
    },
)
