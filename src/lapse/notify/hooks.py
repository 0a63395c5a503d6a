"""Notices posted to a URL: as signed JSON for programs, or as the `text` that chat systems take.

The JSON is `{"id", "kind", "subject", "to", "text", "at"}`. With a key, `Lapse-Signature: t=UNIX,v1=HEX` is HMAC-SHA256
over `UNIX.body`, so that a receiver can tell that it came from here and is not old. `Lapse-Notice` is the posting's id:
what comes twice has it twice.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime
from http import HTTPStatus

import msgspec

from lapse.domain.catalog import Catalog
from lapse.domain.errors import Refused, Unavailable
from lapse.domain.notices import Notice, NoticeKind, Places, Posting
from lapse.domain.times import format_time
from lapse.notify.texts import sentence, title
from lapse.ports import Clock
from lapse.web.client import WebClient

_TRY_AGAIN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})


class Hook:
    """Posts every notice of `kinds` (all, if empty) to one URL."""

    def __init__(
        self, name: str, url: str, client: WebClient, clock: Clock, *, key: bytes = b"", chat: bool = False
    ) -> None:
        self._name, self._url, self._client, self._clock = name, url, client, clock
        self._key, self._chat = key, chat
        self.kinds: frozenset[NoticeKind] = frozenset()

    @property
    def name(self) -> str:
        """What configuration calls it."""
        return self._name

    def places(self, notice: Notice, catalog: Catalog) -> Places:  # noqa: ARG002  the receiver knows whom to tell
        """The URL, by the name of this way."""
        carried = not self.kinds or notice.kind in self.kinds or notice.kind is NoticeKind.TEST
        return Places(reached=(self._name,)) if carried else Places()

    async def send(self, posting: Posting, place: str) -> None:  # noqa: ARG002  there is one
        """Post it. An answer that says that it never will be taken (most of 4xx) is `Refused`."""
        body = chat_body(posting) if self._chat else json_body(posting)
        try:
            answer = await self._client.post(self._url, body, self._headers(posting, body))
        except Unavailable as error:
            raise Unavailable(f"`{self._name}`: {error.message}") from None
        if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            return
        said = f"`{self._name}` answers with status {answer.status}"
        if answer.status in _TRY_AGAIN or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Unavailable(said)
        # A revoked key or a moved channel is mended by people: what waits must not be lost meanwhile.
        if answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
            raise Unavailable(said)
        raise Refused(said)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    def _headers(self, posting: Posting, body: bytes) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Lapse-Notice": posting.id}
        if self._key:
            headers["Lapse-Signature"] = signature(self._key, self._clock.now(), body)
        return headers


def json_body(posting: Posting) -> bytes:
    """The notice for programs."""
    notice = posting.notice
    return msgspec.json.encode(
        {
            "id": posting.id,
            "kind": notice.kind.value,
            "subject": notice.subject,
            "to": notice.to,
            "text": notice.text,
            "at": format_time(notice.at),
        }
    )


def chat_body(posting: Posting) -> bytes:
    """The notice for chat systems: `text`, in which nothing that people wrote can mention or format anything."""
    notice = posting.notice
    names = ", ".join(notice.to)
    lines = [title(notice), sentence(notice), *([f"for {names}"] if names else [])]
    text = "\n".join(lines)
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(character, entity)
    return msgspec.json.encode({"text": text})


def signature(key: bytes, at: datetime, body: bytes) -> str:
    """The value of `Lapse-Signature`."""
    seconds = int(at.timestamp())
    digest = hmac.new(key, f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"
