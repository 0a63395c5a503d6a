"""`lapse review items` and what people do with them: look, decide, hand on, take back, draw a sample."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lapse.domain.errors import InvalidInput
from lapse.domain.removals import GIVEN_BACK
from lapse.entrypoints.cli.commands import Limit, Reason, Yes, command, confirm
from lapse.entrypoints.cli.output import clock, facts, plural, print_json, safe, say, table
from lapse.entrypoints.cli.review_options import ReviewId, review_of
from lapse.entrypoints.cli.session import Api, Session, quoted

DECISIONS = ("keep", "shorten", "narrow", "revoke", "cannot_say")
_ENDING = {"revoke", "narrow", "shorten"}

Items = Annotated[list[str], typer.Argument(metavar="ITEM…")]
Item = Annotated[str, typer.Argument(metavar="ITEM")]
Whole = Annotated[bool, typer.Option("--group", help="And all items that are the same question.")]


def register(review: typer.Typer) -> None:
    """Add these commands to the group `review`."""
    for name, function in (
        ("items", items), ("item", item), ("decide", decide), ("reassign", reassign), ("undo", undo),
        ("sample", sample),
    ):  # fmt: skip
        command(review, name)(function)


def items(
    session: Session,
    review: ReviewId = "",
    undecided: Annotated[bool, typer.Option("--undecided", help="Only what nobody decided yet.")] = False,
    mine: Annotated[bool, typer.Option("--mine", help="Only what you are asked about now.")] = False,
    limit: Limit = 30,
) -> None:
    """List the permissions to decide on, riskiest first.

    With --mine and no REVIEW, those of all open reviews.
    """
    with session.api() as api:
        found = review_of(api, review)
        asked_in = [found] if review or not mine else _open_reviews(api) or [found]
        rows = [row for one in asked_in for row in _items_of(api, one["id"], undecided=undecided, mine=mine)]
    if session.json:
        print_json(rows[:limit])
        return
    if not rows:
        left = " left for you" if mine else " left to decide" if undecided else f"; the review is {found['state']}"
        say(f"there are no items{left}")
        return
    table(("ITEM", "WHO", "HOLDS", "USED", "ASKED", "DECISION"), map(_row, rows[:limit]), flexible=2)
    if len(rows) > limit:
        say(f"{len(rows) - limit} more; `--limit` shows them")
    if asked_in == [found] and found["state"] == "sealed":
        say("the review is sealed; `lapse review start` opens one whose items can be decided")
    else:
        say("next: `lapse review item ITEM` shows the evidence, and")
        say("  `lapse review decide ITEM keep|revoke` decides")


def item(session: Session, item: Item) -> None:
    """Show one permission with its evidence."""
    with session.api() as api:
        found = api.get(f"/review-items/{quoted(item)}")
        others = _same_question(api, found) if found["group"] else []
    if session.json:
        print_json(found | {"same_question": others})
        return
    facts(_evidence(found))
    if len(others) > 1:
        say(f"the same question is asked {len(others)} times; `--group` decides them together")
    if found["decision"] is None:
        say(f"next: `lapse review decide {found['id']} {'|'.join(DECISIONS)} --reason …`")


def decide(  # noqa: PLR0913, PLR0917  one parameter an option
    session: Session,
    item: Items,
    decision: Annotated[str, typer.Argument(metavar="DECISION", help="keep, shorten, narrow, revoke or cannot_say.")],
    reason: Reason = "",
    until: Annotated[str, typer.Option(metavar="DAY", help="Keep, or shorten, until then (2026-12-31).")] = "",
    to: Annotated[str, typer.Option(metavar="ROLE", help="With `narrow`: the narrower role.")] = "",
    group: Whole = False,
    yes: Yes = False,
) -> None:
    """Decide permissions.

    What is taken away is carried out at once, and read back.
    """
    if decision not in DECISIONS:
        raise InvalidInput(f"`{safe(decision)}` is no decision", hint=f"say {', '.join(DECISIONS)}")
    body = {"decision": decision, "reason": reason, "until": _moment(until), "narrow_to": to}
    with session.api() as api:
        ids = _with_group(api, item) if group else list(item)
        if decision in _ENDING:
            confirm(f"{decision} what {_named(ids)} about?", yes=yes)
        found = api.post("/review-items/decisions", {**body, "items": ids})["items"]
    if session.json:
        print_json(found)
        return
    for one in found:
        _say_decided(one, decision)


def reassign(
    session: Session,
    item: Items,
    to: Annotated[str, typer.Option("--to", metavar="PERSON", help="Who is asked instead.")],
    reason: Reason = "",
    group: Whole = False,
) -> None:
    """Have somebody else asked about permissions."""
    with session.api() as api:
        ids = _with_group(api, item) if group else list(item)
        found = api.post("/review-items/reassignments", {"items": ids, "to": to, "reason": reason})["items"]
    if session.json:
        print_json(found)
        return
    say(f"{plural(len(found), 'item')} handed on to {safe(to)}")


def undo(session: Session, item: Item, reason: Reason = "") -> None:
    """Give standing access back that a review took away."""
    with session.api() as api:
        found = api.post(f"/review-items/{quoted(item)}/undo", {"reason": reason})
    if session.json:
        print_json(found)
        return
    say(f"{safe(found['role'])} of {safe(found['account'])} on {safe(found['resource'])}: {found['state']}")
    if found["last_error"]:
        say(f"  tried again by itself: {safe(found['last_error'])}")


def sample(
    session: Session,
    review: ReviewId = "",
    size: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 25,
    seed: Annotated[str, typer.Option(metavar="TEXT", help="What chooses them; write it down.")] = "",
) -> None:
    """Draw a sample for an auditor.

    The same seed always draws the same items.
    """
    if not seed:
        raise InvalidInput("a sample needs a seed", hint="give one with --seed, and write it down with the sample")
    with session.api() as api:
        found = review_of(api, review)
        rows = api.get(f"/reviews/{quoted(found['id'])}/sample", size=size, seed=seed)["items"]
    if session.json:
        print_json(rows)
        return
    if not rows:
        say("there are no items to draw from")
        return
    table(("ITEM", "WHO", "HOLDS", "USED", "ASKED", "DECISION"), map(_row, rows), flexible=2)
    say(f"the {len(rows)} items with the smallest SHA-256 of the seed `{safe(seed)}`, a zero byte and their id")


def _open_reviews(api: Api) -> list[dict[str, Any]]:
    return [one for one in api.get("/reviews")["items"] if one["state"] != "sealed"]


def _items_of(api: Api, review: str, *, undecided: bool, mine: bool) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = api.get(f"/reviews/{quoted(review)}/items", undecided=undecided, mine=mine)["items"]
    return rows


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    turn = one["asked"][one["asking"]]["persons"] if one["asking"] < len(one["asked"]) else []
    decision = one["decision"] or f"{one['recommendation']}?"
    asked = "" if one["decision"] else ", ".join(turn[:2]) + (" …" if len(turn) > 2 else "")  # noqa: PLR2004  two fit
    who = one["principal"] or one["account"]
    return one["id"], who, f"{one['resource']}/{one['role']}", one["usage"], asked, decision


def _evidence(one: dict[str, Any]) -> dict[str, str]:
    lines = [f"{line['line']}: {', '.join(line['persons'])}" for line in one["asked"]]
    return {
        "item": one["id"], "who": one["principal"] or "nobody known", "account": one["account"],
        "holds": f"{one['resource']}/{one['role']}", "how": one["holding"],
        "since": clock(one["since"]) if one["since"] else "not known",
        "ends": clock(one["ends_at"]) if one["ends_at"] else "never by itself",
        "because": one["purpose"] or "no reason on record", "approved": one["approval"], "use": one["would_lose"],
        "recorded": one["usage_coverage"], "peers": one["peers"], "risk": f"{one['risk']} of 100",
        "findings": str(len(one["findings"])) if one["findings"] else "",
        "recommended": f"{one['recommendation']}: {one['recommendation_reason']}",
        "asked": "; ".join(lines), "decided": _decided(one), **_carried_out(one),
    }  # fmt: skip


def _decided(one: dict[str, Any]) -> str:
    if one["decision"] is None:
        return ""
    who = "by default: nobody decided in time" if one["by_default"] else f"by {one['decided_by']}"
    return f"{one['decision']} {who}, {clock(one['decided_at'])}: {one['decision_reason']}"


def _carried_out(one: dict[str, Any]) -> dict[str, str]:
    if one["carried_out_at"]:
        return {"carried out": f"{clock(one['carried_out_at'])}: {one['outcome']}"}
    return {"undone" if one["outcome"] == GIVEN_BACK else "not carried out": one["outcome"]}


def _say_decided(one: dict[str, Any], decision: str) -> None:
    say(f"item {one['id']}: {decision}")
    if one["carried_out_at"]:
        say(f"  carried out, and seen to be gone at {clock(one['carried_out_at'])}: {safe(one['outcome'])}")
    elif decision in _ENDING and one["outcome"]:
        say(f"  not carried out yet: {safe(one['outcome'])}")
        if one["holding"] == "inherited":
            say("  it is held through another role: what gives that one is taken away in the item about it")
    elif one["decision"] is None:
        say(f"  now asked: {safe(', '.join(_turn(one))) or 'nobody is left who may decide it'}")
    elif one["until"]:
        say(f"  until {clock(one['until'])}")
    elif decision == "shorten":
        say("  nothing is taken away: step 5 proposes a shorter maximum; with --until it ends on a day")


def _turn(one: dict[str, Any]) -> list[str]:
    persons: list[str] = one["asked"][one["asking"]]["persons"] if one["asking"] < len(one["asked"]) else []
    return persons


def _with_group(api: Api, ids: list[str]) -> list[str]:
    """The items, and all that are the same question as one of them."""
    found: dict[str, None] = {}
    for item_id in ids:
        one = api.get(f"/review-items/{quoted(item_id)}")
        found.update(dict.fromkeys(_same_question(api, one) if one["group"] else [item_id]))
    return list(found)


def _same_question(api: Api, one: dict[str, Any]) -> list[str]:
    rows = api.get(f"/reviews/{quoted(one['review_id'])}/items", group=one["group"])["items"]
    return [row["id"] for row in rows if row["decision"] is None or row["id"] == one["id"]]


def _named(ids: list[str]) -> str:
    return f"item {ids[0]} is" if len(ids) == 1 else f"{len(ids)} items are"


def _moment(day: str) -> str:
    return f"{day}T00:00:00Z" if day and "T" not in day else day
