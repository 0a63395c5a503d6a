"""Puts a gateway process together: its place, protocols, certificate, recordings and door, on a control plane.

Called by the server, which has a gateway in its own process where the settings say so, and by `lapse gateway`. The
heavy parts of a protocol are imported when its address is set.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from lapse import __version__
from lapse.bootstrap.app import App
from lapse.bootstrap.gateways.measured import MeasuredPlane
from lapse.bootstrap.gateways.neighbours import heard, pass_on
from lapse.bootstrap.gateways.places import Place, abandoned_places, taken_place
from lapse.bootstrap.gateways.settings import GatewaySettings, parse_address
from lapse.bootstrap.gateways.spans import traced
from lapse.bootstrap.logs import Logger
from lapse.control.gateways import end_gateway
from lapse.domain.errors import InvalidInput, LapseError
from lapse.gateway.context import GatewayContext
from lapse.gateway.door import Door
from lapse.gateway.endings import Endings
from lapse.gateway.live import LiveSessions
from lapse.gateway.measures import Metrics, NoMetrics, Traces
from lapse.gateway.process import GatewayProcess, Listening, MakeServer
from lapse.gateway.recording.recorder import FileRecorder
from lapse.gateway.tls import ServerTls
from lapse.ports import Clock, ControlPlane
from lapse.storage.host_key import ssh_host_key


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a gateway process is put into. `places`, `recordings` and `keys` are folders that other processes may use.

    `neighbourly`: the plane reaches only this process, so cancel requests are passed on by the machine.
    """

    settings: GatewaySettings
    plane: ControlPlane
    clock: Clock
    log: Logger
    places: Path
    recordings: Path
    keys: Path
    login_secret: bytes = field(repr=False)
    neighbourly: bool = True


@asynccontextmanager
async def gateway_beside(app: App, log: Logger) -> AsyncIterator[GatewayProcess | None]:
    """The gateway in the server's own process while the body runs; None where no address is set, or others run it."""
    settings = app.settings.gateway
    app.gateways.update(settings.listening | settings.public)
    if settings.workers or not settings.listening:
        yield None
        return
    async with gateway_of(app, log) as process:
        app.gateways.update(process.addresses | settings.public)
        yield process


@asynccontextmanager
async def gateway_of(app: App, log: Logger) -> AsyncIterator[GatewayProcess]:
    """A gateway process on the store of `app`.

    Raises:
        InvalidInput: no address is set, or a certificate cannot be used.
        Unavailable: an address is in use, or recordings cannot be kept.
    """
    around = Surroundings(
        settings=app.settings.gateway,
        plane=app.plane,
        clock=app.clock,
        log=log,
        places=app.home.gateways,
        recordings=app.home.recordings,
        keys=app.home.keys,
        login_secret=app.authority.derive("gateway", "unknown logins"),
    )
    async with AsyncExitStack() as stack:
        place = stack.enter_context(taken_place(around.places))
        stack.push_async_callback(_ended, app, place.name, log)
        yield await stack.enter_async_context(running_gateway(around, place))


@asynccontextmanager
async def running_gateway(around: Surroundings, place: Place) -> AsyncIterator[GatewayProcess]:
    """The gateway process that has `place`, while the body runs; then it drains."""
    settings = around.settings
    if not settings.listening:
        raise InvalidInput("no gateway is set up", hint="set `postgresql` in [gateway] of lapse.toml")
    tls = ServerTls(Path(settings.certificate), Path(settings.key)) if settings.certificate else None
    async with AsyncExitStack() as stack:
        metrics = _figures(stack, around, place)
        traces = stack.enter_context(traced(place.name, __version__, settings.traces))
        plane = _plane(around, place, metrics)
        number = await plane.register(place.name, tuple(settings.listening))
        process = _process(around, place, plane, (metrics, traces), number, tls)
        _watch(metrics, process)
        stack.enter_context(heard(place, process.cancel_query))
        await stack.enter_async_context(process.running())
        await _take_over(around, place, process)
        around.log.info("gateway", name=place.name, **process.addresses)
        yield process


