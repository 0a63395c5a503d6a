"""`lapse policy propose`, `proposals`, `proposal show`, `activate`, `reject`, `withdraw`: a change by two persons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from lapse.entrypoints.cli.commands import Yes, command, confirm, group
from lapse.entrypoints.cli.output import facts, paragraph, plural, print_json, safe, say, table, when
from lapse.entrypoints.cli.policy_files import PolicyFiles, read_policy
from lapse.entrypoints.cli.policy_replay import Since, print_report
from lapse.entrypoints.cli.session import Session, quoted

ProposalId = Annotated[str, typer.Argument(metavar="PROPOSAL")]
Why = Annotated[str, typer.Option("--reason", "-r", help="Why, in a few words.", metavar="TEXT")]

_VERSION = 19
"""Characters of a version that people see: `sha256:` and twelve digits."""


def register(policy: typer.Typer) -> None:
    """Add these commands to `lapse policy`."""
    command(policy, "propose")(propose)
    command(policy, "proposals")(proposals)
    proposal = group("proposal", "One proposed change.")
    policy.add_typer(proposal, name="proposal")
    command(proposal, "show")(show)
    command(policy, "activate")(activate)
    command(policy, "reject")(reject)
    command(policy, "withdraw")(withdraw)


def propose(session: Session, files: PolicyFiles, reason: Why, since: Since = "90d") -> None:
    """Propose files as the policy.

    Shows what they would do; another administrator activates them.
    """
    with session.api() as api:
        made = api.post("/policy/proposals", {"files": read_policy(files), "reason": reason, "since": since})
        found = api.get(f"/policy/proposals/{quoted(made['id'])}")
    if session.json:
        print_json(found)
        return
    say(f"proposal {made['id']} waits for another administrator")
    say()
    print_effects(found["effects"])
    say()
    say(f"next: `lapse policy activate {made['id']}`, by somebody else")


def proposals(
    session: Session, open_only: Annotated[bool, typer.Option("--open", help="Only those nobody decided yet.")] = False
) -> None:
    """List proposed changes, newest first."""
    with session.api() as api:
        items = api.get("/policy/proposals", open_only=open_only)["items"]
    if session.json:
        print_json(items)
        return
    if not items:
        say("no change is proposed; `lapse policy propose FILE… --reason TEXT` does so")
        return
    table(
        ("PROPOSAL", "STATE", "BY", "WHEN", "REASON"),
        (
            (p["id"], _state(p["state"], p["stale"]), p["proposed_by"], when(p["created_at"]), p["reason"])
            for p in items
        ),
        flexible=4,
    )


def show(
    session: Session,
    proposal: ProposalId,
    text: Annotated[bool, typer.Option("--text", help="Print how the files differ.")] = False,
) -> None:
    """Show one proposed change, and what it would do."""
    with session.api() as api:
        found = api.get(f"/policy/proposals/{quoted(proposal)}")
    if session.json:
        print_json(found)
        return
    if text:
        _print_difference(found)
        return
    _print_head(found)
    say()
    print_effects(found["effects"])
    if found["proposal"]["state"] == "pending" and not found["stale"]:
        say()
        say(f"next: `lapse policy activate {proposal}`, `reject`, or --text for how the files differ")


def activate(
    session: Session,
    proposal: ProposalId,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why, in a few words.", metavar="TEXT")] = "",
    accept_unknown: Annotated[
        str, typer.Option("--accept-unknown", help="Why to go on although claims are not decided.", metavar="TEXT")
    ] = "",
    yes: Yes = False,
) -> None:
    """Put a proposed change in force, as a second person."""
    with session.api() as api:
        path = f"/policy/proposals/{quoted(proposal)}"
        if not yes:
            found = api.get(path)
            if not session.json:
                _print_head(found)
                say()
                print_effects(found["effects"])
                say()
        confirm(f"put {proposal} in force?", yes=yes)
        done = api.post(f"{path}/activation", {"reason": reason, "accept_unknown": accept_unknown})
    if session.json:
        print_json(done)
        return
    say(f"policy {done['policy']['version'][:_VERSION]} is in force")
    say("next: `lapse policy explain --as NAME RESOURCE/ROLE --for 2h`")


def reject(session: Session, proposal: ProposalId, reason: Why) -> None:
    """Say no to a proposed change, as a second person."""
    _close(session, proposal, "rejection", reason)


def withdraw(
    session: Session,
    proposal: ProposalId,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why, in a few words.", metavar="TEXT")] = "",
) -> None:
    """Take back a change that you proposed."""
    _close(session, proposal, "withdrawal", reason)


def _close(session: Session, proposal: str, how: str, reason: str) -> None:
    with session.api() as api:
        done = api.post(f"/policy/proposals/{quoted(proposal)}/{how}", {"reason": reason})
    if session.json:
        print_json(done)
        return
    say(f"proposal {done['id']} is {done['state']}; the policy in force stays as it is")


def _state(state: str, stale: bool) -> str:
    return "too late" if stale else state


def _print_head(found: Mapping[str, Any]) -> None:
    proposal = found["proposal"]
    decided = f"{when(proposal['decided_at'])} by {safe(proposal['decided_by'])}"
    facts(
        {
            "proposal": proposal["id"],
            "state": _state(proposal["state"], found["stale"]),
            "reason": proposal["reason"],
            "proposed": f"{when(proposal['created_at'])} by {safe(proposal['proposed_by'])}",
            "decided": decided if proposal["decided_by"] else "",
            "because": proposal["decision_reason"],
            "policy": proposal["policy_version"][:_VERSION],
            "instead of": proposal["base"][:_VERSION],
            "files": ", ".join(proposal["files"]),
        }
    )
    if found["stale"]:
        say()
        paragraph("another policy came into force since: what is shown here no longer holds. Propose the files again.")


def print_effects(effects: Mapping[str, Any]) -> None:
    """What a proposed policy would do: its claims, how its answers differ, the past under it."""
    _print_claims(effects["claims"])
    _print_diff(effects["diff"])
    say("what it would have done to the past:")
    if effects["replay"] is None:
        paragraph(f"not known: {effects['replay_missing'] or 'nobody looked'}", first="  ")
    else:
        print_report(effects["replay"])
    if effects["warnings"]:
        say()
        say(f"{plural(len(effects['warnings']), 'warning')}:")
        for warning in effects["warnings"]:
            paragraph(warning, first="  ", rest="    ")


def _print_claims(claims: list[Mapping[str, Any]]) -> None:
    if not claims:
        say("the policy claims nothing, so there is nothing to prove")
    for claim in claims:
        detail = f", {claim['detail']}" if claim["detail"] else ""
        paragraph(f"claim {safe(claim['name'])}: {claim['outcome']}{detail}", rest="    ")
        for line in claim["lines"]:
            paragraph(line, first="    ")
    say()


def _print_diff(diff: Mapping[str, Any]) -> None:
    if diff["missing"]:
        paragraph(f"how its answers differ is not known: {diff['missing']}")
    elif diff["equivalent"]:
        say("its answers are the same: proved")
    else:
        say("how its answers differ:")
    for line in diff["lines"]:
        paragraph(line, first="  ")
    say()


def _by_name(files: Mapping[str, str]) -> Mapping[str, str]:
    """Without folders, where that names each file once: they may have been proposed from another place."""
    short = {name.rpartition("/")[2]: text for name, text in files.items()}
    return short if len(short) == len(files) else files


def _print_difference(found: Mapping[str, Any]) -> None:
    """How the files differ from those of the policy it would replace; what is called the same is compared."""
    from difflib import unified_diff

    old, new = _by_name(found["base_files"]), _by_name(found["proposal"]["files"])
    for name in sorted({*old, *new}):
        before, after = (side.get(name, "").splitlines() for side in (old, new))
        for line in unified_diff(before, after, f"in force: {name}", f"proposed: {name}", lineterm=""):
            say(safe(line, longest=500))
