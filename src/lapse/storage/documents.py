"""Values as JSON documents and back, quickly. Called for every row that is stored or read.

The spelling is that of `lapse.domain.data` (RFC 3339 times, ISO 8601 durations), with fractions of seconds kept, so
`from_data` reads a document too. A stored document that is not such a value raises `Corrupt`, naming the row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

import msgspec

from lapse.domain.errors import Corrupt, InvalidInput

T = TypeVar("T")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def micros(at: datetime) -> int:
    """Whole microseconds since 1970."""
    return (at - EPOCH) // MICROSECOND


def instant(value: int) -> datetime:
    """The instant that `micros` gave `value` for."""
    return EPOCH + value * MICROSECOND


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no spelling as data")


_encode = msgspec.json.Encoder(enc_hook=_plain, order="deterministic").encode


class Documents(Generic[T]):
    """Encodes and decodes values of one dataclass; `what` names them in errors."""

    def __init__(self, kind: type[T], what: str) -> None:
        self.what = what
        self._decode: Callable[[str], list[T]] = msgspec.json.Decoder(list[kind]).decode  # type: ignore[valid-type]

    def encode(self, value: T) -> str:
        """The document of `value`; `InvalidInput` where it holds half of a surrogate pair, which is not text."""
        try:
            return _encode(value).decode()
        except UnicodeEncodeError:
            raise InvalidInput(
                f"the {self.what} holds half of a surrogate pair, which is not text", hint="use Unicode text"
            ) from None

    def decode(self, document: str) -> T:
        """The value of one document, or `Corrupt`."""
        (value,) = self.decode_all(1, f"[{document}]")
        return value

    def decode_all(self, count: int, documents: str) -> list[T]:
        """The values of a JSON array of `count` documents, in order, or `Corrupt`."""
        try:
            values = self._decode(documents)
        except (msgspec.DecodeError, UnicodeError, TypeError, ValueError, RecursionError) as error:
            raise self._corrupt(str(error)) from None
        if len(values) != count:
            raise self._corrupt("a row holds none, or several")
        return values

    def _corrupt(self, why: str) -> Corrupt:
        return Corrupt(f"a stored {self.what} cannot be read: {why}", hint="restore the database from a backup")
