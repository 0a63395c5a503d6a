"""What reviews leave in a store: exceptions, removals, schedules, known findings. Every store keeps them alike."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lapse.domain.errors import Conflict, NotFound
from lapse.domain.exceptions import ReviewException
from lapse.domain.looks import KnownFinding
from lapse.domain.removals import Removal, RemovalEvent
from lapse.domain.reviews import Confidence, Finding, FindingState, Severity
from lapse.domain.schedules import ReviewSchedule
from support.stores import opened

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(params=["fake", "sqlite", "postgresql"])
async def store(request, tmp_path):
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    async with opened(request.param, tmp_path, url) as store:
        yield store


def an_exception(number=1):
    return ReviewException(
        id=f"exc_{number}", owner="olga", reason="backup", until=NOW + 30 * DAY, given_by="ann", given_at=NOW,
        resource="pg", account="svc",
    )  # fmt: skip


def a_removal(number=1, resource="pg"):
    return Removal(
        id=f"itm_{number}", review_id="rev_1", resource=resource, account="ann", role="app_rw", asked_by="olga",
        asked_at=NOW, reversible_until=NOW + 7 * DAY, due_at=NOW + number * timedelta(seconds=1),
    )  # fmt: skip


def a_known_finding(name, schedule="prod"):
    finding = Finding(
        fingerprint=name, detector="L1", detector_version="1", title="", severity=Severity.HIGH,
        confidence=Confidence.FACT, subject=name, summary=name, would_clear="", remediation="",
        state=FindingState.OPEN,
    )  # fmt: skip
    return KnownFinding(schedule=schedule, finding=finding, first_seen=NOW, since=NOW, changed_at=NOW)


async def test_exceptions_are_kept_and_ended_once(store):
    await store.write(lambda tx: tx.add_exception(an_exception()))
    assert await store.read(lambda r: r.exceptions()) == [an_exception()]
    ended = an_exception().ended(by="ann", at=NOW)
    await store.write(lambda tx: tx.save_exception(ended))
    assert await store.read(lambda r: r.exception("exc_1")) == ended
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.save_exception(ended))
    with pytest.raises(NotFound):
        await store.read(lambda r: r.exception("exc_9"))


async def test_removals_are_due_while_there_is_something_to_do(store):
    made = [a_removal(1), a_removal(2, "my")]
    await store.write(lambda tx: tx.add_removals(made))
    assert await store.read(lambda r: r.removals()) == made
    assert await store.read(lambda r: r.removals(resource="my")) == made[1:]
    assert await store.read(lambda r: r.removals_due(NOW + timedelta(seconds=1), 9)) == made[:1]
    assert await store.read(lambda r: r.removals_due(NOW + DAY, 1)) == made[:1]
    taken = made[0].after(RemovalEvent.TAKE, at=NOW)
    await store.write(lambda tx: tx.save_removals([taken]))
    assert await store.read(lambda r: r.removals_due(NOW + DAY, 9)) == made[1:]
    gone = taken.after(RemovalEvent.SETTLE, at=NOW + 7 * DAY)
    await store.write(lambda tx: tx.save_removals([gone]))
    assert await store.read(lambda r: r.removals_due(NOW + 99 * DAY, 9)) == made[1:]
    assert await store.read(lambda r: r.removal("itm_1")) == gone
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.save_removals([gone]))


async def test_schedules_are_kept_by_name(store):
    made = ReviewSchedule(
        name="prod", scope="tag:env=prod", every_months=3, next_at=NOW, created_by="ann", created_at=NOW
    )
    await store.write(lambda tx: tx.add_schedule(made))
    assert await store.read(lambda r: r.schedules()) == [made]
    started = made.started("rev_1")
    await store.write(lambda tx: tx.save_schedule(started))
    assert await store.read(lambda r: r.schedule("prod")) == started
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.save_schedule(replace(started, title="x")))
    await store.write(lambda tx: tx.remove_schedule("prod"))
    assert await store.read(lambda r: r.schedules()) == []
    with pytest.raises(NotFound):
        await store.write(lambda tx: tx.remove_schedule("prod"))


async def test_what_looks_know_is_kept_by_schedule_and_goes_with_it(store):
    made = ReviewSchedule(name="prod", scope="all", every_months=3, next_at=NOW, created_by="ann", created_at=NOW)
    known = [a_known_finding("aa"), a_known_finding("bb")]
    other = a_known_finding("aa", "dev")
    await store.write(lambda tx: tx.add_schedule(made))
    await store.write(lambda tx: tx.put_known_findings([*known, other]))
    fixed = replace(known[0], finding=replace(known[0].finding, state=FindingState.FIXED), last_seen=NOW, version=1)
    await store.write(lambda tx: tx.put_known_findings([fixed]))
    assert await store.read(lambda r: r.known_findings("prod")) == [fixed, known[1]]
    await store.write(lambda tx: tx.remove_schedule("prod"))
    assert await store.read(lambda r: r.known_findings("prod")) == []
    assert await store.read(lambda r: r.known_findings("dev")) == [other]
