"""The pages about detectors: an index, and one page each with its parameters, cases and SQL. Pure.

Generated from the detectors' own files, so that a page is never behind its detector. Called by whoever writes
`docs/detectors.md` and `docs/detectors/`, and by the tests that compare them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from lapse.review.detection.cases import Case, cases_of
from lapse.review.detection.detector import Detector

_REASONS = {"M": "misconfiguration", "L": "long-lived access", "R": "role change", "C": "compliance"}


def index_page(detectors: Sequence[Detector]) -> str:
    """The text of `docs/detectors.md`."""
    lines = [
        "# Detectors",
        "",
        "What a review looks for. Each is one SQL file over the [evidence tables](evidence.md), with cases and a page.",
        "Generated from those files. A detector whose tables are missing is reported as not assessed, never as passed.",
        "`fact` is decidable from the record and may recommend revocation; `advice` never does by itself.",
        "",
        "| id | title | question | severity | confidence | step |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| [{d.id}](detectors/{d.id}.md) | {d.title} | {d.question} | {d.severity} | {d.confidence} | {d.step} |"
        for d in detectors
    ]
    return "\n".join(lines) + "\n"


def detector_page(detector: Detector) -> str:
    """The text of `docs/detectors/ID.md`."""
    d = detector
    reason = _REASONS.get(d.id[:1], "review")
    lines = [
        f"# {d.id} {d.title}",
        "",
        d.question,
        "",
        f"- Severity {d.severity}, confidence {d.confidence}, a matter of {reason}, step {d.step}, version {d.version}",
        f"- {_tables(d)}",
        f"- Evidence for: {', '.join(d.clauses)}",
        f"- What to do: {d.remediation}",
        f"- Would clear: {d.would_clear}",
        "",
        "## Parameters",
        "",
        *_parameters(d),
        "",
        "## Cases",
        "",
        *(line for case in cases_of(d.id) for line in _case(case)),
        "## SQL",
        "",
        "```sql",
        d.sql.strip(),
        "```",
    ]
    return "\n".join(lines) + "\n"


def _tables(d: Detector) -> str:
    groups = (" or ".join(f"`{table}`" for table in group) for group in d.one_of)
    needs = ", ".join((*(f"`{table}`" for table in d.needs), *groups))
    optional = ", ".join(f"`{table}`" for table in d.optional)
    return f"Needs {needs}" + (f"; uses {optional} where there" if optional else "")


def _parameters(d: Detector) -> list[str]:
    if not d.parameters:
        return ["It has none."]
    rows = [f"| `{name}` | {p.default} | {p.doc} |" for name, p in d.parameters.items()]
    return ["| parameter | default | meaning |", "|---|---|---|", *rows]


def _case(case: Case) -> Iterator[str]:
    """A case as a list of rows: what is left out has no bearing on it."""
    found = ", ".join(f"`{subject}`" for subject in case.finds)
    yield f"**{case.name[:1].upper()}{case.name[1:]}**: " + (f"finds {found}." if found else "finds nothing.")
    if case.parameters:
        yield "With " + ", ".join(f"`{name}` = {value}" for name, value in case.parameters.items()) + "."
    yield ""
    yield "```yaml"
    for table, rows in case.tables.items():
        yield f"{table}:" + ("" if rows else " []")
        yield from (f"  - {{{_cells(row.items())}}}" for row in rows)
    yield "```"
    yield ""


def _cells(cells: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in cells)
