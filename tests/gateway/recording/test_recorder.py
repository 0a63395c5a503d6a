"""Recordings on disk: whole, encrypted, sealed, durable within the bound, and whole again after a crash."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from fakes.control_plane import FakePlane
from lapse.domain.errors import Unavailable
from lapse.gateway.recording import FrameKind, writer
from lapse.gateway.recording.recorder import BEHIND, FileRecorder
from lapse.gateway.recording.writer import DURABLE_WITHIN
from lapse.ports import Attempt
from lapse.protocols.recording import Opener
from support.clock import HandClock
from support.live_gateway import KeptLog
from support.tools import ROOT

KEY_OF = {}


@pytest.fixture
def plane():
    return FakePlane(HandClock(datetime.now(UTC)))


@asynccontextmanager
async def recording_to(folder, plane):
    recorder = FileRecorder(folder, plane, KeptLog())
    try:
        yield recorder
    finally:
        await recorder.close()


async def admission_for(plane, session_id="ses_1"):
    credential = plane.allow(f"alice.pg-prod.{session_id}").credential
    attempt = Attempt(credential_id=credential.id, protocol="postgresql", client="-", session_id=session_id)
    return await plane.admit("gw", attempt)


def frames_in(folder, admission):
    """What is in the files of one session, without what the recorder itself wrote."""
    opener, found = Opener(admission.recording_key, admission.session.id), []
    place = folder / admission.session.resource / admission.session.id
    for path in sorted(place.iterdir(), key=lambda one: int(one.name)):
        opener.segment(int(path.name))
        found += opener.feed(path.read_bytes())
    return [one for one in found if one.kind != FrameKind.META]


async def told(plane, number):
    async with asyncio.timeout(10):
        while len(plane.segments) < number:
            await asyncio.sleep(0.01)
    return sorted(plane.segments.values(), key=lambda segment: segment.number)


async def test_what_was_written_is_in_the_file_and_its_hash_is_told(tmp_path, plane):
    admission = await admission_for(plane)
    async with recording_to(tmp_path, plane) as recorder:
        recording = recorder.begin(admission)
        recording.write(FrameKind.OUTPUT, b"hello")
        recording.write(FrameKind.INPUT, b"x" * 100_000)
        assert await recording.close()
        (segment,) = await told(plane, 1)
    file = tmp_path / segment.place
    assert [(one.kind, one.data) for one in frames_in(tmp_path, admission)] == [
        (FrameKind.OUTPUT, b"hello"),
        (FrameKind.INPUT, b"x" * 100_000),
    ]
    assert hashlib.sha256(file.read_bytes()).hexdigest() == segment.sha256
    assert (segment.bytes, segment.last, segment.torn) == (file.stat().st_size, True, False)
    assert b"hello" not in file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    assert not list((tmp_path / "open").iterdir())


async def test_a_recording_says_whose_it_is(tmp_path, plane):
    admission = await admission_for(plane)
    async with recording_to(tmp_path, plane) as recorder:
        await recorder.begin(admission).close()
        (segment,) = await told(plane, 1)
    opener = Opener(admission.recording_key, "ses_1")
    opener.segment(0)
    (meta,) = opener.feed((tmp_path / segment.place).read_bytes())
    assert json.loads(meta.data)["principal"] == "alice"


async def test_long_recordings_are_cut_into_segments_with_a_frame_across(tmp_path, plane, monkeypatch):
    monkeypatch.setattr(writer, "SEGMENT_SIZE", 50_000)
    admission = await admission_for(plane)
    async with recording_to(tmp_path, plane) as recorder:
        recording = recorder.begin(admission)
        for number in range(20):
            recording.write(FrameKind.OUTPUT, bytes([number]) * 30_000)
            await asyncio.sleep(0.02)
            recorder.writer.hurry()
        assert await recording.close()
        segments = await told(plane, 2)
        while not segments[-1].last:
            segments = await told(plane, len(segments) + 1)
    assert [one.data[:1] for one in frames_in(tmp_path, admission)] == [bytes([n]) for n in range(20)]


async def test_who_writes_faster_than_the_disk_waits_and_loses_nothing(tmp_path, plane):
    admission = await admission_for(plane)
    async with recording_to(tmp_path, plane) as recorder:
        recording = recorder.begin(admission)
        recording.write(FrameKind.OUTPUT, b"a" * (BEHIND + 1))
        assert recording.behind
        await asyncio.wait_for(recording.caught_up(), 20)
        assert not recording.behind
        assert await recording.close()
    assert len(frames_in(tmp_path, admission)[0].data) == BEHIND + 1


async def test_a_frame_of_fifty_megabytes_comes_out_whole(tmp_path, plane):
    admission, big = await admission_for(plane), os.urandom(50 << 20)
    async with recording_to(tmp_path, plane) as recorder:
        recording = recorder.begin(admission)
        recording.write(FrameKind.PIECES, big)
        assert await recording.close()
    assert frames_in(tmp_path, admission)[0].data == big


async def test_where_nothing_can_be_written_there_is_no_session(tmp_path, plane):
    admission = await admission_for(plane)
    async with recording_to(tmp_path / "r", plane) as recorder:
        (tmp_path / "r" / "open").rmdir()
        with pytest.raises(Unavailable, match="recordings cannot be kept"):
            recorder.begin(admission)


async def test_a_disk_that_fails_ends_the_session_and_its_recording_is_not_called_whole(tmp_path, plane, monkeypatch):
    def full(_handle, _data):
        raise OSError(28, "No space left on device")

    admission = await admission_for(plane)
    async with recording_to(tmp_path, plane) as recorder:
        monkeypatch.setattr(writer.os, "write", full)
        recording = recorder.begin(admission)
        recording.write(FrameKind.OUTPUT, b"a" * (BEHIND + 1))
        with pytest.raises(Unavailable, match="no space left"):
            await asyncio.wait_for(recording.caught_up(), 10)
        with pytest.raises(Unavailable):
            recording.write(FrameKind.OUTPUT, b"more")
        assert not await recording.close()


async def test_while_lapse_is_away_hashes_wait_and_are_told_later(tmp_path, plane):
    admission = await admission_for(plane)
    async with recording_to(tmp_path, plane) as recorder:
        plane.away = True
        assert await recorder.begin(admission).close()
        while "sealed" not in plane.calls:
            await asyncio.sleep(0.01)
        assert plane.segments == {}
        plane.away = False
        recorder.hurry()
        await told(plane, 1)


async def test_what_could_not_be_told_is_told_by_the_next_start(tmp_path, plane):
    admission = await admission_for(plane)
    plane.away = True
    recorder = FileRecorder(tmp_path, plane, KeptLog())
    assert await recorder.begin(admission).close()
    await recorder.close(patience=0.1)
    plane.away = False
    async with recording_to(tmp_path, plane) as recorder:
        assert await recorder.recover() == 1
        (segment,) = await told(plane, 1)
        assert not segment.torn
        assert await recorder.recover() in {0, 1}


CRASH = """
import asyncio, sys, time
from datetime import UTC, datetime
from pathlib import Path
from fakes.control_plane import FakePlane
from lapse.gateway.recording import FrameKind
from lapse.gateway.recording.recorder import FileRecorder
from lapse.ports import Attempt
from support.clock import HandClock
from support.live_gateway import KeptLog

