"""Which windows of a resource's use gateways recorded: the rows of `coverage` that lapse itself can answer for.

A gateway puts every session on record before it opens it, so while one runs, all use *through* it is known. That is
all use only while the catalog says that there is no way past the gateway (`only`); the ledger says since when. Called
by `population`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import TypeAlias

from lapse.domain.data import Json
from lapse.domain.gateways import LONGEST_SILENCE, GatewayRun
from lapse.ledger.entry import Entry
from lapse.review.collection.rows import Row

Window: TypeAlias = tuple[datetime, datetime]
"""From, to."""

_RESOURCE = "catalog.resource."


@dataclass
class OnlyWindows:
    """When each resource was reached through the gateway only, as the ledger has it."""

    _over: dict[str, list[Window]] = field(default_factory=dict)
    _since: dict[str, datetime] = field(default_factory=dict)

    def note(self, entry: Entry) -> None:
        """Take in one entry, in the ledger's order."""
        if not entry.type.startswith(_RESOURCE):
            return
        name = entry.subject.partition(":")[2]
        only = _says_only(entry.after)
        if only is None and entry.after is not None:
            return
        if only:
            self._since.setdefault(name, entry.at)
        elif name in self._since:
            self._over.setdefault(name, []).append((self._since.pop(name), entry.at))

    def of(self, resource: str, until: datetime) -> list[Window]:
        """The windows of `resource`, in order; one that goes on ends with `until`."""
        since = self._since.get(resource)
        return [*self._over.get(resource, ()), *([(since, until)] if since is not None else ())]


def coverage_rows(resource: str, runs: Sequence[GatewayRun], only: Sequence[Window], at: datetime) -> Iterator[Row]:
    """What `runs`, all of gateways that serve `resource`, have recorded of its use until `at`, which is now."""
    for run in runs:
        up = run.over_at is None and at - run.last_seen <= LONGEST_SILENCE
        for window, complete in _parts((run.first_seen, at if up else run.last_seen), only):
            yield _row(resource, window, f"gateway {run.name}", complete=complete)
    for quiet in _quiet(runs):
        for window, complete in _parts(quiet, only):
            if complete:
                yield _row(resource, window, "no gateway was up", complete=True)


def serving(runs: Iterable[GatewayRun], protocol: str) -> list[GatewayRun]:
    """Those of `runs` that took sessions of `protocol`, in the order in which they began; of no protocol none did."""
    found = (run for run in runs if protocol and (protocol in run.protocols or not run.protocols))
    return sorted(found, key=lambda run: (run.first_seen, run.id))


def _says_only(after: Mapping[str, Json] | None) -> bool | None:
    """What an entry about a resource says of `only`; None: nothing."""
    rules = (after or {}).get("gateway")
    return bool(rules.get("only")) if isinstance(rules, dict) else None


def _parts(window: Window, only: Sequence[Window]) -> Iterator[tuple[Window, bool]]:
    """`window` in pieces: those within `only` are complete, the others are not."""
    at, end = window
    for start, until in only:
        begin, stop = max(at, start), min(end, until)
        if begin >= stop:
            continue
        if at < begin:
            yield (at, begin), False
        yield (begin, stop), True
        at = stop
    if at < end:
        yield (at, end), False


def _quiet(runs: Sequence[GatewayRun]) -> Iterator[Window]:
    """Windows between runs in which none was up and nothing that was open before could go on."""
    reached: datetime | None = None
    following = _following(runs)
    for run in runs:
        if reached is not None and run.first_seen > reached:
            yield reached, run.first_seen
        known_until = _known_until(run, following)
        if known_until is None:
            return
        reached = max(reached or known_until, known_until)


def _following(runs: Sequence[GatewayRun]) -> Mapping[str, datetime]:
    """By id of a run, when the next one of the same gateway began; `runs` are in the order in which they began."""
    found: dict[str, datetime] = {}
    later: dict[str, datetime] = {}
    for began, together in groupby(reversed(runs), key=lambda run: run.first_seen):
        these = list(together)
        found.update((run.id, later[run.name]) for run in these if run.name in later)
        later.update((run.name, began) for run in these)
    return found


def _known_until(run: GatewayRun, following: Mapping[str, datetime]) -> datetime | None:
    """From when it is known that nothing of this run goes on; None: it is not known."""
    if run.over_at is not None and run.over_at == run.last_seen:
        return run.last_seen
    return following.get(run.id)


def _row(resource: str, window: Window, source: str, *, complete: bool) -> Row:
    return {"resource": resource, "from_at": window[0], "to_at": window[1], "complete": complete, "source": source}