def _process(
    around: Surroundings,
    place: Place,
    plane: ControlPlane,
    measures: tuple[Metrics, Traces],
    number: int,
    tls: ServerTls | None,
) -> GatewayProcess:
    metrics, traces = measures
    trouble = partial(_trouble, around.log)
    endings = Endings(plane, place.endings_file, on_trouble=trouble)
    door = Door(
        place.name,
        plane=plane,
        live=LiveSessions(around.clock, on_trouble=trouble),
        recorder=(recorder := FileRecorder(around.recordings, plane, around.log, marks=place.marks)),
        clock=around.clock,
        endings=endings,
        metrics=metrics,
        traces=traces,
    )
    context = GatewayContext(
        door=door,
        clock=around.clock,
        number=number,
        log=around.log,
        tls=tls,
        require_tls=around.settings.require_tls,
        login_secret=around.login_secret,
        metrics=metrics,
        traces=traces,
    )
    endings.load()
    return GatewayProcess(context=context, recorder=recorder, listening=_listening(around), drain=around.settings.drain)


def _listening(around: Surroundings) -> list[Listening]:
    found = []
    for protocol, text in around.settings.listening.items():
        host, port = parse_address(text)
        found.append(Listening(host=host, port=port, make_server=_maker(protocol, around.keys)))
    return found


def _maker(protocol: str, keys: Path) -> MakeServer:
    if protocol == "postgresql":
        from lapse.gateway.postgres import PostgresServer

        return PostgresServer
    if protocol == "ssh":
        if find_spec("asyncssh") is None:
            raise InvalidInput("the gateway for ssh needs asyncssh", hint="install `lapse[ssh]`")
        from lapse.gateway.ssh import ssh_server

        return ssh_server(ssh_host_key(keys))
    raise InvalidInput(f"there is no gateway for `{protocol}`")


def _plane(around: Surroundings, place: Place, metrics: Metrics) -> ControlPlane:
    if around.neighbourly:
        return MeasuredPlane(around.plane, metrics, besides=partial(pass_on, place))
    return MeasuredPlane(around.plane, metrics)


def _figures(stack: AsyncExitStack, around: Surroundings, place: Place) -> Metrics:
    """Where they are told, the port is the first process's one and the number of the place."""
    if not around.settings.metrics:
        return NoMetrics()
    from lapse.bootstrap.gateways.figures import PrometheusMetrics, told

    metrics = PrometheusMetrics(place.name, __version__, around.clock)
    host, port = parse_address(around.settings.metrics)
    address = stack.enter_context(told(metrics, host, port + place.number if port else 0))
    around.log.info("figures", address=address)
    return metrics


def _watch(metrics: Metrics, process: GatewayProcess) -> None:
    watch: Callable[[str, str, Callable[[], float]], None] | None = getattr(metrics, "watch", None)
    if watch is None:
        return
    endings = process.context.door.endings
    watch("control_reached", "Whether lapse is reached.", lambda: float(process.reached))
    watch("endings_waiting", "Ends of sessions that lapse was not told of.", lambda: float(len(endings or ())))
    watch("recording_bytes_waiting", "Bytes on their way to the disk.", lambda: float(process.recorder.waiting))


async def _take_over(around: Surroundings, place: Place, process: GatewayProcess) -> None:
    """Finish what processes left that are gone and whose places nobody has taken."""
    endings = process.context.door.endings
    with abandoned_places(place) as left:
        for one in left:
            sealed = await process.recorder.recover(one.marks)
            told = endings.take_over(one.endings_file) if endings else 0
            if sealed or told:
                around.log.info("taken over", place=one.name, recordings=sealed, endings=told)


async def _ended(app: App, name: str, log: Logger) -> None:
    try:
        await end_gateway(app.control, name)
    except LapseError as error:
        log.warning("end of the gateway not told", reason=error.message)


def _trouble(log: Logger, what: str, error: Exception) -> None:
    log.warning("trouble in a session", subject=what, reason=str(error))
