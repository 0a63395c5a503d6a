"""Where review SQL runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Engine(Protocol):
    """Where review SQL runs. Tables are Parquet files registered under their evidence name."""

    name: str

    def register(self, table: str, parquet: str) -> None: ...
    def query(self, sql: str, parameters: Mapping[str, Any] = ...) -> list[dict[str, Any]]: ...
    def close(self) -> None: ...


class WritingEngine(Engine, Protocol):
    """An engine that can also put the rows of a query into a Parquet file, without making Python values of them."""

    def write(self, sql: str, parquet: str, parameters: Mapping[str, Any] = ...) -> None: ...
