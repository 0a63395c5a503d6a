"""`lapse init`, `serve`, `gateway`, `demo`, `version`: getting lapse to run."""

from __future__ import annotations

from typing import Annotated

import typer

from lapse import __version__
from lapse.entrypoints.cli.commands import command
from lapse.entrypoints.cli.output import print_json, say
from lapse.entrypoints.cli.session import Session, running_server


def register(app: typer.Typer) -> None:
    """Add these commands."""
    command(app, "init")(init)
    command(app, "serve")(serve)
    command(app, "gateway")(gateway)
    command(app, "demo")(demo)
    command(app, "version")(version)


def init(
    session: Session,
    admin: Annotated[str, typer.Option(metavar="NAME", help="The first administrator.")] = "admin",
    store: Annotated[str, typer.Option(metavar="URL", help="A PostgreSQL to use instead of a file.")] = "",
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where the server listens.")] = "",
    origin: Annotated[str, typer.Option(metavar="NAME", help="The ledger's name on its checkpoints.")] = "",
) -> None:
    """Set up a home folder: settings, keys, store and a first token.

    A second time it changes nothing.
    """
    import asyncio

    from lapse.bootstrap.home import Settings
    from lapse.bootstrap.setup import set_up

    given = {name: value for name, value in (("store", store), ("listen", listen), ("origin", origin)) if value}
    done = asyncio.run(set_up(session.home, Settings(**given), admin=admin))  # type: ignore[arg-type]
    home = done.home
    if session.json:
        print_json({"home": str(home.path), "created": list(done.created), "key": done.key, "admin": done.admin})
        return
    if not done.created:
        say(f"{home.path} is set up already; nothing was changed")
        return
    say(f"lapse is set up in {home.path}")
    say(f"  settings   {home.settings_file}")
    say(f"  token      {home.token_file} (of `{done.admin}`; only you can read it)")
    say(f"  ledger key {done.key}")
    say()
    say("next:")
    say("  lapse catalog apply catalog.yaml   who works here, and what is protected")
    say("  lapse policy apply policy.yaml     who may have what, on which terms")
    say("  lapse serve                        the API, and what ends access on time")


def serve(
    session: Session,
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Another address than in lapse.toml.")] = "",
) -> None:
    """Run the server: the API, and what ends access on time.

    Ends in order on SIGTERM or Ctrl-C.
    """
    session.parts.serve(session.home.require(), listen or None)


def gateway(
    session: Session,
    workers: Annotated[int | None, typer.Option(metavar="N", min=1, help="Processes; else as lapse.toml says.")] = None,
    supervised: Annotated[bool, typer.Option("--supervised", hidden=True)] = False,
) -> None:
    """Run gateways in processes of their own, on this home's store.

    Drains on SIGTERM or Ctrl-C; SIGHUP reads the certificate again, SIGUSR2 replaces the processes one by one.
    """
    raise typer.Exit(session.parts.gateway(session.home.require(), workers, supervised))


def demo(
    session: Session,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the server up.")] = False,
) -> None:
    """See it work on a private PostgreSQL, in about a minute."""
    raise typer.Exit(session.parts.demo(keep))


def version(session: Session) -> None:
    """Print the version, and whether a server runs here."""
    url = session.remote or running_server(session.home)
    if session.json:
        print_json({"version": __version__, "home": str(session.home.path), "server": url or None})
        return
    say(f"lapse {__version__}")
    say(f"home {session.home.path}" + ("" if session.home.exists else " (not set up)"))
    say(f"server {url}" if url else "no server runs here")
