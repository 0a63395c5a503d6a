"""Renders the report: one self-contained HTML file, no script, no request to anywhere.

Called when a pack is sealed, and for a draft before that. Every value is escaped by the template engine; the
page forbids itself scripts and foreign content by its content security policy as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files

import jinja2
from markupsafe import Markup, escape

from lapse.domain.data import Json
from lapse.domain.names import is_printable
from lapse.domain.reviews import Severity
from lapse.review.items.canaries import attention
from lapse.review.model import ReviewResult
from lapse.review.report import charts, figure_charts, figure_view, view, words

_PACKAGE = "lapse.review.report"
_CODE = re.compile(r"`([^`]{1,300})`")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFacts:
    """What the report says beyond the result. Without `evidence_sha256` it is a draft, and says so.

    `key` names the signing key (`name+hash`); `ledger` is what the pack's manifest says of the ledger;
    `policies` are (version, activated at, activated by).
    """

    title: str
    made_at: datetime
    made_by: str
    product_version: str
    key: str = ""
    evidence_sha256: str = ""
    ledger: Mapping[str, Json] | None = None
    policies: tuple[tuple[str, datetime, str], ...] = ()


def render_report(result: ReviewResult, facts: ReportFacts) -> str:
    """The report as HTML text; the same values give the same text."""
    lag, figures, roles = result.workflows.lag, result.audit.figures, result.validation.roles
    return _template().render(
        result=result,
        facts=facts,
        view=view.view_of(result),
        attention=attention(result.canaries),
        exposure_chart=charts.exposure_chart(result.audit.exposure),
        lag_chart=charts.lag_chart(lag[0]) if lag else None,
        tier_chart=figure_charts.tier_chart(figures) if figures else None,
        time_chart=figure_charts.time_chart(figures) if figures else None,
        trend=figure_view.trend_rows(result),
        roles_view=figure_view.roles_view(roles) if roles else None,
        proposed=figure_view.by_kind(result.adjustments.proposals),
        not_proposed=figure_view.by_kind(result.adjustments.not_proposed),
        most_proposals=figure_view.MOST_PROPOSALS_SHOWN,
        most_items=view.MOST_ITEMS_SHOWN,
        css=_css(),
    )


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(_PACKAGE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
    )
    for name in (
        "count",
        "hours",
        "hours_between",
        "score",
        "tier",
        "opened",
        "sentence",
        "lag",
        "duration",
        "day",
        "moment",
        "share",
        "figure",
        "evidence_text",
        "evidence_columns",
        "label",
        "carried_out",
    ):
        environment.filters[name] = getattr(words, name)
    environment.filters.update(
        objective=figure_view.objective_words, effects=figure_view.effects_words, shortened=figure_view.shortened
    )
    environment.filters.update(quantile=charts.quantile_text, marked=_marked, groupby_severity=view.by_severity)
    environment.globals.update(
        quantiles=charts.quantiles, severities=tuple(Severity), most_evidence=view.MOST_EVIDENCE_SHOWN
    )
    return environment.get_template("report.html.j2")


def _visible(value: object) -> object:
    """A text as it can be seen: control and direction-changing characters as escapes, so none hides another."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return _shown(value)


def _shown(value: str) -> str:
    return "".join(c if c in "\n\t" or is_printable(c) else c.encode("unicode_escape").decode() for c in value)


def _marked(text: str) -> Markup:
    """A sentence of ours, with what stands in backticks set as code; everything in it escaped."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(_shown(text)))))  # noqa: S704  escaped before


@cache
def _css() -> Markup:
    """Our own style sheet, which holds nothing that a review brought."""
    return Markup(files(_PACKAGE).joinpath("report.css").read_text("utf-8"))  # noqa: S704  a file of this package
