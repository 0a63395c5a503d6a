"""`lapse review`: the recurring security review, its six steps one by one or all in one go.

`review run --target DSN`, `review run --files FOLDER` and `review verify PACK` need neither a home folder nor a server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lapse.domain.errors import InvalidInput, LapseError
from lapse.domain.reviews import SIGNATURES
from lapse.domain.times import parse_time
from lapse.entrypoints.cli import (
    review_adjust,
    review_findings,
    review_items,
    review_packs,
    review_schedules,
    simulation,
)
from lapse.entrypoints.cli.commands import Limit, Yes, command, confirm, group
from lapse.entrypoints.cli.output import clock, facts, note, plural, print_json, safe, say, table, when
from lapse.entrypoints.cli.review_figures import HAVE_FIGURES, print_figures
from lapse.entrypoints.cli.review_findings import print_findings_with_names
from lapse.entrypoints.cli.review_looks import print_current
from lapse.entrypoints.cli.review_options import (
    ByDefault,
    Canaries,
    Conflicts,
    EngineName,
    Fallback,
    Frameworks,
    Imports,
    OwnDetectors,
    People,
    PeriodText,
    ReviewId,
    Scope,
    Seed,
    Sources,
    SourcesFile,
    Stages,
    Threshold,
    Within,
    given_body,
    plan_body,
    review_of,
    thresholds_body,
)
from lapse.entrypoints.cli.review_output import (
    STEPS,
    findings_of,
    print_result,
    progress,
    say_not_assessed,
)
from lapse.entrypoints.cli.session import Api, Session, quoted

if TYPE_CHECKING:
    from lapse.bootstrap.reviewing import Brownfield

_NEXT = dict(zip(("started", "collected", "audited", "validated", "examined", "adjusted"), STEPS, strict=True))


def register(app: typer.Typer) -> None:
    """Add these commands."""
    review = group("review", "The recurring security review.")
    app.add_typer(review, name="review")
    command(review, "run")(run)
    command(review, "start")(start)
    for name in STEPS:
        if name == "adjust":
            review_adjust.register(review)
        else:
            command(review, name)(_step_command(name))
    for name, function in (("list", list_reviews), ("show", show), ("findings", findings)):
        command(review, name)(function)
    review_findings.register(review)
    review_items.register(review)
    review_schedules.register(review)
    simulation.register(review)
    command(review, "sign")(sign)
    review_packs.register(review)


def run(  # noqa: PLR0913, PLR0917  one parameter an option
    session: Session,
    scope: Scope = "all",
    period: PeriodText = "",
    target: Annotated[str, typer.Option(metavar="DSN", help="Review this PostgreSQL, with nothing set up.")] = "",
    files: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Review evidence files, with nothing set up.")
    ] = None,
    people: People = None,
    imports: Imports = None,
    source: Sources = None,
    sources: SourcesFile = None,
    conflicts: Conflicts = None,
    detectors: OwnDetectors = None,
    alone: Annotated[bool, typer.Option("--alone", help="Only what is given, with nothing set up.")] = False,
    as_of: Annotated[str, typer.Option(metavar="TIME", help="When what is given was collected; now if left out.")] = "",
    engine: EngineName = "",
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where report and pack go, with nothing set up.")] = Path(
        "lapse-review"
    ),
) -> None:
    """Go through all six steps.

    Writes the report and the sealed pack. With --target, --files or --alone nothing has to be set up, and --engine says
    where it computes; else `[review] engine` in lapse.toml does.
    """
    files_given = {"imports": imports, "people": people, "conflicts": conflicts, "detectors": detectors}
    given = given_body(files_given, source, sources)
    if target or files is not None or alone:
        given |= {"as_of": as_of} | ({"imports": str(files)} if files is not None else {})
        _run_alone(session, target, given | {"engine": engine or "duckdb"}, period or _this_quarter(), out)
        return
    if engine:
        raise InvalidInput(
            "where a review of a home folder computes is said by `[review] engine` in its lapse.toml",
            hint="--engine goes with --target, --files or --alone",
        )
    with session.api() as api:
        review = api.post("/reviews", {"scope": scope, "period": period or _this_quarter(), "title": ""})
        with _left_as_it_is(review["id"]), progress(session) as advance:
            for name in STEPS:
                advance(name)
                done = api.post(f"/reviews/{quoted(review['id'])}/stages/{name}", given if name == "collect" else {})
        result = api.get(f"/reviews/{quoted(review['id'])}/result")
    places = done["summary"]
    print_result(session, review["id"], result, report=places["report"], pack=places["pack"])


def start(  # noqa: PLR0913, PLR0917  one parameter an option
    session: Session,
    scope: Scope = "all",
    period: PeriodText = "",
    title: Annotated[str, typer.Option(metavar="TEXT", help="What the report is called.")] = "",
    framework: Frameworks = None,
    threshold: Threshold = None,
    within: Within = "14d",
    by_default: ByDefault = "none",
    fallback: Fallback = "",
    stages: Stages = 1,
    canaries: Canaries = 0,
    seed: Seed = 0,
) -> None:
    """Step 1, scope: say what is reviewed, and over which period."""
    body = {
        "scope": scope, "period": period or _this_quarter(), "title": title, "frameworks": framework or [],
        "thresholds": thresholds_body(threshold), "seed": seed,
    }  # fmt: skip
    with session.api() as api:
        review = api.post("/reviews", body | plan_body(within, by_default, fallback, stages, canaries))
    if session.json:
        print_json(review)
        return
    say(f"review {review['id']} is started: {safe(review['scope'])}, {review['period']}")
    say(f"next: `lapse review collect {review['id']}`")


def list_reviews(session: Session) -> None:
    """List reviews, newest first."""
    with session.api() as api:
        rows = api.get("/reviews")["items"]
    if session.json:
        print_json(rows)
    elif not rows:
        say("there are no reviews yet; `lapse review run` goes through all six steps")
    else:
        table(
            ("REVIEW", "SCOPE", "PERIOD", "STATE", "STARTED", "BY"),
            ((r["id"], r["scope"], r["period"], r["state"], when(r["started_at"]), r["started_by"]) for r in rows),
            flexible=1,
        )


def show(session: Session, review: ReviewId = "") -> None:
    """Show how far a review is, its figures, and what to do next."""
    with session.api() as api:
        found = review_of(api, review)
        todo = api.get(f"/reviews/{quoted(found['id'])}/items", undecided=True)["items"]
        figures = api.get(f"/reviews/{quoted(found['id'])}/figures") if found["state"] in HAVE_FIGURES else None
    if session.json:
        print_json(found | {"undecided": len(todo), "figures": figures})
        return
    facts(
        {
            "review": found["id"], "title": found["title"], "scope": found["scope"], "period": found["period"],
            "state": found["state"], "started": f"{clock(found['started_at'])} by {found['started_by']}",
            "sealed": clock(found["sealed_at"]) if found["sealed_at"] else "", "undecided items": str(len(todo)),
            "to be decided by": clock(found["due_at"]) if found["due_at"] else "",
            "by default": found["plan"]["by_default"] or "undecided stays undecided",
            "sealed hash": found["hashes"].get("manifest", ""),
            "signed by": ", ".join(mark["person"] for mark in found["sign_offs"]),
        }
    )  # fmt: skip
    if figures is not None:
        print_figures(figures)
        say()
    if found["state"] in _NEXT:
        _say_next(found, len(todo))
    elif len(found["sign_offs"]) < SIGNATURES:
        say(f"next: `lapse review pack {found['id']}` saves the pack; two persons verify and read it, and then")
        say(f"  `lapse review sign {found['id']} --sealed HASH`, with the hash that verifying printed")
    else:
        say(f"next: `lapse review pack {found['id']}` saves the sealed pack")


def findings(
    session: Session,
    review: ReviewId = "",
    limit: Limit = 50,
    now: Annotated[bool, typer.Option("--now", help="What is there now, by the last looks between reviews.")] = False,
    schedule: Annotated[str, typer.Option(metavar="NAME", help="What is there now, of one review that recurs.")] = "",
    fixed: Annotated[bool, typer.Option("--fixed", help="With --now or --schedule: also what was fixed.")] = False,
) -> None:
    """List what a review found, worst first.

    With --now or --schedule what looks at new evidence know: since when each finding is there, when it was seen last.
    """
    if now or schedule or fixed:
        if review:
            raise InvalidInput("a review is what it was; what is there now is of a schedule", hint="leave REVIEW out")
        print_current(session, schedule, limit, fixed=fixed)
        return
    with session.api() as api:
        found = review_of(api, review)
        result = api.get(f"/reviews/{quoted(found['id'])}/result")
    rows = findings_of(result)
    if session.json:
        print_json(rows[:limit])
    elif not rows:
        say("nothing was found")
        say_not_assessed(result)
    else:
        print_findings_with_names(rows[:limit])
        if len(rows) > limit:
            say(f"{len(rows) - limit} more; `--limit` shows them")
        say_not_assessed(result)
        say("next: `lapse review finding FINDING` shows one with its evidence")


def sign(
    session: Session,
    review: ReviewId = "",
    sealed: Annotated[str, typer.Option(metavar="HASH", help="The hash that `review verify` printed.")] = "",
    note: Annotated[str, typer.Option(metavar="TEXT", help="A note with the signature.")] = "",
) -> None:
    """Sign a sealed review off; two persons do.

    Each names the hash of what was sealed.
    """
    with session.api() as api:
        found = review_of(api, review)
        done = api.post(f"/reviews/{quoted(found['id'])}/signatures", {"sealed": sealed, "note": note})
    if session.json:
        print_json(done)
        return
    names = ", ".join(safe(mark["person"]) for mark in done["sign_offs"])
    say(f"review {done['id']} is signed by {names}")
    if len(done["sign_offs"]) < SIGNATURES:
        say("next: another person signs it too")


@contextmanager
def _left_as_it_is(review: str) -> Iterator[None]:
    """What is interrupted goes on later, with the steps that are done."""
    try:
        yield
    except (LapseError, KeyboardInterrupt):
        note(f"review {review} stays as far as it is; `lapse review show {review}` says how it goes on")
        raise


def _step_command(name: str) -> Callable[..., None]:
    def plain(session: Session, review: ReviewId = "") -> None:
        _take_step(session, name, review, {})

    def collecting(  # noqa: PLR0913, PLR0917  one parameter an option
        session: Session,
        review: ReviewId = "",
        imports: Imports = None,
        people: People = None,
        source: Sources = None,
        sources: SourcesFile = None,
        conflicts: Conflicts = None,
        detectors: OwnDetectors = None,
    ) -> None:
        files = {"imports": imports, "people": people, "conflicts": conflicts, "detectors": detectors}
        _take_step(session, name, review, given_body(files, source, sources))

    def sealing(session: Session, review: ReviewId = "", yes: Yes = False) -> None:
        _take_step(session, name, review, {}, sure=yes)

    functions: dict[str, Callable[..., None]] = {"collect": collecting, "seal": sealing}
    function = functions.get(name, plain)
    function.__doc__ = f"Step {STEPS[name]}."
    return function


def _say_next(review: Mapping[str, Any], undecided: int) -> None:
    """The next step; before sealing, which ends deciding, what is not decided yet."""
    if undecided:
        waiting = plural(undecided, "decision")
        say(f"next: `lapse review items {review['id']} --undecided` shows what {waiting} wait for")
    if not undecided or review["state"] != "adjusted":
        say(f"next: `lapse review {_NEXT[review['state']]} {review['id']}`")
    else:
        say(f"then: `lapse review seal {review['id']}`")


def _confirm_undecided(api: Api, review: Mapping[str, Any], *, yes: bool) -> None:
    """After sealing nobody decides any more, and a default is only taken when the time to decide is over."""
    waiting = api.get(f"/reviews/{quoted(review['id'])}/items", undecided=True)["items"]
    if waiting and review["state"] == "adjusted":
        confirm(f"{plural(len(waiting), 'item')} not decided yet; sealing ends deciding. Seal?", yes=yes)


def _take_step(session: Session, name: str, review: str, body: Mapping[str, Any], *, sure: bool = True) -> None:
    with session.api() as api:
        found = review_of(api, review)
        _confirm_undecided(api, found, yes=sure)
        done = api.post(f"/reviews/{quoted(found['id'])}/stages/{name}", body)
    if session.json:
        print_json(done)
        return
    say(f"review {found['id']} is {done['review']['state']}")
    facts(done["summary"])
    following = _NEXT.get(done["review"]["state"])
    if name == "validate":
        say(f"next: `lapse review items {found['id']}` shows what to decide")
    if following:
        say(f"next: `lapse review {following} {found['id']}`")
    else:
        say(f"next: `lapse review pack {found['id']}` saves the pack, for two persons to verify, read and sign")


def _run_alone(session: Session, target: str, body: Mapping[str, Any], period: str, out: Path) -> None:
    import asyncio

    from lapse.bootstrap.reviewing import given_of, review_files, review_target

    given, now = given_of(body), _moment(body["as_of"])
    if target and now is not None:
        raise InvalidInput("a target is read now, whatever --as-of says", hint="--as-of goes with --files or --alone")
    with progress(session) as advance:
        if target:
            found = asyncio.run(review_target(target, out, given, engine=body["engine"], on_stage=advance))
        else:
            found = review_files(given, period, out, now=now, engine=body["engine"], on_stage=advance)
    _print_brownfield(session, found)


def _moment(text: str) -> datetime | None:
    """A day, or a time of it; None for nothing."""
    if not text:
        return None
    try:
        return parse_time(text if "T" in text else f"{text}T00:00:00Z")
    except InvalidInput:
        hint = "write it as 2026-10-01 or 2026-10-01T08:00:00Z"
        raise InvalidInput(f"`{safe(text)}` is no time", hint=hint) from None


def _print_brownfield(session: Session, found: Brownfield) -> None:
    from lapse.domain.data import to_data

    result: Any = to_data(found.result)
    report, archive = found.pack.folder / "report.html", found.pack.archive
    print_result(session, found.result.scope.review_id, result, report=str(report), pack=str(archive))


def _this_quarter() -> str:
    today = datetime.now(UTC)
    return f"{today.year}-Q{(today.month + 2) // 3}"
