"""Builds lapse: the one place that chooses store, keys, connectors, clock and enforcer, and hands them to use cases.

`open_app` gives an `App` to whoever works on a home folder: the server, the CLI without a server, the demo, the
benchmarks. `App.settle` does what a server does all the time, once: enforce what is due, then sequence the ledger.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from lapse.bootstrap.home import Home, Settings, read_settings
from lapse.bootstrap.ids import Ids
from lapse.bootstrap.integrations.secrets import PURPOSE
from lapse.bootstrap.integrations.setting_up import Integrations, set_up
from lapse.bootstrap.targets import Targets
from lapse.control.aftermath import remind_reviewers
from lapse.control.context import Control
from lapse.control.delivery import AT_ONCE, deliver_due
from lapse.control.plane import Hub, LocalPlane
from lapse.control.reminders import remind
from lapse.control.requests import expire_requests
from lapse.control.review_deadlines import move_reviews_on
from lapse.control.sequencer import Sequencer
from lapse.enforcement.clock import SystemClock
from lapse.enforcement.enforcer import Enforcer
from lapse.enforcement.parts import Parts
from lapse.enforcement.removals import carry_out_due
from lapse.ports import Authority, Blobs, Clock, Connector, Notifier, Store
from lapse.storage.authority import FileAuthority
from lapse.storage.blobs import FolderBlobs
from lapse.storage.keyring import Keyring

Connect = Callable[[str, str, str], Connector]


@dataclass(frozen=True, kw_only=True)
class App:
    """One running lapse. `serving`: deadlines are kept in this event loop, so nothing may hold it up.

    `gateways` says by protocol where clients reach a gateway; it is empty where none runs.
    """

    home: Home
    settings: Settings
    store: Store
    clock: Clock
    keyring: Keyring
    authority: Authority
    targets: Targets
    control: Control
    parts: Parts
    enforcer: Enforcer
    sequencer: Sequencer
    integrations: Integrations
    hub: Hub
    plane: LocalPlane
    blobs: Blobs
    gateways: dict[str, str] = field(default_factory=dict)
    serving: bool = False

    async def settle(self) -> None:
        """Expire, remind, enforce, tell and sequence what is due now, and wait for it."""
        await expire_requests(self.control)
        await remind(self.control)
        await remind_reviewers(self.control)
        await move_reviews_on(self.control)
        await self.enforcer.tick()
        await carry_out_due(self.parts)
        await self.tell()
        await self.sequencer.run_once()

    async def tell(self, *besides: Notifier) -> None:
        """Deliver the notices that are due, by all ways that are set up and `besides`."""
        ways, give_up_after = (*besides, *self.integrations.ways), self.integrations.settings.give_up_after
        while await deliver_due(self.control, ways, give_up_after) == AT_ONCE:
            continue  # there may be more


@asynccontextmanager
async def open_app(
    home: Home,
    *,
    clock: Clock | None = None,
    connect: Connect | None = None,
    store: Store | None = None,
    on_step: Callable[[str], None] = lambda _name: None,
    on_trouble: Callable[[str, str], None] = lambda _subject, _text: None,
) -> AsyncIterator[App]:
    """The lapse of a home folder, closed at the end. Tests and benchmarks pass their own clock, connector or store."""
    settings = read_settings(home)
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        store = store or await _opened(home, settings)
        stack.push_async_callback(store.close)
        keyring = Keyring.open(home.keys, settings.origin)
        authority = FileAuthority.open(home.keys, keyring.derive, clock.now)
        targets = Targets(connect or partial(_connect, authority), keyring.unseal)
        stack.push_async_callback(targets.close)
        await targets.refresh(store)
        integrations = _integrated(home, keyring, clock, store)
        stack.push_async_callback(integrations.close)
        parts = Parts(
            store=store,
            clock=clock,
            connector=targets,
            new_id=Ids(clock.now),
            on_step=on_step,
            on_trouble=on_trouble,
        )
        yield _assembled(home, settings, parts, (keyring, authority), targets, integrations)


def _integrated(home: Home, keyring: Keyring, clock: Clock, store: Store) -> Integrations:
    def unseal(text: str) -> str:
        return keyring.unseal(text, purpose=PURPOSE)

    return set_up(home.path, unseal, clock, lambda: store.read(lambda reader: reader.catalog()))


def _assembled(
    home: Home,
    settings: Settings,
    parts: Parts,
    keys: tuple[Keyring, Authority],
    targets: Targets,
    integrations: Integrations,
) -> App:
    keyring, authority = keys
    enforcer = Enforcer(parts)
    sequencer = Sequencer(parts.store.ledger, keyring.signer, parts.clock)
    hub, blobs = Hub(), FolderBlobs(home.recordings)

    def wake() -> None:
        enforcer.wake()
        hub.wake()

    control = Control(
        store=parts.store,
        clock=parts.clock,
        connector=targets,
        new_id=parts.new_id,
        wake=wake,
        tickets=integrations.tickets,
        rotas=integrations.rotas,
        authority=authority,
    )
    return App(
        home=home,
        settings=settings,
        store=parts.store,
        clock=parts.clock,
        keyring=keyring,
        authority=authority,
        targets=targets,
        control=control,
        parts=parts,
        enforcer=enforcer,
        sequencer=sequencer,
        integrations=integrations,
        hub=hub,
        plane=LocalPlane(control, hub, blobs=blobs),
        blobs=blobs,
    )


async def _opened(home: Home, settings: Settings) -> Store:
    from lapse.storage.opening import open_store

    return await open_store(home.store_url(settings))


def _connect(authority: Authority, kind: str, resource: str, dsn: str) -> Connector:
    from lapse.connectors import connect

    return connect(kind, resource, dsn, authority=authority)
