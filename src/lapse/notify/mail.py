"""Notices by mail: one message for each person, through one server, with the standard library in a thread.

A message is sent to everybody by itself, so that one broken mailbox keeps nobody else from being told. Its `Message-ID`
holds the posting's id, so that mail systems drop what comes twice. Text that people wrote never becomes a header.
"""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from hashlib import sha256

from lapse.domain.catalog import Catalog
from lapse.domain.errors import Refused, Unavailable
from lapse.domain.names import is_printable, shown
from lapse.domain.notices import Notice, NoticeKind, Places, Posting
from lapse.notify.texts import sentence, title

AT_ONCE = 2
_PERMANENT = range(500, 600)


@dataclass(frozen=True, kw_only=True)
class MailServer:
    """Where mail is handed over. `tls` is `starttls`, `tls` or `none`; without a user nobody logs in."""

    host: str
    port: int
    tls: str = "starttls"
    user: str = ""
    password: str = field(default="", repr=False)
    seconds: float = 10.0
    ca_file: str = ""


class Mail:
    """Mails notices of `kinds` (all, if empty) to those they are for, and all of them to `also_to`."""

    def __init__(
        self, name: str, server: MailServer, sender: str, also_to: tuple[str, ...] = (), link: str = ""
    ) -> None:
        self._name, self._server, self._sender = name, server, sender
        self._also_to, self._link = also_to, link
        self._places = asyncio.Semaphore(AT_ONCE)
        self.kinds: frozenset[NoticeKind] = frozenset()

    @property
    def name(self) -> str:
        """What configuration calls it."""
        return self._name

    def places(self, notice: Notice, catalog: Catalog) -> Places:
        """The addresses of those it is for, by the catalog: their own, else that of the person behind them."""
        if self.kinds and notice.kind not in self.kinds and notice.kind is not NoticeKind.TEST:
            return Places()
        found = {name: _address(name, catalog) for name in notice.to}
        addresses = dict.fromkeys([*(mail for mail in found.values() if mail), *self._also_to])
        return Places(
            reached=tuple(f"{self._name}:{address}" for address in addresses),
            missing=tuple(name for name, address in found.items() if not address),
        )

    async def send(self, posting: Posting, place: str) -> None:
        """Hand one message to the server.

        Raises:
            Refused: the server will never take mail for this address (a status of 5xx to it).
            Unavailable: anything else; the server may have taken it nevertheless.
        """
        address = place.partition(":")[2]
        message = self._message(posting, address)
        await self._places.acquire()
        handing = asyncio.ensure_future(asyncio.to_thread(self._hand_over, message, address))
        handing.add_done_callback(self._handed_over)
        # Whoever gives up waiting leaves the thread at work, and its place taken until it is done.
        await asyncio.shield(handing)

    def _handed_over(self, handing: asyncio.Future[None]) -> None:
        self._places.release()
        if not handing.cancelled():
            handing.exception()

    async def close(self) -> None:
        """Nothing is held open."""

    def _message(self, posting: Posting, address: str) -> EmailMessage:
        notice, message = posting.notice, EmailMessage()
        domain = self._sender.rpartition("@")[2]
        user, _, host = address.rpartition("@")
        message["From"] = Address("lapse", *self._sender.rsplit("@", 1))
        message["To"] = Address("", user, host)
        message["Subject"] = f"[lapse] {title(notice)}"
        message["Date"] = format_datetime(notice.at)
        message["Message-ID"] = f"<{posting.id}.{sha256(address.encode()).hexdigest()[:16]}@{domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message["Lapse-Notice"] = posting.id
        body = [sentence(notice), "", f"About: {shown(notice.subject)}", *([self._link] if self._link else [])]
        message.set_content("\n".join(body) + "\n")
        return message

    def _hand_over(self, message: EmailMessage, address: str) -> None:
        server = self._server
        where = f"`{self._name}`: the mail server {server.host}:{server.port}"
        try:
            with self._connected() as connection:
                connection.send_message(message, self._sender, [address])
        except smtplib.SMTPRecipientsRefused as error:
            code, said = next(iter(error.recipients.values()))
            text = f"`{self._name}`: `{shown(address)}` is not taken ({code} {_said(said)})"
            raise (Refused(text) if code in _PERMANENT else Unavailable(text)) from None
        except smtplib.SMTPResponseException as error:
            raise Unavailable(f"{where} says {error.smtp_code} {_said(error.smtp_error)}") from None
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise Unavailable(f"{where} did not take it ({_said(str(error)) or type(error).__name__})") from None

    def _connected(self) -> smtplib.SMTP:
        server = self._server
        context = ssl.create_default_context(cafile=server.ca_file or None)
        # Without a name of ours the library asks the network for one, which can take long.
        given = (server.host, server.port, self._sender.rpartition("@")[2])
        if server.tls == "tls":
            connection: smtplib.SMTP = smtplib.SMTP_SSL(*given, timeout=server.seconds, context=context)
        else:
            connection = smtplib.SMTP(*given, timeout=server.seconds)
        try:
            if server.tls == "starttls":
                connection.starttls(context=context)
            if server.user:
                connection.login(server.user, server.password)
        except BaseException:
            connection.close()
            raise
        return connection


def _address(name: str, catalog: Catalog) -> str:
    principal = catalog.principals.get(name)
    mail = principal.email if principal else ""
    if not mail:
        person = catalog.principals.get(catalog.person_of(name) or "")
        mail = person.email if person else ""
    return mail if _possible(mail) else ""


def _possible(mail: str) -> bool:
    user, at, host = mail.rpartition("@")
    return bool(user and at and host) and mail.isascii() and is_printable(mail) and not set(mail) & set(' <>,;:"\\()[]')


def _said(answer: bytes | str) -> str:
    text = answer.decode(errors="replace") if isinstance(answer, bytes) else answer
    return shown(text.replace("\n", " ").strip(), 120)
