"""The figures of a review as `lapse review show` prints them: what a manager asks first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lapse.entrypoints.cli.output import DASH, facts, note, safe, say, table

HAVE_FIGURES = frozenset({"audited", "validated", "examined", "adjusted", "sealed"})
"""States of a review in which there are some."""

_MS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"))
_MOST_SETS = 8


def print_figures(figures: Mapping[str, Any]) -> None:
    """Exposure by tier, endings against their objective, how requests were decided."""
    if figures["exposure"] is not None and figures["exposure"]["tiers"]:
        say()
        _print_exposure(figures["exposure"])
    if figures["expiry"] is not None:
        say()
        _print_expiry(figures["expiry"])
    if figures["approvals"] is not None and any(figures["approvals"]["requests"].values()):
        say()
        _print_approvals(figures["approvals"])


def _print_exposure(exposure: Mapping[str, Any]) -> None:
    total = exposure["total"]
    say(f"zero-standing score {_score(total)}, weighted by tier {_score(exposure['weighted'])}")
    rows = [(one["tier"], one["hours"]) for one in exposure["tiers"]]
    table(
        ("TIER", "SCORE", "STANDING", "GRANTED", "USED"),
        (
            (tier, _score(hours), _hours(hours["standing"]), _hours(hours["granted"]), _used(hours))
            for tier, hours in [*rows, ("all", total)]
        ),
    )
    for missing in exposure["missing"]:
        note(f"not in these figures: {safe(missing)}")


def _print_expiry(lag: Mapping[str, Any]) -> None:
    objective = lag["objective"]
    said = ""
    if objective is not None:
        outcome = {True: "met", False: "missed", None: "not known"}[objective["met"]]
        reached = f", {_share(objective['reached'])} did" if objective["reached"] is not None else ""
        said = f"{_share(objective['share'])} within {_ms(objective['within_ms'])}: {outcome}{reached}"
    facts(
        {
            "access gone, objective": said,
            "half, 95 %, 99 % within": ", ".join(_quantile(lag[name]) for name in ("p50", "p95", "p99")),
            "ended": f"{lag['ended']:,}, {lag['not_ended']:,} not seen to end",
        }
    )


def _print_approvals(approvals: Mapping[str, Any]) -> None:
    total = sum(approvals["requests"].values())
    states = ", ".join(f"{number:,} {state}" for state, number in sorted(approvals["requests"].items()))
    escalated = approvals["escalated"]
    facts(
        {
            "requests": f"{total:,}: {states}",
            "time to decide": f"half within {_ms(approvals['p50_ms'])}, 95 % within {_ms(approvals['p95_ms'])}",
            "approved by nobody": f"{approvals['automatic']:,}, break-glass {approvals['break_glass']:,}",
            "escalated": "not known" if escalated is None else f"{escalated:,}",
            "by delegation": f"{approvals['by_delegation']:,}",
            "decided again": ", ".join(f"{n:,} {outcome}" for outcome, n in sorted(approvals["rederived"].items())),
        }
    )
    if approvals["sets"]:
        table(
            ("APPROVERS", "ASKED", "YES", "EXPIRED", "HALF WITHIN", "95 % WITHIN"),
            (
                (
                    one["approvers"].replace(";", " or "), one["asked"], _share(one["approval_rate"]), one["expired"],
                    _ms(one["p50_ms"]), _ms(one["p95_ms"]),
                )
                for one in approvals["sets"][:_MOST_SETS]
            ),
        )  # fmt: skip


def _score(hours: Mapping[str, Any]) -> str:
    score = hours["score"]
    return DASH if score is None else f"{score if score >= 1 else min(score, 0.99):.2f}"


def _hours(value: float) -> str:
    return f"{value:,.0f} h" if value >= 10 or value == round(value) else f"{value:,.1f} h"  # noqa: PLR2004  two digits


def _used(hours: Mapping[str, Any]) -> str:
    least, most = hours["used_least"], hours["used_most"]
    return _hours(least) if most <= least else f"{_hours(least)} to {_hours(most)}"


def _quantile(quantile: Mapping[str, Any] | None) -> str:
    if quantile is None:
        return DASH
    return f"at least {_ms(quantile['ms'])}" if quantile["lower_bound"] else _ms(quantile["ms"])


def _share(value: float | None) -> str:
    if value is None:
        return DASH
    percent = value * 100
    return f"{percent:.0f} %" if value >= 1 or percent == round(percent) else f"{min(percent, 99.9):.1f} %"


def _ms(value: int | None) -> str:
    if value is None:
        return DASH
    for size, unit in _MS:
        if value >= size:
            return f"{value / size:.1f} {unit}".replace(".0 ", " ")
    return f"{value} ms"
