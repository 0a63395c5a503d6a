"""Arguments and options that several review commands have, and what is sent for them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from lapse.domain.errors import InvalidInput, NotFound
from lapse.domain.names import shown
from lapse.entrypoints.cli.session import Api, quoted

ReviewId = Annotated[str, typer.Argument(metavar="REVIEW", help="The review; the newest if left out.")]
Scope = Annotated[str, typer.Option(metavar="SCOPE", help="`all`, or `resource:`, `tag:`, `principal:` terms.")]
PeriodText = Annotated[str, typer.Option("--period", metavar="PERIOD", help="`2026-Q3`, `2026-07`, `2026` or `A..B`.")]
Frameworks = Annotated[
    list[str] | None, typer.Option("--framework", metavar="NAME", help="Whose clauses it answers; several may be.")
]
Within = Annotated[str, typer.Option(metavar="TIME", help="Time to decide.")]
ByDefault = Annotated[str, typer.Option(metavar="DECISION", help="What is undecided then: keep, revoke or none.")]
Fallback = Annotated[str, typer.Option(metavar="WHO", help="Who is asked where there is nobody else.")]
Stages = Annotated[int, typer.Option(min=1, max=3, help="Persons who decide one after the other.")]
Canaries = Annotated[int, typer.Option(min=0, max=200, help="Made-up wrong items that measure attention.")]
Seed = Annotated[int, typer.Option(metavar="NUMBER", help="What chooses the canaries.")]
Threshold = Annotated[
    list[str] | None,
    typer.Option(metavar="L5.objective_seconds=60", help="Another threshold of a detector, or of `figures`."),
]
Imports = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="Evidence files from elsewhere (docs/evidence.md).")
]
People = Annotated[
    Path | None, typer.Option(metavar="FILE", help="CSV of who works here: name,email,login,active,left_at.")
]
Sources = Annotated[
    list[str] | None,
    typer.Option(metavar="KIND=PATH[,OPTION=VALUE]", help="Records of another system (lapse source list)."),
]
SourcesFile = Annotated[Path | None, typer.Option(metavar="FILE", help="YAML file that lists sources.")]
OwnDetectors = Annotated[Path | None, typer.Option(metavar="FOLDER", help="Detectors of your own.")]
EngineName = Annotated[
    str, typer.Option("--engine", metavar="ENGINE", help="duckdb, spark://HOST:PORT, or local: Spark on this machine.")
]
Conflicts = Annotated[Path | None, typer.Option(metavar="FILE", help="YAML file of conflicting duties.")]


def review_of(api: Api, given: str) -> dict[str, Any]:
    """The review that was named, or the newest."""
    if given:
        found: dict[str, Any] = api.get(f"/reviews/{quoted(given)}")
        return found
    rows = api.get("/reviews")["items"]
    if not rows:
        raise NotFound("there are no reviews yet", hint="`lapse review start` opens one")
    newest: dict[str, Any] = rows[0]
    return newest


def plan_body(within: str, by_default: str, fallback: str, stages: int, canaries: int) -> dict[str, Any]:
    """How a review is decided, as the API takes it."""
    if by_default not in {"none", "keep", "revoke"}:
        raise InvalidInput(f"`{shown(by_default)}` is no default", hint="say keep, revoke or none")
    return {
        "within": within, "by_default": None if by_default == "none" else by_default, "fallback": fallback,
        "stages": stages, "canaries": canaries,
    }  # fmt: skip


def given_body(
    files: Mapping[str, Path | None], source: list[str] | None = None, sources: Path | None = None
) -> dict[str, Any]:
    """The files that are given to a review by name, as the API takes them: places on this machine."""
    body: dict[str, Any] = {name: str(path.absolute()) for name, path in files.items() if path is not None}
    if source or sources is not None:
        from lapse.review.sources.wanted import parse_wanted, read_wanted, spelled

        wanted = [parse_wanted(text) for text in source or ()]
        wanted += read_wanted(sources) if sources is not None else []
        body["sources"] = [spelled(one) for one in wanted]
    return body


def thresholds_body(given: list[str] | None) -> dict[str, dict[str, int]]:
    """`L5.objective_seconds=60` and the like, as the API takes them."""
    found: dict[str, dict[str, int]] = {}
    for text in given or ():
        detector, dot, rest = text.partition(".")
        name, equals, value = rest.partition("=")
        if not (dot and equals and name and value.isdecimal()):
            raise InvalidInput(f"`{shown(text)}` is no threshold", hint="write it as DETECTOR.NAME=NUMBER")
        found.setdefault("figures" if detector == "figures" else detector.upper(), {})[name] = int(value)
    return found
