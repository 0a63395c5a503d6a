"""The signer of packs: the home folder's key, and a time-stamp authority where `lapse.toml` names one in `[review]`.

Used by `reviewing`, and the settings by `home`, which reads and writes the file. Imports nothing heavy.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lapse.bootstrap.engines import DUCKDB, check_engine
from lapse.bootstrap.snapshots import check_snapshots
from lapse.domain.errors import InvalidInput, Unavailable
from lapse.domain.names import shown

if TYPE_CHECKING:
    from lapse.ports import Signer

SECONDS = 30.0
"""An authority is waited for so long; the pack is sealed with its stamp or not at all."""

_OK = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewSettings:
    """`engine` is what reviews compute on: `duckdb`, `local` or `spark://HOST:PORT` (both Spark).

    `keep` is whether what a review has computed is kept in the home folder, for the next one over the same evidence.

    `timestamp_url` is an RFC 3161 authority that stamps packs (empty: none), whose certificate must lead to one of
    those in `timestamp_roots`, a PEM file.

    `snapshots` is where the evidence of reviews is kept besides the home folder, `s3://BUCKET/PREFIX` (empty: nowhere);
    `snapshots_endpoint` is the address of a store that is not AWS's.
    """

    engine: str = DUCKDB
    keep: bool = True
    timestamp_url: str = ""
    timestamp_roots: str = ""
    snapshots: str = ""
    snapshots_endpoint: str = ""

    def check(self) -> None:
        """Raise `InvalidInput` if they cannot be meant."""
        check_engine(self.engine, "`engine` in [review]")
        check_snapshots(self.snapshots, self.snapshots_endpoint)
        if not self.timestamp_url:
            return
        parts = urlsplit(self.timestamp_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise InvalidInput(f"`timestamp_url` in [review] cannot be `{shown(self.timestamp_url)}`")
        if not self.timestamp_roots:
            raise InvalidInput(
                "`timestamp_url` in [review] needs `timestamp_roots`",
                hint="name a PEM file with the root certificate of the time-stamp authority",
            )


TEMPLATE = """
[review]
# What reviews compute on: "duckdb" in this process; "spark://HOST:PORT", a cluster of Spark that sees this home folder
# under the same path; or "local", Spark on this machine. Spark needs lapse[spark] and Java 17.
engine = {engine}

# Whether what a review has computed is kept in kept/ of this home folder, so that the next one over the same evidence,
# or one more day of it, takes a part of the time. It has names of people in it, as evidence does.
keep = {keep}

# A time-stamp authority (RFC 3161) that stamps sealed packs, and a PEM file with the root its certificate leads to.
# Empty: packs are not stamped, and nothing is asked. Needs lapse[timestamp].
timestamp_url = {timestamp_url}
timestamp_roots = {timestamp_roots}

# Where the evidence of reviews is kept besides this home folder: "s3://BUCKET/PREFIX". Empty: nowhere else. The
# endpoint is that of a store that is not AWS's, such as "https://minio.example.com:9000". Credentials are AWS's usual
# ones, of the environment, ~/.aws or the machine's role; none belong into this file.
snapshots = {snapshots}
snapshots_endpoint = {snapshots_endpoint}
"""


def pack_signer(signer: Signer, settings: ReviewSettings) -> Signer:
    """What packs are signed with."""
    if not settings.timestamp_url:
        return signer
    from lapse.review.pack.stamping import StampingSigner

    return StampingSigner(signer, lambda request: _ask(settings.timestamp_url, request), lambda: _roots(settings))


def _roots(settings: ReviewSettings) -> bytes:
    try:
        return Path(settings.timestamp_roots).expanduser().read_bytes()
    except OSError as error:
        reason = (error.strerror or "unknown error").lower()
        raise InvalidInput(f"`timestamp_roots` in [review] cannot be read: {reason}") from None


def _ask(url: str, request: bytes) -> bytes:
    """The authority's answer; sealing is no coroutine, so this waits in a thread of its own."""
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, _post(url, request)).result()


async def _post(url: str, request: bytes) -> bytes:
    from lapse.review.pack.stamping import MEDIA_TYPE
    from lapse.web.client import Calling, WebClient

    client = WebClient(Calling(seconds=SECONDS))
    try:
        answer = await client.post(url, request, {"Content-Type": MEDIA_TYPE})
    except Unavailable as error:
        raise _unstamped(error.message) from None
    finally:
        await client.close()
    if answer.status != _OK:
        raise _unstamped(f"it answers {answer.status}")
    return answer.body


def _unstamped(why: str) -> Unavailable:
    return Unavailable(
        f"the time-stamp authority did not stamp the pack: {why}",
        hint="seal again later, or take `timestamp_url` out of lapse.toml",
    )
