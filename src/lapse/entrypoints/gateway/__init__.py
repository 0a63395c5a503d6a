"""`lapse gateway`: gateways in processes of their own, beside or without a server on the same home."""

from __future__ import annotations

from lapse.bootstrap.home import Home, read_settings
from lapse.domain.errors import InvalidInput


def run_gateway(home: Home, workers: int | None = None, *, supervised: bool = False) -> int:
    """Run the gateway until SIGTERM or SIGINT: here, or in `workers` processes; the exit code.

    Args:
        home: whose settings and store are used.
        workers: how many processes; None is what the settings say.
        supervised: this is one of them.

    Raises:
        InvalidInput: no address is set, or the server is the one to run the gateway.
        Unavailable: an address is in use, or the store cannot be opened.
    """
    settings = read_settings(home)
    if not settings.gateway.listening:
        raise InvalidInput("no gateway is set up", hint="set `postgresql` in [gateway] of lapse.toml")
    if not settings.gateway.workers:
        raise InvalidInput(
            "the gateway is a part of `lapse serve` here", hint="set `workers` in [gateway] of lapse.toml"
        )
    number = settings.gateway.workers if workers is None else workers
    if supervised or number == 1:
        from lapse.entrypoints.gateway.worker import work

        work(home, settings, supervised=supervised)
        return 0
    from lapse.bootstrap.logs import set_up_logs
    from lapse.entrypoints.gateway.workers import Workers

    return Workers(home, number, set_up_logs(settings.log_level)).run()
