"""Registers commands, and gives each the options that all have: where lapse is, who acts, JSON or sentences."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer

from lapse.domain.errors import InvalidInput, Refused
from lapse.entrypoints.cli.session import Options, Session

F = TypeVar("F", bound=Callable[..., Any])

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; do it.")]
Reason = Annotated[str, typer.Option("--reason", "-r", help="Why, in a few words.", metavar="TEXT")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="How many at most.")]

_HOME = typer.Option("--home", metavar="FOLDER", help="Lapse's home folder (LAPSE_HOME, ~/.lapse).")
_URL = typer.Option("--url", metavar="URL", help="A server elsewhere (LAPSE_URL).")
_TOKEN = typer.Option("--token", metavar="TOKEN", help="Act with this token; better in LAPSE_TOKEN.")
_ACTING = typer.Option("--as", metavar="NAME", help="Act as a local user, where lapse has them.")
_JSON = typer.Option("--json", help="Print data instead of sentences.")
COMMON: dict[str, Any] = {
    "acting": Annotated[str, _ACTING],
    "json": Annotated[bool, _JSON],
    "home": Annotated[str, _HOME],
    "url": Annotated[str, _URL],
    "token": Annotated[str, _TOKEN],
}
_DEFAULTS = {"acting": "", "json": False, "home": "", "url": "", "token": ""}


def group(name: str, text: str) -> typer.Typer:
    """A group of commands."""
    del name
    return typer.Typer(help=text, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)


def command(app: typer.Typer, name: str, **more: Any) -> Callable[[F], F]:
    """Register a command. Its function gets a `Session` first, then its own arguments and options."""

    def register(function: F) -> F:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]

        def run(ctx: typer.Context, **given: Any) -> None:
            common = Options(**{key: given.pop(key) for key in COMMON})
            session = ctx.obj
            function(Session(options=common.over(session.options), parts=session.parts), **given)

        describe(run, own, function.__doc__ or "")
        app.command(name, **more)(run)
        return function

    return register


def describe(run: Any, own: list[inspect.Parameter], text: str) -> None:
    """Give `run` the signature from which the command line is made: its own parameters, and those that all have."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    context = inspect.Parameter("ctx", keyword, annotation=typer.Context)
    mine = [parameter.replace(kind=keyword) for parameter in own]
    shared = [
        inspect.Parameter(key, keyword, default=_DEFAULTS[key], annotation=annotation)
        for key, annotation in COMMON.items()
    ]
    parameters = [context, *mine, *shared]
    run.__signature__ = inspect.Signature(parameters)
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__doc__ = text


def confirm(question: str, *, yes: bool) -> None:
    """Go on only after a yes: from `--yes`, or from a person at a terminal."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidInput(
            "this needs a confirmation, and nobody can be asked here", hint=f"pass --yes, if it is yes: {question}"
        )
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise Refused("nothing was changed")
