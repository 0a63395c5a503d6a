"""Many files of CloudTrail: read in several processes, in parts, with processes that are lost; always the same."""

from __future__ import annotations

from lapse.review.sources.aws import trail_changes, trail_parts, trail_pool
from lapse.review.sources.aws.trail_parts import Asked, parts_of
from support.aws_files import ACCOUNT, event, log, lost, read_as, write

FOLDER = f"AWSLogs_S_{ACCOUNT}_S_CloudTrail_S_eu-central-1_S_2026_S_07_S_01_S_{ACCOUNT}_CloudTrail_eu-central-1"


def read(place, tmp_path, **options):
    return read_as("cloudtrail", place, tmp_path, **options)


def bucket(tmp_path):
    files = {
        f"{FOLDER}_202607{day:02d}T1000Z_x__json__gz": log(
            *(event(at=f"2026-07-{day:02d}T10:00:0{n}Z") for n in range(9))
        )
        for day in range(1, 13)
    }
    return write(tmp_path / "bucket", **files, **{f"{FOLDER}_20260713T1000Z_x__json__gz": b"broken"})


def test_several_processes_read_the_same_in_the_same_order(tmp_path, monkeypatch):
    place = bucket(tmp_path)
    alone = read(place, tmp_path)
    monkeypatch.setattr(trail_pool, "_GROUP_FILES", 2)
    monkeypatch.setattr(trail_pool, "POOL_FROM", 0)
    together = read(place, tmp_path)
    assert together.usage == alone.usage
    assert together.coverage == alone.coverage
    assert together.report == alone.report


def test_large_files_are_read_here_and_in_several_parts(tmp_path, monkeypatch):
    place = bucket(tmp_path)
    alone = read(place, tmp_path)
    monkeypatch.setattr(trail_pool, "LARGE", 0)
    monkeypatch.setattr(trail_pool, "POOL_FROM", 0)
    monkeypatch.setattr(trail_parts, "PART_ROWS", 4)
    in_parts = read(place, tmp_path)
    assert (in_parts.usage, in_parts.coverage, in_parts.report) == (alone.usage, alone.coverage, alone.report)


def test_a_file_that_may_not_be_read_is_rejected(tmp_path, monkeypatch):
    def refuse(self, name, path):
        raise PermissionError(13, "Permission denied")

    place = write(tmp_path / "in", a_20260701T1200Z_b__json=log(event()))
    monkeypatch.setattr("lapse.review.sources.reading.Reading.file", refuse)
    assert read(place, tmp_path).report.examples == (
        "a_20260701T1200Z_b.json: the file cannot be read: [Errno 13] Permission denied",
    )


def test_a_process_that_is_lost_loses_nothing_unseen(tmp_path, monkeypatch):
    place = bucket(tmp_path)
    monkeypatch.setattr(trail_pool, "_work", lost)
    monkeypatch.setattr(trail_pool, "POOL_FROM", 0)
    monkeypatch.setattr(trail_pool, "_guarded", lambda file, asked: list(parts_of([file], asked)))
    assert read(place, tmp_path).report.used == 108
    monkeypatch.undo()
    monkeypatch.setattr(trail_pool, "_work", lost)
    file = next(place.rglob("*.gz"))
    (part,) = trail_pool._guarded(("log", file), Asked(now=0, gap=1))
    assert part.tally.rejected == 1


def test_events_that_change_rights_are_told_from_their_names():
    assert len(trail_changes._EVENTS) == 18
