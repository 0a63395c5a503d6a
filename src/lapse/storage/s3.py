"""`ports.SnapshotStore` in a bucket of S3, or of anything that speaks its protocol.

Guarantees: an object is put whole, and its size is read back; files of any size pass in pieces; who may do it is what
AWS's own chain finds (environment, `~/.aws`, the role of the machine), none of which is kept or written anywhere.
Chosen by `bootstrap`; Arrow, which speaks S3, is imported when the store is first asked.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lapse.domain.errors import InvalidInput, NotFound, Unavailable
from lapse.domain.names import shown

CONNECT_SECONDS = 5.0
REQUEST_SECONDS = 60.0
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)
_PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}", re.ASCII)
_PIECE = 4 << 20
_WHO = "credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, from ~/.aws, or from the machine's role"


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Place:
    """A bucket and what all names in it begin with; `endpoint` is `scheme://host` of a store that is not AWS's."""

    bucket: str
    prefix: str = ""
    endpoint: str = ""


def parse_place(url: str, endpoint: str = "") -> S3Place:
    """`s3://bucket` or `s3://bucket/prefix`, at `endpoint` (`https://host:port`; empty: AWS).

    Raises:
        InvalidInput: one of them is none.
    """
    bucket, _, prefix = url.removeprefix("s3://").strip("/").partition("/")
    parts = prefix.split("/") if prefix else []
    if not url.startswith("s3://") or not _BUCKET.fullmatch(bucket) or not all(map(_PART.fullmatch, parts)):
        raise InvalidInput(f"`{shown(url)}` is no place in S3", hint="write s3://BUCKET or s3://BUCKET/PREFIX")
    if endpoint and not _is_endpoint(endpoint):
        raise InvalidInput(
            f"`{shown(endpoint)}` is no endpoint of S3", hint="write https://HOST or https://HOST:PORT, without a path"
        )
    return S3Place(bucket=bucket, prefix=prefix, endpoint=endpoint.rstrip("/"))


def _is_endpoint(text: str) -> bool:
    parts = urlsplit(text)
    try:
        whole = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
    extras = parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc
    return parts.scheme in {"http", "https"} and whole and not extras


class S3Snapshots:
    """See `ports.SnapshotStore`."""

    def __init__(self, place: S3Place) -> None:
        self._place = place
        self._opened: Any = None

    def put(self, name: str, file: Path) -> None:
        """See `ports.SnapshotStore`."""
        with file.open("rb") as source, self._errors(), self._files().open_output_stream(self._path(name)) as target:
            shutil.copyfileobj(source, target, _PIECE)
        if self.size(name) != file.stat().st_size:
            raise Unavailable(f"`{self.place(name)}` was not kept whole", hint="try again")

    def get(self, name: str, file: Path) -> None:
        """See `ports.SnapshotStore`."""
        with file.open("wb") as target, self._errors(), self._files().open_input_stream(self._path(name)) as source:
            shutil.copyfileobj(source, target, _PIECE)

    def size(self, name: str) -> int | None:
        """See `ports.SnapshotStore`."""
        with self._errors():
            size: int | None = self._files().get_file_info(self._path(name)).size
        return size

    def place(self, name: str) -> str:
        """See `ports.SnapshotStore`."""
        return f"s3://{self._path(name)}"

    def _path(self, name: str) -> str:
        if not all(map(_PART.fullmatch, name.split("/"))):
            raise InvalidInput(f"`{shown(name)}` is not the name of an object")
        return "/".join(part for part in (self._place.bucket, self._place.prefix, name) if part)

    def _files(self) -> Any:
        if self._opened is None:
            self._opened = _opened(self._place)
        return self._opened

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """What Arrow says as one of ours."""
        try:
            yield
        except FileNotFoundError as error:
            raise NotFound(f"the store of snapshots has no such object: {_line(error)}") from None
        except OSError as error:
            raise _unavailable(self._place.endpoint or "AWS", _line(error)) from None


def _opened(place: S3Place) -> Any:
    from pyarrow.fs import S3FileSystem

    options: dict[str, Any] = {"connect_timeout": CONNECT_SECONDS, "request_timeout": REQUEST_SECONDS}
    if place.endpoint:
        parts = urlsplit(place.endpoint)
        options |= {"endpoint_override": parts.netloc, "scheme": parts.scheme}
    if bundle := os.environ.get("AWS_CA_BUNDLE"):
        options["tls_ca_file_path"] = bundle
    # A file of one piece is put by one call, and nobody writes while somebody else reads.
    return S3FileSystem(**options, background_writes=False, allow_delayed_open=True)


def _unavailable(where: str, why: str) -> Unavailable:
    if "NETWORK_CONNECTION" in why:
        hint = "see that it runs, and that `snapshots_endpoint` in [review] of lapse.toml is its address"
        return Unavailable(f"the store of snapshots at {where} cannot be reached: {why}", hint=hint)
    return Unavailable(f"the store of snapshots at {where} refuses: {why}", hint=_WHO)


def _line(error: object) -> str:
    return shown(" ".join(str(error).split()), 300)
