"""`lapse detector`: what a review looks for, and detectors of one's own. Needs neither a home folder nor a server."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from lapse.domain.errors import Conflict, NotFound
from lapse.entrypoints.cli.commands import command, group
from lapse.entrypoints.cli.output import facts, plural, print_json, safe, say, table
from lapse.entrypoints.cli.review_options import EngineName
from lapse.entrypoints.cli.session import Session

if TYPE_CHECKING:
    from lapse.ports import Engine
    from lapse.review.detection.cases import Case, CaseResult
    from lapse.review.detection.detector import Detector

Own = Annotated[Path | None, typer.Option("--from", metavar="FOLDER", help="A folder of detectors of your own.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    detector = group("detector", "What a review looks for.")
    app.add_typer(detector, name="detector")
    command(detector, "list")(list_detectors)
    command(detector, "show")(show_detector)
    command(detector, "test")(try_detectors)
    command(detector, "new")(new)


def list_detectors(session: Session, own: Own = None) -> None:
    """List what a review looks for."""
    from lapse.domain.data import to_data

    found = _detectors(own)
    if session.json:
        print_json([to_data(detector) for detector in found])
        return
    table(
        ("ID", "DETECTOR", "SEVERITY", "CONFIDENCE", "STEP"),
        ((d.id, d.title, d.severity, d.confidence, d.step) for d in found),
        flexible=1,
    )
    say("next: `lapse detector show ID`")


def show_detector(session: Session, name: Annotated[str, typer.Argument(metavar="ID")], own: Own = None) -> None:
    """Show one detector: its question, what it needs, and its SQL."""
    from lapse.domain.data import to_data

    found = _named(name, own)
    if session.json:
        print_json(to_data(found))
        return
    groups = [" or ".join(group) for group in found.one_of]
    facts(
        {
            "detector": f"{found.id}, version {found.version}", "title": found.title, "question": found.question,
            "severity": found.severity, "confidence": found.confidence, "needs": ", ".join((*found.needs, *groups)),
            "uses": ", ".join(found.optional), "remediation": found.remediation, "would clear if": found.would_clear,
            "clauses": ", ".join(found.clauses),
        }
    )  # fmt: skip
    if found.parameters:
        say()
        table(("PARAMETER", "DEFAULT", "MEANING"), ((n, p.default, p.doc) for n, p in found.parameters.items()))
    say()
    say(found.sql.strip())


def try_detectors(
    session: Session,
    name: Annotated[list[str] | None, typer.Argument(metavar="[ID…]")] = None,
    own: Own = None,
    engine: EngineName = "duckdb",
) -> None:
    """Run detectors on their own cases.

    All that come with lapse, or those of the folder, unless some are named.
    """
    from lapse.bootstrap.engines import engines
    from lapse.review.detection.detector import detectors_in

    chosen = [_named(one, own) for one in name] if name else (detectors_in(own) if own else _detectors(None))
    if not chosen:
        raise NotFound(f"there is no detector in `{own}`", hint="`lapse detector new ID --from FOLDER` makes one")
    with engines(engine) as new_engine:
        results = [(detector, *ran) for detector in chosen for ran in _ran(new_engine, detector, own)]
    failed = [row for row in results if not row[2].passed]
    if session.json:
        print_json([_as_data(*row) for row in results])
    else:
        for detector, case, result in failed:
            say(f"FAIL {detector.id}: {safe(case.name)}")
            say(f"  wanted {_subjects(case.finds)}, found {_subjects(result.found)} ({result.status})")
        say(f"{plural(len(results), 'case')} of {plural(len(chosen), 'detector')}: {len(failed)} failed")
    if failed:
        raise typer.Exit(1)


def new(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="ID")],
    folder: Annotated[Path, typer.Option("--from", metavar="FOLDER", help="Where it goes.")] = Path("detectors"),
) -> None:
    """Begin a detector of your own: its SQL and its cases."""
    from lapse.review.detection.new_detector import new_detector

    made = {folder / file: text for file, text in new_detector(name.upper()).items()}
    taken = next((path for path in made if path.exists()), None)
    if taken is not None:
        raise Conflict(f"`{taken}` exists", hint="choose another id or another folder")
    for path, text in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    if session.json:
        print_json([str(path) for path in made])
        return
    for path in made:
        say(f"wrote {path}")
    say(f"next: change them, then `lapse detector test --from {folder}`")


def _detectors(own: Path | None) -> list[Detector]:
    from lapse.review.detection.detector import all_detectors, detectors_in

    return [*all_detectors(), *(detectors_in(own) if own else ())]


def _named(name: str, own: Path | None) -> Detector:
    found = next((d for d in _detectors(own) if d.id == name.upper()), None)
    if found is None:
        raise NotFound(f"there is no detector `{safe(name)}`", hint="`lapse detector list` shows them")
    return found


def _ran(new_engine: Callable[[], Engine], detector: Detector, own: Path | None) -> Iterable[tuple[Case, CaseResult]]:
    from lapse.review.detection.cases import run_case

    for case in _cases(detector, own):
        with TemporaryDirectory() as folder:
            yield case, run_case(new_engine, detector, case, Path(folder) / "case")


def _cases(detector: Detector, own: Path | None) -> tuple[Case, ...]:
    from lapse.review.detection.cases import cases_of, read_cases

    file = own / "cases" / f"{detector.id}.yaml" if own and (own / f"{detector.id}.sql").is_file() else None
    if file is None:
        return cases_of(detector.id)
    if not file.is_file():
        raise NotFound(f"detector {detector.id} has no cases", hint=f"write some in `{file}`")
    return read_cases(file.read_text("utf-8"), str(file))


def _subjects(names: tuple[str, ...]) -> str:
    return ", ".join(safe(name) for name in sorted(names)) or "nothing"


def _as_data(detector: Detector, case: Case, result: CaseResult) -> dict[str, object]:
    return {
        "detector": detector.id, "case": case.name, "passed": result.passed, "wanted": sorted(case.finds),
        "found": sorted(result.found), "status": str(result.status),
    }  # fmt: skip
