"""The folder of each framework in a pack: per clause the result, the detectors and the files that answer it.

Called when a pack is sealed, after everything that it points to is written. A page for people (`index.html`, which
needs nothing else), the same as CSV and JSON, and one index of all frameworks. The same values give the same bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import jinja2
from markupsafe import Markup

from lapse.domain.data import Json
from lapse.review.detection.detector import Detector, all_detectors
from lapse.review.export.facts import document, one_line
from lapse.review.frameworks.catalog import Framework
from lapse.review.frameworks.results import ClauseResult, Outcome, clause_results
from lapse.review.model import ReviewResult
from lapse.review.pack.spreadsheet import rows_csv
from lapse.review.report import words

_COLUMNS = (
    "clause", "in words of ours", "result", "what that says", "findings", "statistical", "accepted", "detectors",
    "not assessed", "missing tables", "files",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One clause with the files of the pack that answer it."""

    judged: ClauseResult
    files: tuple[str, ...]


def framework_documents(
    result: ReviewResult, frameworks: Sequence[Framework], title: str, paths: Collection[str]
) -> Iterator[tuple[str, bytes]]:
    """Path in the pack and contents of every document; `paths` are the files that the pack has."""
    index: list[Json] = []
    for framework in frameworks:
        answers = [_answer(judged, paths) for judged in clause_results(result, framework)]
        counted = Counter(str(answer.judged.outcome) for answer in answers)
        folder = f"frameworks/{framework.id}"
        index.append(
            {
                "id": framework.id,
                "title": framework.title,
                "folder": folder,
                "clauses": {str(outcome): counted[outcome] for outcome in Outcome},
                "checked": framework.checked,
            }
        )
        yield f"{folder}/clauses.csv", b"".join(rows_csv(_COLUMNS, (_row(answer) for answer in answers)))
        yield f"{folder}/clauses.json", document(_as_data(framework, result, answers))
        yield f"{folder}/index.html", _page(framework, result, title, answers, counted)
    yield "frameworks/index.json", document({"format": "lapse-frameworks/1", "frameworks": index})


def _answer(judged: ClauseResult, paths: Collection[str]) -> Answer:
    known = _detectors()
    wanted = dict.fromkeys(judged.clause.files)
    if judged.findings:
        wanted |= dict.fromkeys(("findings.json", "findings.csv"))
    for name in judged.clause.detectors:
        wanted |= dict.fromkeys(f"tables/{table}.parquet" for table in known[name].tables)
    return Answer(judged=judged, files=tuple(path for path in wanted if path in paths))


@cache
def _detectors() -> Mapping[str, Detector]:
    return {detector.id: detector for detector in all_detectors()}


def _row(answer: Answer) -> list[Json]:
    one = answer.judged
    return [
        one.clause.id, one.clause.title, str(one.outcome), one.sentence, len(one.findings), one.advice, one.accepted,
        list(one.clause.detectors), list(one.blind), list(one.missing), list(answer.files),
    ]  # fmt: skip


def _as_data(framework: Framework, result: ReviewResult, answers: Sequence[Answer]) -> Json:
    return {
        "format": "lapse-clauses/1",
        "framework": framework.id,
        "title": framework.title,
        "checked": framework.checked,
        "review": result.scope.review_id,
        "clauses": [
            {
                "id": answer.judged.clause.id,
                "title": answer.judged.clause.title,
                "result": str(answer.judged.outcome),
                "says": answer.judged.sentence,
                "detectors": list(answer.judged.clause.detectors),
                "not_assessed": list(answer.judged.blind),
                "missing": list(answer.judged.missing),
                "files": list(answer.files),
                "findings": [finding.fingerprint for finding in answer.judged.findings],
            }
            for answer in answers
        ],
    }


def _page(
    framework: Framework, result: ReviewResult, title: str, answers: Sequence[Answer], counted: Mapping[str, int]
) -> bytes:
    text = _template().render(
        framework=framework,
        result=result,
        title=title,
        answers=answers,
        counts=[(outcome, counted.get(outcome, 0)) for outcome in Outcome],
        titles={name: detector.title for name, detector in _detectors().items()},
    )
    return text.encode("utf-8", "backslashreplace")


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("lapse.review.frameworks"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
    )
    environment.filters.update(day=words.day, moment=words.moment)
    # A file of ours, which holds nothing that a review brought.
    environment.globals["css"] = Markup(files("lapse.review.report").joinpath("report.css").read_text("utf-8"))  # noqa: S704
    return environment.get_template("framework.html.j2")


def _visible(value: object) -> object:
    """A text as it can be seen: no character in it hides another."""
    return one_line(value, "") if isinstance(value, str) and not isinstance(value, Markup) else value
