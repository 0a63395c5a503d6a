"""Reads the files that a command names; a folder stands for the YAML files in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from lapse.domain.errors import InvalidInput

LARGEST = 16 << 20


def read_files(paths: Iterable[Path]) -> dict[str, str]:
    """Text by name, as it was given."""
    files = {str(path): _text(path) for path in _expanded(paths)}
    if not files:
        raise InvalidInput("there are no YAML files", hint="name files that end in .yaml or .yml")
    return files


def _expanded(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(file for file in path.iterdir() if file.suffix in {".yaml", ".yml"})
        else:
            yield path


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST:
            raise InvalidInput(f"`{path}` is larger than {LARGEST >> 20} MiB")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InvalidInput(f"`{path}` is not UTF-8 text") from None
    except OSError as error:
        raise InvalidInput(f"`{path}` cannot be read: {(error.strerror or str(error)).lower()}") from None
