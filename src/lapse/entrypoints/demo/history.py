"""A made-up year of access at a small company, with planted problems: what a review should find, and nothing else.

`write_history` writes evidence files into a folder that `review.collect.collect_imports` reads, and returns what it
planted. The same seed gives the same year. Used by the demo and by the tests, which hold the review to it.
"""

from __future__ import annotations

import csv
import json
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lapse.domain.data import to_data
from lapse.entrypoints.demo import history_company as company
from lapse.entrypoints.demo.history_year import Twist, Wish, Year, first_entries
from lapse.ledger import canonical
from lapse.policy import parse, version_of
from lapse.ports import PolicyVersion
from lapse.review import rows
from lapse.review.evidence import TABLES
from lapse.review.offers import offer_rows
from lapse.review.policy_evidence import policy_evidence

_FILES = {"access.yaml": company.POLICY}
_AS_PARQUET = {"usage", "ledger_entries", "enforcement_events"}
_GOVERNED = tuple(name for name in company.OWNERS if name != company.UNGOVERNED)
_TWO_STAGES = tuple(name for name in _GOVERNED if name != "pg-search")
_BREAK = timedelta(minutes=30)
_UNUSED, _LATE = 6, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """One problem in the year: the detector that must find it, and the subject it must name."""

    detector: str
    subject: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Where the evidence is, what period it is about, when it was read, and what is wrong in it."""

    folder: Path
    period: str
    now: datetime
    planted: tuple[Planted, ...]
    grants: int


@dataclass
class _Story:
    """The year being told, with who held what until when, so that right stories never touch each other."""

    year: Year
    chance: random.Random
    start: datetime
    free_from: dict[tuple[str, str], datetime] = field(default_factory=dict)
    planted: list[Planted] = field(default_factory=list)

    def plant(self, detector: str, subject: str, what: str) -> None:
        self.planted.append(Planted(detector=detector, subject=subject, what=what))

    def is_free(self, wish: Wish) -> bool:
        """Whether the person has had a real break since holding this last."""
        return self.free_from.get((wish.person, wish.entitlement), self.start) <= wish.at

    def holds(self, wish: Wish, until: datetime) -> None:
        self.free_from[wish.person, wish.entitlement] = until + _BREAK


def write_history(folder: Path, *, seed: int = 7, grants: int = 3_000, year: int = 2026) -> History:
    """Write the year's evidence into `folder` (made if needed) with about `grants` grants."""
    start, now = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    chance = random.Random(seed)  # noqa: S311  a story, not a secret
    catalog = company.company()
    told = Year(policy=parse(_FILES), catalog=catalog, now=now, chance=chance)
    told.entries += first_entries(catalog, start)
    story = _Story(year=told, chance=chance, start=start)
    _tell(story, grants)
    _end_of_year(story)
    _write(folder, story)
    return History(
        folder=folder,
        period=str(year),
        now=now,
        planted=tuple(story.planted),
        grants=len(told.tables["grants"]),
    )


