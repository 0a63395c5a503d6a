"""`lapse policy test` and `schema`: questions with expected answers, and what editors need. No home, no server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lapse.domain.errors import InvalidInput
from lapse.entrypoints.cli.output import DASH, paragraph, plural, print_json, safe, say, table
from lapse.entrypoints.cli.policy_files import PolicyFiles, is_cases, read_policy
from lapse.entrypoints.cli.session import Session

if TYPE_CHECKING:
    from lapse.domain.catalog import Catalog
    from lapse.policy.cases import CaseFile, CaseResult, TestReport

Cases = Annotated[
    list[Path] | None,
    typer.Option("--cases", metavar="FILE", help="Files of test cases; `*.test.yaml` beside the policy if left out."),
]


def run_tests(
    session: Session,
    files: PolicyFiles,
    cases: Cases = None,
    min_coverage: Annotated[
        int, typer.Option("--min-coverage", min=0, max=100, help="Fail if cases look at fewer rules of a hundred.")
    ] = 0,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="List cases that passed, too.")] = False,
) -> None:
    """Ask what test cases ask, and compare.

    Exit code 1 if an answer is not as expected, or too few rules were looked at.
    """
    from lapse.policy import parse
    from lapse.policy.cases import read_cases, run_cases

    policy = parse(read_policy(files))
    found = read_cases(_read_cases(cases, files))
    report = run_cases(policy, found, {file.file: catalog for file in found if (catalog := _catalog_of(file))})
    enough = report.percent >= min_coverage
    if session.json:
        print_json(_as_data(report, enough=enough))
    else:
        _tell(report, verbose=verbose)
        if not enough:
            say(f"too few rules are tested: {report.percent} % of them, and {min_coverage} % are asked for")
    if report.failed or not enough:
        raise typer.Exit(1)


def schema(
    session: Session, cases: Annotated[bool, typer.Option("--cases", help="That of test cases.")] = False
) -> None:
    """Print the JSON Schema of policy files."""
    del session
    from lapse.policy.schema import schema_text

    say(schema_text("cases" if cases else "policy").rstrip("\n"))


def _read_cases(named: list[Path] | None, files: Iterable[Path]) -> dict[str, str]:
    """The named files; else those that lie beside the policy files and are called `*.test.yaml`."""
    from lapse.entrypoints.cli.files import read_files

    if named:
        return read_files(named)
    folders = dict.fromkeys(path if path.is_dir() else path.parent for path in files)
    beside = [path for folder in folders for path in sorted(folder.iterdir()) if is_cases(path)]
    if not beside:
        raise InvalidInput(
            "there are no test cases", hint="write some into `NAME.test.yaml` beside the policy, or name them: --cases"
        )
    return read_files(beside)


def _catalog_of(file: CaseFile) -> Catalog | None:
    if not file.catalogs:
        return None
    from lapse.entrypoints.cli.files import read_files
    from lapse.identity.catalog_files import catalog_from_files

    return catalog_from_files(read_files(Path(file.file).parent / named.value for named in file.catalogs))


def _tell(report: TestReport, *, verbose: bool) -> None:
    for case in report.cases:
        if not case.passed:
            _tell_failure(case)
        elif verbose:
            paragraph(case.name, first="ok      ")
    failed = len(report.failed)
    say(f"{plural(len(report.cases), 'case')}: {len(report.cases) - failed} as expected, {failed} not")
    say()
    table(("RULE", "SATISFIED", "NOT", "FAILED"), _rows(report), flexible=0)
    say()
    looked_at = sum(1 for rule in report.rules if rule.looked_at)
    say(f"{looked_at} of {plural(len(report.rules), 'rule')} looked at ({report.percent} %)")
    for rule in report.rules:
        if not rule.looked_at:
            paragraph(f"{safe(rule.file)}:{rule.line}: no case is about the {rule.kind} `{rule.name}`", first="  ")


def _tell_failure(case: CaseResult) -> None:
    paragraph(case.name, first="FAILED  ")
    for one in case.differences:
        say(f"  {safe(case.file)}:{one.line}: {one.what}")
        paragraph(one.expected, first="    expected  ")
        paragraph(one.actual, first="    got       ")


def _rows(report: TestReport) -> Iterator[tuple[str, ...]]:
    for rule in report.rules:
        counts = (rule.satisfied, rule.unsatisfied, rule.failed)
        yield f"{rule.kind} {rule.name}", *(str(count) if count else DASH for count in counts)


def _as_data(report: TestReport, *, enough: bool) -> dict[str, object]:
    from lapse.domain.data import to_data

    cases = [
        {
            "name": case.name,
            "file": case.file,
            "line": case.line,
            "passed": case.passed,
            "differences": to_data(case.differences),
            "allowed": case.evaluation.allowed,
            "reason": case.evaluation.reason,
        }
        for case in report.cases
    ]
    return {
        "ok": enough and not report.failed,
        "policy": report.policy_version,
        "cases": cases,
        "rules": to_data(report.rules),
        "coverage": report.percent,
    }
