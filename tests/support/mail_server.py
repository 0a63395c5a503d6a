"""A real SMTP server on this machine that keeps what it is handed, and says no where a test wants it to."""

from __future__ import annotations

import asyncio
import email.policy
import ssl
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from threading import Thread
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


@dataclass
class MailServer:
    """`messages` in order, with their envelope in `recipients`; empty answers mean yes."""

    port: int = 0
    messages: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    answer_to_recipient: str = ""
    answer_to_data: str = ""
    keeps_although: bool = False

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802  aiosmtpd's name and parameters
        if self.answer_to_recipient:
            return self.answer_to_recipient
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  aiosmtpd's name
        if not self.answer_to_data or self.keeps_although:
            self.messages.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
            self.recipients.append(list(envelope.rcpt_tos))
        return self.answer_to_data or "250 OK"


@contextmanager
def mail_server(context: ssl.SSLContext | None = None, *, login: tuple[str, str] | None = None) -> Iterator[MailServer]:
    """A server that runs while the body does; with a context it demands STARTTLS, with a login it demands that."""
    found = MailServer()

    def authenticate(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        given = isinstance(data, LoginPassword) and (data.login.decode(), data.password.decode())
        return AuthResult(success=given == login)

    options: dict[str, Any] = {"auth_required": True, "authenticator": authenticate} if login else {}
    options |= {
        "auth_require_tls": context is not None,
        "tls_context": context,
        "require_starttls": context is not None,
    }
    ready: Future[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def run() -> None:
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        listening = await loop.create_server(lambda: SMTP(found, hostname="localhost", **options), "127.0.0.1", 0)
        ready.set_result((listening.sockets[0].getsockname()[1], loop, over))
        await over.wait()
        listening.close()

    thread = Thread(target=lambda: asyncio.run(run()))
    thread.start()
    found.port, loop, over = ready.result(timeout=10)
    try:
        yield found
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(timeout=10)
