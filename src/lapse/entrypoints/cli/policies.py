"""`lapse policy`: check files, explain an answer, put files in force."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lapse.domain.errors import InvalidInput
from lapse.entrypoints.cli import (
    policy_diffs,
    policy_format,
    policy_proofs,
    policy_proposals,
    policy_replay,
    policy_tests,
)
from lapse.entrypoints.cli.asking import (
    Because,
    Beneficiary,
    BreakGlass,
    Duration,
    EntitlementName,
    StartsAt,
    Ticket,
    request_body,
)
from lapse.entrypoints.cli.commands import command, group
from lapse.entrypoints.cli.output import facts, note, paragraph, plural, print_json, safe, say, when
from lapse.entrypoints.cli.policy_files import PolicyFiles, read_policy
from lapse.entrypoints.cli.session import Session

if TYPE_CHECKING:
    from lapse.policy import Policy


def register(app: typer.Typer) -> None:
    """Add these commands."""
    policy = group("policy", "Who may have what, on which terms.")
    app.add_typer(policy, name="policy")
    command(policy, "check")(check)
    command(policy, "fmt")(policy_format.fmt)
    command(policy, "test")(policy_tests.run_tests)
    command(policy, "schema")(policy_tests.schema)
    command(policy, "explain")(explain)
    command(policy, "apply")(apply)
    command(policy, "show")(show)
    command(policy, "prove")(policy_proofs.prove)
    command(policy, "replay")(policy_replay.replay)
    policy_diffs.register(policy)
    policy_proposals.register(policy)


def check(
    session: Session,
    files: PolicyFiles,
    catalog: Annotated[
        list[Path] | None, typer.Option("--catalog", metavar="FILE", help="Who works here: warn about unknown names.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="With --catalog: exit code 1 if there are warnings.")
    ] = False,
) -> None:
    """Say what is wrong with files, and where.

    Needs no home and no server. With a catalog, also which groups, people, tags and entitlements nobody has.
    """
    from lapse.policy import parse

    try:
        policy = parse(read_policy(files))
    except InvalidInput as error:
        problems = [str(problem) for problem in getattr(error, "problems", ())]
        if not problems:
            raise
        _print_problems(session, problems)
        raise typer.Exit(2) from None
    warnings = _warnings(policy, catalog) if catalog else []
    if session.json:
        print_json({"ok": True, "version": policy.version, "problems": [], "warnings": warnings})
    else:
        _print_checked(policy, warnings)
    if strict and warnings:
        raise typer.Exit(1)


def _warnings(policy: Policy, files: list[Path]) -> list[str]:
    from lapse.entrypoints.cli.files import read_files
    from lapse.identity.catalog_files import catalog_from_files
    from lapse.policy import lint

    return [str(warning) for warning in lint(policy, catalog_from_files(read_files(files)))]


def _print_checked(policy: Policy, warnings: list[str]) -> None:
    for warning in warnings:
        say(f"{safe(warning, longest=500)}")
    if warnings:
        note(f"lapse: {plural(len(warnings), 'warning')}")
    say(f"ok: {plural(len(policy.offers), 'offer')}, {plural(len(policy.limits), 'limit')}")
    say("next: `lapse policy apply` for a first policy, `lapse policy propose` for a change")


def explain(  # noqa: PLR0913, PLR0917  one an option
    session: Session,
    entitlement: EntitlementName,
    how_long: Duration,
    because: Because = "",
    ticket: Ticket = "",
    beneficiary: Beneficiary = "",
    starts_at: StartsAt = "",
    break_glass: BreakGlass = False,
) -> None:
    """Say what the policy would answer, and why.

    Shows how every rule came out. Nothing is recorded.

    `--as NAME` asks in somebody else's place: as an auditor or administrator, or as a local user.
    """
    asker = session.options.acting
    body = request_body(entitlement, how_long, because, ticket) | {"break_glass": break_glass}
    optional = {"beneficiary": beneficiary, "starts_at": starts_at, "requester": asker if session.token else ""}
    with session.api(acting="" if session.token else asker) as api:
        found = api.post("/requests/preview", body | {name: value for name, value in optional.items() if value})
    if session.json:
        print_json(found["evaluation"])
        return
    for line in found["lines"]:
        words = line.lstrip(" +-!")
        paragraph(words, first=line[: len(line) - len(words)], rest=" " * (len(line) - len(words) + 2))


def apply(session: Session, files: PolicyFiles) -> None:
    """Put the first files in force. The second time nothing changes.

    Once a policy is in force, `lapse policy propose` changes it, and takes two persons.
    """
    with session.api() as api:
        found = api.put("/policy", {"files": read_policy(files)})
    if session.json:
        print_json(found)
        return
    version = found["policy"]["version"]
    if not found["changed"]:
        say(f"policy {version[:12]} is in force already; nothing was changed")
        return
    say(f"policy {version[:12]} is in force")
    say("next: `lapse policy explain --as NAME RESOURCE/ROLE --for 2h` shows what it answers")


def show(
    session: Session, text: Annotated[bool, typer.Option("--text", help="Print the files themselves.")] = False
) -> None:
    """Show the policy in force."""
    with session.api() as api:
        found = api.get("/policy")
    if session.json:
        print_json(found)
        return
    if text:
        for name, content in found["files"].items():
            say(f"# {name}\n{content}")
        return
    names = ", ".join(found["files"])
    facts(
        {"policy": found["version"], "files": names, "since": when(found["activated_at"]), "by": found["activated_by"]}
    )


def _print_problems(session: Session, problems: list[str]) -> None:
    if session.json:
        print_json({"ok": False, "problems": problems})
        return
    for problem in problems:
        say(problem)
    note(f"lapse: {plural(len(problems), 'problem')}")
