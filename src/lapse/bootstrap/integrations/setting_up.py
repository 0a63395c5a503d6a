"""Ticket systems, rotas and ways to tell people, made from `integrations.yaml` of the home folder.

A mistake in that file never keeps access from ending: lapse starts without what cannot be set up, and then its tickets
are unreachable, nobody is on call by it, and its notices wait. `problems` says what is wrong; `lapse integration check`
prints it, and a server logs it when it starts.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from lapse.bootstrap.integrations.secrets import read_secret
from lapse.bootstrap.integrations.settings import (
    Auth,
    CalendarSettings,
    ExportSettings,
    HookSettings,
    IntegrationSettings,
    MailSettings,
    RotaSettings,
    SecretRef,
    ServiceSettings,
    TicketSystem,
    WaySettings,
    Web,
)
from lapse.domain.catalog import Catalog
from lapse.domain.errors import InvalidInput, LapseError
from lapse.domain.notices import NoticeKind
from lapse.notify.hooks import Hook
from lapse.policy.problems import PolicyErrors
from lapse.ports import Clock, Notifier
from lapse.rotas.book import Book, Rota
from lapse.rotas.calendar import Calendar, from_file, from_url
from lapse.rotas.service import Asking, Service
from lapse.rotas.sources import ShiftFile, Source
from lapse.tickets.export import ExportFile, ExportSource
from lapse.tickets.found import Source as TicketSystemSource
from lapse.tickets.http import HttpSource
from lapse.tickets.lookups import Lookups
from lapse.tickets.recipes import GITHUB_HEADERS
from lapse.web.client import Calling, WebClient
from lapse.web.urls import check_url

LARGEST_FILE = 262_144
FILE = "integrations.yaml"


class Way(Notifier, Protocol):
    """A way to tell people, of some kinds of notices or of all."""

    kinds: frozenset[NoticeKind]

    async def close(self) -> None:
        """Give back what is held open."""
        ...


class _Named(Protocol):
    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=_Named)
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Integrations:
    """What is set up. `mistakes` are in the file itself, each with its place; `broken` is why a part cannot be used."""

    settings: IntegrationSettings
    tickets: Lookups
    rotas: Book
    ways: tuple[Way, ...] = ()
    mistakes: tuple[str, ...] = ()
    broken: Mapping[tuple[str, str], str] = field(default_factory=dict)

    @property
    def problems(self) -> tuple[str, ...]:
        """Everything that is not as it should be, a sentence each."""
        unusable = (f"`{name}` in `{part}` cannot be used: {why}" for (part, name), why in self.broken.items())
        return (*self.mistakes, *unusable)

    async def close(self) -> None:
        """Close all connections."""
        await self.tickets.close()
        await self.rotas.close()
        for way in self.ways:
            await way.close()


@dataclass(kw_only=True)
class _Maker:
    """Makes parts from settings; what cannot be made is noted and left out."""

    folder: Path
    unseal: Callable[[str], str]
    clock: Clock
    catalog: Callable[[], Awaitable[Catalog]]
    broken: dict[tuple[str, str], str] = field(default_factory=dict)

    def made(self, settings: IntegrationSettings, mistakes: tuple[str, ...] = ()) -> Integrations:
        """Everything; `mistakes` are why nobody knows what there should be, if so."""
        trouble = f"`{FILE}` has a mistake: {mistakes[0]}" if mistakes else ""
        systems = self._each("tickets", settings.tickets, self._system)
        rotas = self._each("rotas", settings.rotas, self._rota)
        ways = self._each("notices", settings.ways, self._way)
        lives = {one.name: one.keep_for for one in settings.tickets}
        return Integrations(
            settings=settings,
            tickets=Lookups(systems, self.clock, lives, self._why("tickets"), trouble),
            rotas=Book(rotas, self.clock, self.catalog, self._why("rotas"), trouble),
            ways=tuple(ways.values()),
            mistakes=mistakes,
            broken=self.broken,
        )

    def _each(self, part: str, named: Iterable[N], make: Callable[[N], T]) -> dict[str, T]:
        """What can be made, by name."""
        made: dict[str, T] = {}
        for one in named:
            try:
                made[one.name] = make(one)
            except LapseError as error:
                self.broken[part, one.name] = error.message
        return made

    def _why(self, part: str) -> dict[str, str]:
        return {name: why for (kind, name), why in self.broken.items() if kind == part}

    def _system(self, system: TicketSystem) -> TicketSystemSource:
        if isinstance(system.source, ExportSettings):
            one = system.source
            export = ExportFile(
                path=self.folder / one.file, open_states=one.open_states, columns=one.columns, oldest=one.oldest
            )
            return ExportSource(export, self.clock)
        fixed = GITHUB_HEADERS if system.kind == "github" else {"Accept": "application/json"}
        return HttpSource(system.source, self._client(system.web, fixed))

    def _rota(self, rota: RotaSettings) -> Rota:
        return Rota(source=self._rota_source(rota), people=rota.people, prefix=rota.prefix, keep_for=rota.keep_for)

    def _rota_source(self, rota: RotaSettings) -> Source:
        match rota.source:
            case ServiceSettings() as one:
                asking = Asking(url=one.url, people=one.people, names=one.names)
                return Service(asking, self._client(rota.web, {"Accept": "application/json"}), self.clock)
            case CalendarSettings() as one:
                return self._calendar(one, rota.web)
            case one:
                return ShiftFile(self.folder / one.file)

    def _calendar(self, one: CalendarSettings, web: Web) -> Calendar:
        client = None if one.url is None else self._client(web, {"Accept": "text/calendar"})
        fetch = from_file(self.folder / one.file)
        if one.url is not None and client is not None:
            fetch = from_url(self._url(one.url), client)
        calendar = Calendar(
            fetch, self.clock, one.timezone, fresh_for=one.fresh_for, believed_for=max(one.believed_for, one.fresh_for)
        )
        calendar.close_with = client.close if client is not None else None
        return calendar

    def _way(self, way: WaySettings) -> Way:
        made: Way = self._hook(way, way.way) if isinstance(way.way, HookSettings) else self._mail(way, way.way)
        made.kinds = way.kinds
        return made

    def _hook(self, way: WaySettings, one: HookSettings) -> Hook:
        key = b"" if one.key is None else self._secret(one.key).encode()
        return Hook(way.name, self._url(one.url), self._client(way.web, {}), self.clock, key=key, chat=one.chat)

    def _mail(self, way: WaySettings, one: MailSettings) -> Way:
        from lapse.notify.mail import Mail, MailServer

        host, _, port = one.server.rpartition(":")
        auth = way.web.auth or Auth()
        server = MailServer(
            host=host.strip("[]"),
            port=int(port),
            tls=one.tls,
            user=auth.user,
            password="" if auth.password is None else self._secret(auth.password),
            seconds=float(way.web.seconds),
            ca_file=self._path(way.web.ca_file),
        )
        return Mail(way.name, server, one.sender, one.also_to, one.link)

    def _client(self, web: Web, fixed: Mapping[str, str]) -> WebClient:
        headers = {
            **fixed,
            **{name: self._secret(v) if isinstance(v, SecretRef) else v for name, v in web.headers.items()},
            **self._authorization(web.auth),
        }
        if not all(value.isascii() for value in headers.values()):
            raise InvalidInput("a header must be ASCII")
        return WebClient(Calling(seconds=float(web.seconds), headers=headers, ca_file=self._path(web.ca_file)))

    def _authorization(self, auth: Auth | None) -> dict[str, str]:
        if auth is None:
            return {}
        if auth.bearer is not None:
            return {"Authorization": f"Bearer {self._secret(auth.bearer)}"}
        password = "" if auth.password is None else self._secret(auth.password)
        return {"Authorization": f"Basic {base64.b64encode(f'{auth.user}:{password}'.encode()).decode()}"}

    def _url(self, url: str | SecretRef) -> str:
        if isinstance(url, str):
            return url
        try:
            return check_url(self._secret(url))
        except InvalidInput:
            # The message of the check would show it.
            raise InvalidInput("the secret is not a URL to call", hint="it is written as `https://host/path`") from None

    def _secret(self, secret: SecretRef) -> str:
        return read_secret(secret, self.folder, self.unseal)

    def _path(self, name: str) -> str:
        return str(self.folder / name) if name else ""


def set_up(
    folder: Path, unseal: Callable[[str], str], clock: Clock, catalog: Callable[[], Awaitable[Catalog]]
) -> Integrations:
    """What the file of integrations in `folder` says, as far as it can be set up. Never raises for what it says."""
    maker = _Maker(folder=folder, unseal=unseal, clock=clock, catalog=catalog)
    try:
        return maker.made(read_file(folder))
    except LapseError as error:
        found = map(str, error.problems) if isinstance(error, PolicyErrors) else [error.message]
        return maker.made(IntegrationSettings(), tuple(found))


def read_file(folder: Path) -> IntegrationSettings:
    """What the file of integrations in `folder` says; nothing if there is none.

    Raises:
        PolicyErrors: what is wrong with it, each with line and column.
        InvalidInput: it is no text, or cannot be read.
    """
    path = folder / FILE
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        return IntegrationSettings()
    except UnicodeDecodeError:
        raise InvalidInput(f"`{path}` is not UTF-8 text") from None
    except OSError as error:
        raise InvalidInput(f"`{path}` cannot be read: {error.strerror}") from None
    from lapse.bootstrap.integrations.language import read_integrations

    return read_integrations(FILE, text)
