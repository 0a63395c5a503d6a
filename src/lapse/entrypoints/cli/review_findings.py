"""`lapse review finding` and `diff`: one finding with its evidence, and what differs between two reviews or packs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lapse.domain.errors import InvalidInput, NotFound
from lapse.entrypoints.cli.commands import command
from lapse.entrypoints.cli.output import clock, facts, note, print_json, safe, say, table, when
from lapse.entrypoints.cli.review_looks import SHOWN, known_by_looks
from lapse.entrypoints.cli.review_output import about, findings_of, print_diff
from lapse.entrypoints.cli.session import Api, Session, quoted

_BEFORE_AUDIT = {"started", "collected"}
_MOST_ROWS = 20

FindingName = Annotated[str, typer.Argument(metavar="FINDING", help="Its fingerprint, or how that begins.")]


def register(review: typer.Typer) -> None:
    """Add these commands to the group `review`."""
    command(review, "finding")(finding)
    command(review, "diff")(diff)


def finding(
    session: Session,
    finding: FindingName,
    review: Annotated[str, typer.Option(metavar="REVIEW", help="The review; the newest if left out.")] = "",
) -> None:
    """Show one finding with its evidence."""
    with session.api() as api:
        found = finding_named(api, finding, review)
    if session.json:
        print_json(found)
        return
    facts(
        {
            "finding": found["fingerprint"], "what": found["summary"], "severity": found["severity"],
            "detector": f"{found['detector']}, {found['title']} ({found['confidence']})",
            "resource": found["resource"], "who": found["principal"],
            "state": found["state"], "first found": found["first_found"], "by looks": _by_looks(found.get("looks")),
            "data used": found["coverage"],
            "evidence for": ", ".join(found["clauses"]), "do": found["remediation"],
            "clears if": found["would_clear"],
        }
    )  # fmt: skip
    for row in found["evidence"][:_MOST_ROWS]:
        say()
        facts({f"  {name.replace('_', ' ')}": value for name, value in row.items()})
    if len(found["evidence"]) > _MOST_ROWS:
        say(f"{len(found['evidence']) - _MOST_ROWS} more rows; `--json` has all")
    say()
    say(f"next: do that, or `lapse exception add --finding {found['fingerprint'][:SHOWN]}` accepts it until a day")


def _by_looks(known: dict[str, Any] | None) -> str:
    """What looks between reviews know of it."""
    if not known:
        return ""
    return f"{known['state']} at `{known['schedule']}`, since {clock(known['since'])}, seen {when(known['last_seen'])}"


def finding_named(api: Api, name: str, review: str = "") -> dict[str, Any]:
    """The one finding of a review (the newest that has any) whose fingerprint begins like this."""
    rows = [row for row in _found(api, review) if name and row["fingerprint"].startswith(name.lower())]
    if not rows:
        raise NotFound(f"the review found nothing that is called `{safe(name)}`", hint="`lapse review findings` lists")
    if len(rows) > 1:
        raise InvalidInput(f"{len(rows)} findings begin with `{safe(name)}`", hint="give more of its digits")
    return rows[0]


def _found(api: Api, review: str) -> list[dict[str, Any]]:
    """What one review found; or what the newest found, and what looks between reviews know besides."""
    if review:
        return findings_of(api.get(f"/reviews/{quoted(review)}/result"))
    newest = next((one["id"] for one in api.get("/reviews")["items"] if one["state"] not in _BEFORE_AUDIT), None)
    found = findings_of(api.get(f"/reviews/{quoted(newest)}/result")) if newest else []
    there, known = {row["fingerprint"] for row in found}, known_by_looks(api)
    found += [row for name, row in known.items() if name not in there]
    if newest or found:
        return [row | {"looks": known.get(row["fingerprint"], {}).get("looks")} for row in found]
    raise NotFound("no review has found anything yet", hint="`lapse review run` goes through all six steps")


def diff(
    session: Session,
    old: Annotated[str, typer.Argument(metavar="OLD", help="The older review, or its pack.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The newer review, or its pack.")],
) -> None:
    """Show what came and what was fixed between two reviews.

    Packs are verified first, each with its own key.
    """
    if Path(old).exists() or Path(new).exists():
        found = _diff_of_packs(Path(old), Path(new))
    else:
        with session.api() as api:
            found = api.get(f"/reviews/{quoted(new)}/diff", against=old)
    if session.json:
        print_json(found)
        return
    print_diff(found)


def _diff_of_packs(old: Path, new: Path) -> Any:
    from lapse.domain.data import to_data
    from lapse.review.detection.changes import compare
    from lapse.review.pack.past import past_of_pack

    for path in (old, new):
        if not path.exists():
            raise NotFound(f"there is no `{path}`", hint="name two packs, or two reviews")
    before, after = past_of_pack(old), past_of_pack(new)
    if before.signer != after.signer:
        note(f"the packs were signed by different keys: {safe(before.signer)}, and {safe(after.signer)}")
    return to_data(compare(before.review, after.review))


def print_findings_with_names(rows: list[dict[str, Any]]) -> None:
    """One line a finding, with what it is called."""
    table(
        ("FINDING", "SEVERITY", "ID", "STATE", "ABOUT", "WHAT"),
        (
            (row["fingerprint"][:SHOWN], row["severity"], row["detector"], row["state"], about(row), row["summary"])
            for row in rows
        ),
        flexible=5,
    )
