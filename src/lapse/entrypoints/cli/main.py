"""The command line as a whole: its commands, its errors, its exit codes.

    0 done   1 failed   2 wrong use or input   3 refused   4 not found   5 conflict   6 unavailable

Errors are one lowercase sentence on standard error and a hint; a traceback is shown only with LAPSE_DEBUG=1.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Annotated, Any

import typer

from lapse import __version__
from lapse.domain.errors import Conflict, Corrupt, InvalidInput, LapseError, NotFound, Refused, Unavailable
from lapse.entrypoints.cli.commands import describe
from lapse.entrypoints.cli.session import FileErrors, Options, Parts, Session

EXIT_CODES: dict[type[LapseError], int] = {
    InvalidInput: 2,
    Refused: 3,
    NotFound: 4,
    Conflict: 5,
    Unavailable: 6,
    Corrupt: 1,
}
_USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]
_CLICK_ERROR: type[Exception] = typer.BadParameter.__mro__[2]
_VERSION = Annotated[bool, typer.Option("--version", help="Print the version.")]
_VALUED = {"--as", "--home", "--url", "--token"}
COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("setup", "Set up a home folder: settings, keys, store and a first token."),
    "serve": ("setup", "Run the server: the API, and what ends access on time."),
    "gateway": ("setup", "Run gateways in processes of their own, on this home's store."),
    "approve": ("requests", "Say yes to a request."),
    "deny": ("requests", "Say no to a request, with a reason."),
    "approvals": ("approvals", "What waits for your decision."),
    "demo": ("setup", "See it work on a private PostgreSQL, in about a minute."),
    "version": ("setup", "Print the version, and whether a server runs here."),
    "catalog": ("catalog", "Who works here, and what is protected."),
    "policy": ("policies", "Who may have what, on which terms."),
    "target": ("targets", "How lapse reaches resources."),
    "request": ("requests", "Ask for access, and see what was asked."),
    "template": ("templates", "What is asked often, filled in already."),
    "breakglass": ("breakglass", "Emergencies, and their reviews."),
    "grant": ("grants", "What is granted: see it, extend it, end it."),
    "connect": ("connecting", "Open psql on a database that you have access to now."),
    "ssh": ("shells", "Open a shell on a host that you have access to now."),
    "session": ("sessions", "What goes through the gateway: see it, end it."),
    "hold": ("sessions", "Statements that wait at the gateway for an approver."),
    "delegation": ("delegations", "Let somebody else decide while one is away."),
    "lock": ("locks", "The red button: stop people, resources, roles."),
    "reconcile": ("targets", "Compare a target with what should be there."),
    "drift": ("targets", "Access that no grant explains."),
    "review": ("reviews", "The recurring security review."),
    "exception": ("exceptions", "What is accepted, until when, by whom."),
    "source": ("sources", "Records of other systems that a review reads."),
    "detector": ("detectors", "What a review looks for."),
    "ledger": ("ledger", "The record of every change, and its proof."),
    "integration": ("integrations", "Other systems that lapse asks and tells."),
    "rota": ("integrations", "Who is on call."),
    "ticket": ("integrations", "Tickets, as their systems know them."),
    "notice": ("integrations", "What people were told."),
    "token": ("tokens", "API tokens."),
    "principal": ("catalog", "People, services and agents."),
    "resource": ("catalog", "What is protected, and the roles there."),
}
"""Every command and group: its module here, and what the help says of it. Only the module of the one that is named is
imported, so that everything starts quickly."""

_INTERRUPTED, _BROKEN_PIPE = 130, 141


def run(arguments: Sequence[str], parts: Parts) -> int:
    """Run one command and return its exit code. Prints whatever there is to say."""
    try:
        code = build(parts, wanted(arguments))(args=list(arguments), prog_name="lapse", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except LapseError as error:
        return _complain(error)
    except _CLICK_ERROR as error:
        return _usage(error)
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write("lapse: stopped\n")
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader went away; what is left in the buffer must not be written at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except Exception as error:  # noqa: BLE001  a person must not meet a traceback
        return _bug(error)


def build(parts: Parts, name: str | None = None) -> typer.Typer:
    """All commands; only the one called `name` (None: all) can do more than be listed."""
    app = typer.Typer(
        help="Just-in-time access that ends on time, and the security review that proves it did.",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root(parts))
    modules = {module for command, (module, _) in COMMANDS.items() if name in {command, None}}
    for module in sorted(modules):
        import_module(f"lapse.entrypoints.cli.{module}").register(app)
    for command, (module, text) in COMMANDS.items():
        if module not in modules:
            app.command(command, help=text)(_listed_only)
    return app


def wanted(arguments: Sequence[str]) -> str | None:
    """The command that the arguments name; an empty string for none, None where a shell asks for completions."""
    if "_LAPSE_COMPLETE" in os.environ:
        return None
    rest = iter(arguments)
    for word in rest:
        if word in _VALUED:
            next(rest, None)
        elif not word.startswith("-"):
            return word
    return ""


def _listed_only() -> None:
    """Never runs: the command that is named has its module loaded."""


def _root(parts: Parts) -> Callable[..., None]:
    def root(ctx: typer.Context, *, version: bool = False, **common: Any) -> None:
        if version:
            sys.stdout.write(f"lapse {__version__}\n")
            raise typer.Exit
        ctx.obj = Session(options=Options(**common), parts=parts)

    own = inspect.Parameter("version", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=_VERSION)
    describe(root, [own], "")
    return root


def exit_code_of(error: LapseError) -> int:
    """The exit code of an expected failure."""
    return next((code for kind, code in EXIT_CODES.items() if isinstance(error, kind)), 1)


def _complain(error: LapseError) -> int:
    from lapse.entrypoints.cli.output import note

    if isinstance(error, FileErrors) or getattr(error, "problems", None):
        for problem in error.problems:  # type: ignore[attr-defined]
            note(_located(problem))
    else:
        note(f"lapse: {error.message}")
        if error.hint:
            note(f"  hint: {error.hint}")
    _details(error)
    return exit_code_of(error)


def _located(problem: Any) -> str:
    if not isinstance(problem, dict):
        return str(problem)
    hint = f" ({problem['hint']})" if problem.get("hint") else ""
    return f"{problem['file']}:{problem['line']}:{problem['column']}: {problem['message']}{hint}"


def _usage(error: Any) -> int:
    from lapse.entrypoints.cli.output import note

    text = str(error.format_message()).strip()
    if type(error).__name__ == "NoArgsIsHelpError":
        sys.stdout.write(text + "\n")
        return 2
    path = error.ctx.command_path if getattr(error, "ctx", None) else "lapse"
    sentence, _, more = text.replace("'", "`").rstrip(".").partition(". ")
    hint = more or f"`{path} --help` says what is possible"
    note(f"lapse: {sentence[:1].lower()}{sentence[1:]}\n  hint: {hint[:1].lower()}{hint[1:]}")
    return 2


def _bug(error: Exception) -> int:
    sys.stderr.write(f"lapse: something went wrong inside lapse ({type(error).__name__})\n")
    if not os.environ.get("LAPSE_DEBUG"):
        sys.stderr.write("  hint: run it again with LAPSE_DEBUG=1 to see details for a bug report\n")
    _details(error)
    return 1


def _details(error: Exception) -> None:
    if os.environ.get("LAPSE_DEBUG"):
        import traceback

        traceback.print_exception(error)
