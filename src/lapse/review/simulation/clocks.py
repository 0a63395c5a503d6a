"""Who works when: places with their time zones, hours of the day, weekends, and how soon somebody answers.

Pure. Called by `demand` for requests and by `asking` for approvals; where the figures come from is in
`docs/simulation.md`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from lapse.review.simulation.chance import Stream, lognormal

HOURS = (1, 1, 0, 0, 0, 0, 1, 3, 9, 17, 22, 22, 16, 18, 22, 22, 20, 15, 8, 5, 4, 4, 3, 2)
"""How likely a request is in each hour of the local day: seven in ten lie between 10 and 18 o'clock."""

WEEKEND = 0.05
"""Requests on a day of the weekend, where a working day has 1."""

OPENS, CLOSES = 9, 18
REPLY_MEDIAN, REPLY_SIGMA = 47 * 60.0, 1.78
"""Seconds until one person answers a message while at work: half within 47 minutes, most often after two."""

QUICKEST = timedelta(seconds=12)
_SATURDAY = 5
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Site:
    """Where people work, on which clock, and what share of all works there."""

    name: str
    zone: ZoneInfo
    share: float


SITES = (
    Site("Berlin", ZoneInfo("Europe/Berlin"), 0.5),
    Site("New York", ZoneInfo("America/New_York"), 0.3),
    Site("Pune", ZoneInfo("Asia/Kolkata"), 0.2),
)


def is_workday(day: date) -> bool:
    """Monday to Friday."""
    return day.weekday() < _SATURDAY


def moment_of(chance: Stream, site: Site, day: date) -> datetime:
    """A moment of the local `day`, as likely as work is at that hour; in UTC."""
    hour = chance.choices(range(24), weights=HOURS)[0]
    local = datetime.combine(day, time(hour), site.zone) + timedelta(seconds=chance.randrange(3_600))
    return local.astimezone(UTC).replace(microsecond=chance.randrange(1_000_000))


def at_work(site: Site, at: datetime) -> bool:
    """Whether people there are at work."""
    local = at.astimezone(site.zone)
    return is_workday(local.date()) and OPENS <= local.hour < CLOSES


def opens_next(site: Site, at: datetime) -> datetime:
    """When work begins there again; `at` itself while people are at work."""
    if at_work(site, at):
        return at
    local = at.astimezone(site.zone)
    day = local.date() if local.hour < OPENS else local.date() + _DAY
    while not is_workday(day):
        day += _DAY
    return datetime.combine(day, time(OPENS), site.zone).astimezone(UTC)


def answers_at(chance: Stream, site: Site, at: datetime, *, on_call: bool) -> datetime:
    """When somebody there answers what reaches them at `at`; who is on call looks at once, others when at work."""
    begins = at if on_call else opens_next(site, at)
    wait = timedelta(seconds=lognormal(chance, REPLY_MEDIAN, REPLY_SIGMA))
    return begins + max(QUICKEST, wait)
