"""One call to a system elsewhere: bounded in time and size, TLS verified, never led to another host.

What goes wrong is `Unavailable`, in one clause that holds neither the URL's secrets nor what was sent. Used by
`tickets`, `rotas` and `notify`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from lapse.domain.errors import Unavailable
from lapse.web.urls import origin_of

if TYPE_CHECKING:
    import httpx

KIBIBYTE = 1 << 10
MOST_REDIRECTS = 3
MOST_AT_ONCE = 8
_REDIRECTS = frozenset({301, 302, 307, 308})


@dataclass(frozen=True, slots=True, kw_only=True)
class Calling:
    """How a system is called: `seconds` for everything, `largest` answer in bytes, headers (which may be secret)."""

    seconds: float = 5.0
    largest: int = 1_024 * KIBIBYTE
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_file: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered."""

    status: int
    body: bytes


class WebClient:
    """Calls one system. Not more than a few calls at once; who must wait waits within the same time."""

    def __init__(self, calling: Calling) -> None:
        self._calling = calling
        self._client: httpx.AsyncClient | None = None
        self._places = asyncio.Semaphore(MOST_AT_ONCE)

    async def get(self, url: str) -> Answer:
        """Read; a redirect is followed only to the same scheme, host and port.

        Raises:
            Unavailable: no answer in time, one that is too large, or a redirect elsewhere.
        """
        return await self._bounded("GET", url, b"", {})

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send; no redirect is followed. Raises as `get`: the other side may have taken it nevertheless."""
        return await self._bounded("POST", url, body, headers)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()

    async def _bounded(self, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        import httpx

        try:
            async with asyncio.timeout(self._calling.seconds), self._places:
                return await self._call(method, url, body, headers)
        except (TimeoutError, httpx.TimeoutException):
            raise Unavailable(f"no answer within {self._calling.seconds:g} seconds") from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, ssl.SSLError, OSError) as error:
            raise Unavailable(_clause(error)) from None

    async def _call(self, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        for _ in range(MOST_REDIRECTS + 1):
            answer, location = await self._once(method, url, body, headers)
            if answer.status not in _REDIRECTS:
                return answer
            onward = urljoin(url, location)
            if method != "GET" or not location or origin_of(onward) != origin_of(url):
                raise Unavailable("it leads elsewhere (a redirect), which is not followed")
            url = onward
        raise Unavailable("it leads in a circle (redirects)")

    async def _once(self, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> tuple[Answer, str]:
        client = self._opened()
        async with client.stream(method, url, content=body or None, headers=dict(headers)) as response:
            if response.headers.get("content-encoding", "identity") != "identity":
                raise Unavailable("it answers in an encoding that was not asked for")
            content = b"" if response.status_code in _REDIRECTS else await self._read(response)
            return Answer(response.status_code, content), response.headers.get("location", "")

    async def _read(self, response: Any) -> bytes:
        """The answer, given up as soon as it is larger than it may be."""
        chunks: list[bytes] = []
        size = 0
        async for chunk in response.aiter_raw():
            size += len(chunk)
            if size > self._calling.largest:
                raise Unavailable(f"it answers with more than {self._calling.largest // KIBIBYTE} KiB")
            chunks.append(chunk)
        return b"".join(chunks)

    def _opened(self) -> httpx.AsyncClient:
        if self._client is None:
            import httpx

            fixed = {"User-Agent": "lapse", "Accept-Encoding": "identity", **self._calling.headers}
            # Proxies and .netrc of the environment would decide where secrets go.
            self._client = httpx.AsyncClient(
                headers=fixed, timeout=self._calling.seconds, verify=_trust(self._calling.ca_file), trust_env=False
            )
        return self._client


def _trust(ca_file: str) -> ssl.SSLContext:
    """Verify against the machine's authorities, or against those of one file alone."""
    if not ca_file:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise Unavailable(f"the authorities in `{ca_file}` cannot be read: {error}") from None


def _clause(error: Exception) -> str:
    """Why there is no answer, without what was asked."""
    text = str(error).partition("\n")[0].strip() or type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "its TLS certificate is not trusted"
    return f"it cannot be reached ({text[:120]})"