async def main():
    plane = FakePlane(HandClock(datetime.now(UTC)))
    credential = plane.allow("alice.pg-prod.x").credential
    attempt = Attempt(credential_id=credential.id, protocol="postgresql", client="-", session_id="ses_1")
    admission = await plane.admit("gw", attempt)
    recorder = FileRecorder(Path(sys.argv[1]), plane, KeptLog())
    recording = recorder.begin(admission)
    number = 0
    while True:
        recording.write(FrameKind.OUTPUT, b"%d %d" % (number, time.time_ns()))
        print(number, time.time_ns(), flush=True)
        number += 1
        await asyncio.sleep(0.005)

asyncio.run(main())
"""


async def test_after_kill_nine_everything_older_than_the_bound_is_there(tmp_path, plane):
    admission = await admission_for(plane)
    paths = os.pathsep.join([str(ROOT / "tests"), str(ROOT / "src")])
    process = subprocess.Popen(  # noqa: ASYNC220  nothing else runs meanwhile
        [sys.executable, "-c", CRASH, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    )
    lines = []
    while len(lines) < 300:
        lines.append(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    killed_at = time.time_ns()
    lines += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    async with recording_to(tmp_path, plane) as recorder:
        assert await recorder.recover() == 1
        (segment,) = await told(plane, 1)
    assert segment.torn
    assert segment.last
    found = {int(one.data.split()[0]) for one in frames_in(tmp_path, admission)}
    bound = DURABLE_WITHIN.total_seconds() * 1e9
    due = {int(n) for n, at in (line.split() for line in lines if line.count(" ") == 1) if int(at) < killed_at - bound}
    assert due
    assert due <= found
    assert found == set(range(len(found)))
