"""`lapse policy diff`: how the answers of two policies differ, over all requests, each way with an example."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lapse.domain.errors import InvalidInput
from lapse.entrypoints.cli.commands import command
from lapse.entrypoints.cli.output import paragraph, plural, print_json, say
from lapse.entrypoints.cli.policy_files import read_policy
from lapse.entrypoints.cli.session import Session

if TYPE_CHECKING:
    from lapse.policy import Policy
    from lapse.policy.proof.differences import Difference, PolicyDiff

ACTIVE = "active"

Sides = Annotated[
    list[str], typer.Argument(metavar="OLD… NEW", help="Files or folders; OLD may be `active`: the policy in force.")
]
To = Annotated[list[str] | None, typer.Option("--to", metavar="NEW", help="A file of NEW; then all others are of OLD.")]
Seconds = Annotated[int, typer.Option("--timeout", min=1, max=3_600, metavar="SECONDS", help="How long to look.")]
ExitCode = Annotated[bool, typer.Option("--exit-code", help="Exit with 1 unless both answer alike.")]


def register(policy: typer.Typer) -> None:
    """Add these commands to `lapse policy`."""
    command(policy, "diff")(diff)


def diff(session: Session, sides: Sides, to: To = None, timeout: Seconds = 60, exit_code: ExitCode = False) -> None:
    """Say how the answers of NEW differ from those of OLD.

    Not how the files do: who may have what, on which terms, over all requests there could be. Each difference has an
    example that both policies were asked. Without any, it is proved that they answer alike.
    """
    need_solver()
    old, new = _two(sides, to or [])
    before, after = _policy(session, old), _policy(session, new)
    found = _compared(before, after, timeout)
    if session.json:
        print_json(_data(found))
    else:
        _print(found)
    if exit_code and not found.equivalent:
        raise typer.Exit(1)


def need_solver() -> None:
    """Stop here if there is nothing to prove with."""
    from lapse.policy.proof.outcomes import HOW_TO_INSTALL, installed

    if not installed():
        raise InvalidInput("this needs the solver, which is not installed", hint=f"`{HOW_TO_INSTALL}` installs it")


def _compared(old: Policy, new: Policy, timeout: int) -> PolicyDiff:
    import time

    from lapse.policy.proof.diff import compare

    return compare(old, new, clock=time.monotonic, timeout=timeout)


def _two(sides: list[str], to: list[str]) -> tuple[list[str], list[str]]:
    """The names of OLD and of NEW."""
    if to:
        return sides, to
    if len(sides) != 2:  # noqa: PLR2004  an old one and a new one
        raise InvalidInput(
            "a comparison takes two policies: an old one and a new one",
            hint="name two files or folders; `OLD… --to NEW` where one of them has several files",
        )
    return sides[:1], sides[1:]


def _policy(session: Session, names: list[str]) -> Policy:
    from lapse.policy import parse

    if names == [ACTIVE]:
        with session.api() as api:
            return parse(api.get("/policy")["files"])
    return parse(read_policy([Path(name) for name in names]))


def _print(found: PolicyDiff) -> None:
    for note in found.notes:
        paragraph(f"note: {note}")
    if not found.changed:
        say("equivalent: no rule differs in anything that answers depend on")
        return
    paragraph(
        f"{plural(len(found.changed), 'rule')} differ: {', '.join(found.changed)}".replace(
            "rule differ", "rule differs"
        )
    )
    for difference in found.differences:
        say()
        _print_difference(difference)
    if found.unknown:
        say()
    for one in found.unknown:
        paragraph(one.words, rest="  ")
    if found.equivalent:
        say("equivalent: proved that they answer every request alike")


def _print_difference(difference: Difference) -> None:
    from lapse.policy.proof.words import detail_of, lines_of

    say(f"{difference.kind}: {difference.rule}")
    for line in lines_of(difference.ask):
        paragraph(line, first="  ", rest="    ")
    before, after = detail_of(difference.old, difference.new)
    paragraph(before, first="  before  ", rest="          ")
    paragraph(after, first="  now     ", rest="          ")


def _data(found: PolicyDiff) -> dict[str, Any]:
    from lapse.domain.data import to_data

    return {
        "equivalent": found.equivalent,
        "changed": list(found.changed),
        "differences": [_difference_data(one) for one in found.differences],
        "unknown": to_data(found.unknown),
        "notes": list(found.notes),
    }


def _difference_data(one: Difference) -> dict[str, Any]:
    from lapse.domain.data import to_data

    sides = {
        name: {"allowed": side.allowed, "reason": side.reason, "terms": to_data(side.terms)}
        for name, side in (("old", one.old), ("new", one.new))
    }
    return {"kind": str(one.kind), "rule": one.rule, "ask": to_data(one.ask), **sides}