def _tell(story: _Story, grants: int) -> None:
    """Day by day: ordinary requests, people who leave, and the planted stories on days of their own."""
    days = (story.year.now - story.start).days
    plants = _stories()
    plant_days = {20 + i * (days - 40) // len(plants): tell for i, tell in enumerate(plants)}
    for number in range(days):
        day = story.start + timedelta(days=number)
        for name, leaves in company.LEAVERS.items():
            if leaves == number:
                story.year.leave(name, day)
        if number in plant_days:
            plant_days[number](story, day + timedelta(hours=8))
        wanted = grants * (number + 1) // days - grants * number // days
        for _ in range(wanted):
            _ordinary(story, day)


def _ordinary(story: _Story, day: datetime) -> None:
    """A request as they come every day; some are refused, some are never decided."""
    for _ in range(20):
        wish = _wish(story, day)
        if story.is_free(wish):
            break
    else:
        return
    fate = story.chance.random()
    if fate < 0.04:  # noqa: PLR2004  one in twenty-five is refused
        story.year.deny(wish)
    elif fate < 0.06:  # noqa: PLR2004  one in fifty is forgotten
        story.year.expire(wish)
    grant = story.year.grant(wish) if fate >= 0.06 else None  # noqa: PLR2004  all others
    story.holds(wish, grant.ends_at or wish.at if grant else wish.at)


def _wish(story: _Story, day: datetime) -> Wish:
    here = sorted(p.name for p in story.year.catalog.principals.values() if p.active and p.name in company.PEOPLE)
    role = story.chance.choices(company.ROLES, weights=(70, 25, 5))[0]
    longest = company.longest(role)
    share = story.chance.choice((0.25, 0.5, 0.5, 1.0))
    resource = story.chance.choice(_GOVERNED)
    at = day + timedelta(hours=6, seconds=story.chance.randint(0, 8 * 3_600))
    return Wish(person=story.chance.choice(here), entitlement=f"{resource}/{role}", at=at, duration=longest * share)


def _stories() -> Sequence[Any]:
    """One function for each planted story of the workflow, told on a day of its own."""
    return (
        _self_approval,
        _outsider,
        _missing_lead,
        _forged_terms,
        _retroactive,
        _chain,
        *[_late] * _LATE,
        *[_unused] * _UNUSED,
        _used_after,
        _session_goes_on,
        _empty_purpose,
        _outage,
    )


def _planted_wish(story: _Story, at: datetime, role: str, hours: float, *, person: str = "sam") -> Wish:
    """A wish on a system where the person holds nothing at that time."""
    for resource in story.chance.sample(_TWO_STAGES if role == "admin" else _GOVERNED, k=4):
        wish = Wish(person=person, entitlement=f"{resource}/{role}", at=at, duration=timedelta(hours=hours))
        if story.is_free(wish):
            story.holds(wish, at + timedelta(hours=24))
            return wish
    raise ValueError(f"{person} is busy everywhere on {at}")


def _self_approval(story: _Story, at: datetime) -> None:
    person, alias = company.SECOND_IDENTITY
    wish = _planted_wish(story, at, "writer", 2, person=person)
    grant = story.year.grant(wish, Twist(approvers=(alias,)))
    story.plant("C1", grant.request_id, f"{person} approved an own request as {alias}")
    story.plant("C8", grant.request_id, "that vote does not count, so the quorum was not reached")
    story.plant("C9", grant.request_id, "and the approval does not re-derive")


def _outsider(story: _Story, at: datetime) -> None:
    grant = story.year.grant(_planted_wish(story, at, "writer", 2), Twist(approvers=("vera",)))
    story.plant("C6", grant.request_id, "vera is no database administrator, and approved")
    story.plant("C8", grant.request_id, "that vote does not count, so the quorum was not reached")
    story.plant("C9", grant.request_id, "and the approval does not re-derive")


def _missing_lead(story: _Story, at: datetime) -> None:
    grant = story.year.grant(_planted_wish(story, at, "admin", 1), Twist(approvers=("chen",)))
    story.plant("C8", grant.request_id, "approved without the second stage")
    story.plant("C9", grant.request_id, "and the approval does not re-derive")


def _forged_terms(story: _Story, at: datetime) -> None:
    grant = story.year.grant(_planted_wish(story, at, "reader", 4), Twist(forged_duration=timedelta(hours=20)))
    story.plant("C9", grant.request_id, "the terms on record are not those the policy gives")


def _retroactive(story: _Story, at: datetime) -> None:
    grant = story.year.grant(_planted_wish(story, at, "reader", 4), Twist(activated_early=True))
    story.plant("C7", grant.id, "active before anybody approved")


def _chain(story: _Story, at: datetime) -> None:
    wish = _planted_wish(story, at, "writer", 4, person="tara")
    first, last = None, None
    for _ in range(4):
        last = story.year.grant(wish, Twist(quick=True))
        first = first or last
        end = last.ends_at or at
        wish = Wish(
            person=wish.person,
            entitlement=wish.entitlement,
            at=end - timedelta(seconds=19),
            duration=wish.duration,
        )
    if first is None or last is None or first.activated_at is None:
        raise ValueError("a chain has links")
    subject = f"{wish.person} {wish.entitlement} {first.activated_at:%Y-%m-%dT%H:%M:%SZ}"
    story.plant("L10", subject, "sixteen hours without a break, eight are allowed")


def _late(story: _Story, at: datetime) -> None:
    minutes = story.chance.randint(12, 240)
    grant = story.year.grant(_planted_wish(story, at, "reader", 4), Twist(late=timedelta(minutes=minutes)))
    story.plant("L5", grant.id, f"ended {minutes} minutes late")


def _unused(story: _Story, at: datetime) -> None:
    grant = story.year.grant(_planted_wish(story, at, "reader", 4, person="uma"), Twist(unused=True))
    story.plant("L4", grant.id, "never used, and the log is complete")


def _used_after(story: _Story, at: datetime) -> None:
    grant = story.year.grant(_planted_wish(story, at, "writer", 2), Twist(use_after=timedelta(minutes=25)))
    story.plant("L7", grant.id, "used 25 minutes after its end")


def _session_goes_on(story: _Story, at: datetime) -> None:
    grant = story.year.grant(_planted_wish(story, at, "reader", 4), Twist(session_over=timedelta(minutes=40)))
    story.plant("L8", grant.id, "a session went on for 40 minutes after the end")


def _empty_purpose(story: _Story, at: datetime) -> None:
    wish = _planted_wish(story, at, "reader", 4)
    grant = story.year.grant(
        Wish(person=wish.person, entitlement=wish.entitlement, at=at, duration=wish.duration, task="asdf")
    )
    story.plant("C16", grant.request_id, "the purpose is `asdf`")


def _outage(story: _Story, at: datetime) -> None:
    """Telemetry of one system stops for nine hours; a grant unused in that time is unknown, not unused."""
    gap = (at - timedelta(hours=2), at + timedelta(hours=7))
    for resource in company.OWNERS:
        windows = [(story.start, story.year.now)]
        if resource == "pg-orders":
            windows = [(story.start, gap[0]), (gap[1], story.year.now)]
            story.plant("M13", f"{resource} {gap[0]:%Y-%m-%dT%H:%M:%SZ}", "nine hours without telemetry")
        for begin, end in windows:
            story.year.add(
                "coverage",
                {"resource": resource, "from_at": begin, "to_at": end, "complete": True, "source": "postgresql log"},
            )
    wish = Wish(person="yusuf", entitlement="pg-orders/reader", at=at, duration=timedelta(hours=2))
    if story.is_free(wish):
        story.holds(wish, at + timedelta(hours=24))
        story.year.grant(wish, Twist(unused=True))


def _end_of_year(story: _Story) -> None:
    """What is in force when the targets are read: live grants, and what should not be there."""
    from lapse.entrypoints.demo.history_targets import read_targets

    now = story.year.now
    stuck = _planted_wish(story, now - timedelta(hours=30), "writer", 2, person="raj")
    failed = story.year.grant(stuck, Twist(never_ends=True))
    story.plant("L6", failed.id, "past its end for a day, the target refuses connections")
    for name in ("lara", "leo", "max"):
        story.year.grant(_planted_wish(story, now - timedelta(hours=2), "reader", 4, person=name))
    read_targets(story.year, story.plant)


def _write(folder: Path, story: _Story) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    year = story.year
    _catalog_tables(year)
    entries = sorted(enumerate(year.entries), key=lambda pair: (pair[1].at, pair[0]))
    for seq, (_, entry) in enumerate(entries):
        year.add("ledger_entries", rows.ledger_row(seq, entry, canonical.encode(entry)))
    for table, found in year.tables.items():
        if table in _AS_PARQUET:
            _write_parquet(folder / f"{table}.parquet", table, found)
        else:
            _write_csv(folder / f"{table}.csv", table, found)
    planted = [to_data(one) for one in story.planted]
    (folder / ".planted.json").write_text(json.dumps(planted, indent=1) + "\n", "utf-8")


def _catalog_tables(year: Year) -> None:
    version = PolicyVersion(
        version=version_of(_FILES),
        files=_FILES,
        activated_at=datetime(year.now.year - 1, 1, 1, tzinfo=UTC),
        activated_by="root",
    )
    offers = list(offer_rows(version, year.catalog))
    for table, found in _catalog_rows(year, {str(row["resource"]) for row in offers}):
        year.add(table, found)
    for row in offers:
        year.add("offers", row)
    for table, analysed in policy_evidence(version, year.catalog, time.monotonic).tables.items():
        for row in analysed:
            year.add(table, row)
    year.add("policies", rows.policy_row(version, active=True))


def _catalog_rows(year: Year, governed: set[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    for table, found in (
        ("principals", rows.principal_rows(year.catalog)),
        ("humans_behind", rows.human_rows(year.catalog)),
        ("group_members", rows.group_rows(year.catalog)),
    ):
        yield from ((table, row) for row in found)
    for resource in year.catalog.resources.values():
        yield "resources", rows.resource_row(resource, year.catalog, resource.name in governed)
        yield from (("entitlements", rows.entitlement_row(e)) for e in resource.entitlements)


def _write_parquet(path: Path, table: str, found: list[dict[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(found, schema=TABLES[table].schema()), path, compression="zstd")


def _write_csv(path: Path, table: str, found: list[dict[str, Any]]) -> None:
    columns = [column.name for column in TABLES[table].columns]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows([_cell(row.get(name)) for name in columns] for row in found)


def _cell(value: Any) -> Any:
    return "" if value is None else to_data(value)
