"""`lapse review adjust`, `proposals` and `roles`: what the policy and the roles should be instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from lapse.domain.errors import InvalidInput, NotFound
from lapse.entrypoints.cli.commands import Limit, command
from lapse.entrypoints.cli.output import DASH, duration, facts, note, paragraph, plural, print_json, safe, say, table
from lapse.entrypoints.cli.policy_proposals import print_effects
from lapse.entrypoints.cli.review_options import ReviewId, review_of
from lapse.entrypoints.cli.session import Session, quoted

Apply = Annotated[str, typer.Option("--apply", metavar="PROPOSAL", help="File this proposal of the review.")]
Why = Annotated[str, typer.Option("--reason", "-r", metavar="TEXT", help="Why; the review's reason if left out.")]
One = Annotated[str, typer.Option("--show", metavar="PROPOSAL", help="One of them, with its patch and effects.")]
Role = Annotated[str, typer.Option("--role", metavar="RESOURCE/ROLE", help="One role, with the narrower one.")]
_STATES = {
    "narrower": "could be narrower",
    "fits": "fit their use",
    "never used": "held and never used",
    "not held": "held by nobody",
    "not known": "use not known",
}


def register(review: typer.Typer) -> None:
    """Add these commands to `lapse review`."""
    command(review, "adjust")(adjust)
    command(review, "proposals")(proposals)
    command(review, "roles")(roles)


def adjust(session: Session, review: ReviewId = "", apply: Apply = "", reason: Why = "") -> None:
    """Step 5, adjust: what the policy should be instead.

    With --apply it files a proposal instead; another administrator activates it.
    """
    if reason and not apply:
        raise InvalidInput("a reason is for a proposal that is filed", hint="name it with --apply PROPOSAL")
    with session.api() as api:
        found = review_of(api, review)
        path = f"/reviews/{quoted(found['id'])}"
        if apply:
            done = api.post(f"{path}/proposals/{quoted(apply)}/filing", {"reason": reason})
            filed = api.get(f"/policy/proposals/{quoted(done['id'])}")
        else:
            done = api.post(f"{path}/stages/adjust", {})
            listed = api.get(f"{path}/proposals")
    if session.json:
        print_json(done)
    elif apply:
        say(f"proposal {done['id']} waits for another administrator")
        say()
        print_effects(filed["effects"])
        say()
        say(f"next: `lapse policy activate {done['id']}`, by somebody else")
    else:
        say(f"review {found['id']} is {done['review']['state']}")
        facts(done["summary"])
        _print_proposals(listed["proposals"])
        if listed["proposals"]:
            say(f"next: `lapse review proposals {found['id']} --show PROPOSAL` says what one would do")
        say(f"next: `lapse review show {found['id']}` says what is not decided yet, `lapse review seal` ends deciding")


def proposals(session: Session, review: ReviewId = "", show: One = "") -> None:
    """List the policy changes that a review proposes."""
    with session.api() as api:
        found = review_of(api, review)
        listed = api.get(f"/reviews/{quoted(found['id'])}/proposals")
    rows = listed["proposals"]
    if show:
        rows = [row for row in rows if row["id"] == show]
        if not rows:
            raise NotFound(f"the review has no proposal `{safe(show)}`", hint="`lapse review proposals` lists them")
    if session.json:
        print_json(rows[0] if show else listed)
    elif show:
        _print_proposal(rows[0], found["id"])
    elif not rows:
        say("no change of the policy is proposed")
    else:
        _print_proposals(rows)
        say(f"next: `lapse review proposals {found['id']} --show PROPOSAL` says what one would do")


def roles(session: Session, review: ReviewId = "", role: Role = "", limit: Limit = 30) -> None:
    """Show roles against their use, and the narrower ones."""
    with session.api() as api:
        found = review_of(api, review)
        checked = api.get(f"/reviews/{quoted(found['id'])}/roles")
    one = _role(checked, role) if role else None
    if session.json:
        print_json(checked if one is None else one)
    elif one is not None:
        _print_role(one)
    else:
        _print_roles(checked, limit)


def _print_proposals(rows: list[Mapping[str, Any]]) -> None:
    if rows:
        table(
            ("PROPOSAL", "ABOUT", "CHANGE", "SAVES", "PATCH"),
            (
                (
                    row["id"],
                    row["kind"],
                    row["title"].replace("`", ""),
                    _saved(row),
                    "yes" if row["patch"] else "advice",
                )
                for row in rows
            ),
            flexible=2,
        )


def _saved(row: Mapping[str, Any]) -> str:
    return f"{row['saved_hours']:,.0f} h" if row["saved_hours"] else DASH


def _print_proposal(row: Mapping[str, Any], review_id: str) -> None:
    paragraph(row["title"].replace("`", ""))
    paragraph(row["reason"].replace("`", ""), first="  ")
    say()
    facts(
        {
            "proposal": row["id"],
            "about": row["kind"],
            "now": duration(row["current"]) if row["current"] else "",
            "proposed": duration(row["proposed"]) if row["proposed"] else "",
            "saves": _saved(row) if row["saved_hours"] else "",
        }
    )
    if not row["patch"]:
        paragraph(row["not_patched"])
        return
    say()
    for line in row["patch"].splitlines():
        say(safe(line, longest=500) if line else "")
    say()
    if row["effects"] is None:
        paragraph(f"what it would do is not computed: {row['effects_missing']}")
    else:
        print_effects(row["effects"])
    say()
    say("next: file it for another administrator, with")
    say(f"  `lapse review adjust {review_id} --apply {row['id']}`")


def _role(checked: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    resource, _, role = name.partition("/")
    for check in checked["checks"]:
        if (check["resource"], check["role"]) == (resource, role) or check["entitlement"] == name:
            found: Mapping[str, Any] = check
            return found
    raise NotFound(f"the review knows no role `{safe(name)}`", hint="`lapse review roles` lists them")


def _print_role(check: Mapping[str, Any]) -> None:
    facts(
        {
            "role": f"{check['resource']}/{check['role']}",
            "entitlement": check["entitlement"],
            "state": check["state"],
            "because": check["reason"],
            "holders": f"{check['holders']}, of whom {check['users']} used anything",
            "rights": f"{check['rights']}: {check['used']} used, {check['kept']} kept, {check['unused']} unused",
        }
    )
    for one in check["spellings"]:
        say()
        paragraph(f"{one['title']} ({one['format']}):")
        for line in one["text"].splitlines():
            say(safe(line, longest=500) if line.strip() else "")
    for one in check["notes"]:
        note(safe(one))


def _print_roles(checked: Mapping[str, Any], limit: int) -> None:
    checks = checked["checks"]
    for missing in checked["missing"]:
        note(safe(missing))
    if not checks:
        say("what roles allow is not on record, so nothing is said about them")
        return
    counts = {state: sum(check["state"] == state for check in checks) for state in _STATES}
    facts({said: f"{counts[state]:,}" for state, said in _STATES.items() if counts[state]})
    narrower = [check for check in checks if check["state"] == "narrower"]
    if narrower:
        say()
        table(
            ("ROLE", "HOLDERS", "RIGHTS", "USED", "UNUSED"),
            (
                (f"{c['resource']}/{c['role']}", c["holders"], c["rights"], c["used"], c["unused"])
                for c in narrower[:limit]
            ),
        )
        if len(narrower) > limit:
            say(f"{plural(len(narrower) - limit, 'more role')}; `--limit` shows them")
        say("next: `lapse review roles --role RESOURCE/ROLE` writes the narrower one")
    for mover in checked["movers"][:limit]:
        if mover["unusual"]:
            held = ", ".join(f"{one['resource']}/{one['role']}" for one in mover["unusual"])
            paragraph(f"{mover['principal']} changed jobs and still holds what few of the new peers do: {held}")
