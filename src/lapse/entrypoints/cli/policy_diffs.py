"""`lapse policy diff` and `analyse`: how the answers of two policies differ, and what is odd about one.

Over all requests there could be, each with an example that was asked, or a proof.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lapse.domain.errors import InvalidInput
from lapse.entrypoints.cli.commands import command
from lapse.entrypoints.cli.output import paragraph, plural, print_json, say
from lapse.entrypoints.cli.policy_files import PolicyFiles, read_policy
from lapse.entrypoints.cli.session import Session

if TYPE_CHECKING:
    from lapse.domain.catalog import Catalog
    from lapse.policy import Policy
    from lapse.policy.proof.differences import Difference, PolicyDiff
    from lapse.policy.proof.noticed import PolicyFinding

ACTIVE = "active"

Sides = Annotated[
    list[str], typer.Argument(metavar="OLD… NEW", help="Files or folders; OLD may be `active`: the policy in force.")
]
To = Annotated[list[str] | None, typer.Option("--to", metavar="NEW", help="A file of NEW; then all others are of OLD.")]
Seconds = Annotated[int, typer.Option("--timeout", min=1, max=3_600, metavar="SECONDS", help="How long to look.")]
ExitCode = Annotated[bool, typer.Option("--exit-code", help="Exit with 1 unless both answer alike.")]
Odd = Annotated[bool, typer.Option("--exit-code", help="Exit with 1 if there is anything.")]
Longest = Annotated[str, typer.Option("--longest", metavar="TIME", help="What is not too long without a gap.")]
Real = Annotated[bool, typer.Option("--directory", help="Count approvers in the catalog in force.")]
CatalogFiles = Annotated[
    list[Path] | None, typer.Option("--catalog", metavar="FILE", help="Count approvers in a catalog file.")
]


def register(policy: typer.Typer) -> None:
    """Add these commands to `lapse policy`."""
    command(policy, "diff")(diff)
    command(policy, "analyse")(analyse)


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


def analyse(  # noqa: PLR0913, PLR0917  one an option
    session: Session,
    files: PolicyFiles,
    directory: Real = False,
    catalog: CatalogFiles = None,
    longest: Longest = "7d",
    timeout: Seconds = 60,
    exit_code: Odd = False,
) -> None:
    """Say what is odd about files, without being asked.

    Rules that do nothing, access that nobody decides on or one person alone, access that is very long or can be had
    again and again, and, with a catalog, approvals that nobody could ever get. Each is proved, or has an example.
    """
    from lapse.domain.durations import parse_duration
    from lapse.policy import parse

    need_solver()
    policy, bound = parse(read_policy(files)), parse_duration(longest)
    found = _odd(policy, _catalog(session, directory, catalog or []), timeout, bound)
    if session.json:
        print_json({"version": policy.version, "findings": [_finding_data(one) for one in found]})
    else:
        _print_findings(found)
    if exit_code and found:
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


def _catalog(session: Session, directory: bool, files: list[Path]) -> Catalog | None:
    if directory:
        from lapse.domain.catalog import Catalog
        from lapse.domain.data import from_data

        with session.api() as api:
            return from_data(Catalog, api.get("/catalog"))
    if files:
        from lapse.entrypoints.cli.files import read_files
        from lapse.identity.catalog_files import catalog_from_files

        return catalog_from_files(read_files(files))
    return None


def _odd(policy: Policy, catalog: Catalog | None, timeout: int, longest: timedelta) -> tuple[PolicyFinding, ...]:
    import time

    from lapse.policy.proof.findings import analyse as look

    return look(policy, catalog, clock=time.monotonic, timeout=timeout, longest=longest)


def _print_findings(found: tuple[PolicyFinding, ...]) -> None:
    from lapse.policy.proof.words import answer_words, asked_words

    if not found:
        say("nothing odd was found")
        return
    for one in found:
        how = "" if one.certainty == "shown" else f" ({one.certainty})"
        paragraph(f"{one.kind}{how}: `{one.about}`" + (f", {one.file}:{one.line}" if one.file else ""), rest="  ")
        paragraph(one.detail, first="  ")
        if one.ask is not None and one.answer is not None:
            paragraph(asked_words(one.ask), first="  e.g.  ", rest="        ")
            paragraph(answer_words(one.answer), first="        ")


def _finding_data(one: PolicyFinding) -> dict[str, Any]:
    from lapse.domain.data import to_data

    answer = one.answer
    said = (
        None if answer is None else {"allowed": answer.allowed, "reason": answer.reason, "terms": to_data(answer.terms)}
    )
    return {
        "kind": str(one.kind),
        "certainty": str(one.certainty),
        "about": one.about,
        "file": one.file,
        "line": one.line,
        "detail": one.detail,
        "ask": None if one.ask is None else to_data(one.ask),
        "answer": said,
    }
