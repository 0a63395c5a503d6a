"""Recordings in files: what was sealed is read back, in whatever pieces it comes; nothing else is taken for it."""

from __future__ import annotations

import os
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.domain.errors import Corrupt
from lapse.protocols.recording import MAGIC, Frame, Opener, Sealer, frame, whole_length

KEY = b"k" * 32
FRAMES = st.lists(st.builds(Frame, st.integers(0, 255), st.integers(0, 2**63), st.binary(max_size=200)), max_size=20)


def chunk(sealer, plain, **more):
    return b"".join(sealer.chunk(plain, **more))


def sealed(frames, *, cuts=(), session="ses_1", sealer=None):
    """One segment with `frames`, in chunks that end at `cuts`."""
    sealer = sealer or Sealer(KEY, session)
    plain = b"".join(frame(one.kind, one.micros, one.data) for one in frames)
    bounds = [0, *sorted(min(cut, len(plain)) for cut in cuts), len(plain)]
    chunks = [chunk(sealer, plain[a:b]) for a, b in pairwise(bounds)]
    return MAGIC + b"".join(chunks) + chunk(sealer, b"", last=True)


def read(*segments, session="ses_1", key=KEY):
    opener = Opener(key, session)
    found = []
    for number, data in enumerate(segments):
        opener.segment(number)
        found += opener.feed(data)
    return found


@given(FRAMES, st.lists(st.integers(0, 4_000), max_size=5), st.lists(st.integers(1, 500), max_size=30))
def test_what_was_sealed_is_read_back_in_whatever_pieces(frames, cuts, sizes):
    data, opener, found = sealed(frames, cuts=cuts), Opener(KEY, "ses_1"), []
    opener.segment(0)
    for size in [*sizes, len(data)]:
        found += opener.feed(data[:size])
        data = data[size:]
    assert found == frames
    assert opener.ended
    assert opener.unread == 0


@given(FRAMES, FRAMES, st.integers(0, 1_000))
def test_a_frame_may_go_on_in_the_next_segment(first, second, cut):
    sealer = Sealer(KEY, "ses_1")
    plain = b"".join(frame(one.kind, one.micros, one.data) for one in [*first, *second])
    segments = [MAGIC + chunk(sealer, part) + chunk(sealer, b"", last=True) for part in (plain[:cut], plain[cut:])]
    assert read(*segments) == [*first, *second]


@given(FRAMES.filter(len), st.data())
def test_a_changed_byte_is_seen(frames, data):
    whole = sealed(frames)
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[at] ^= 1 << data.draw(st.integers(0, 7))
    opener = Opener(KEY, "ses_1")
    opener.segment(0)
    try:
        found = list(opener.feed(bytes(changed)))
    except Corrupt:
        return
    # A length that grew asks for more bytes, and a segment that was not ended says so.
    assert not opener.ended or found != frames
    assert opener.unread or not opener.ended


def test_chunks_cannot_be_left_out_moved_or_given_to_another_session():
    sealer = Sealer(KEY, "ses_1")
    one, two, end = chunk(sealer, b"a"), chunk(sealer, b"b"), chunk(sealer, b"", last=True)
    for wrong in (MAGIC + two + end, MAGIC + two + one + end, MAGIC + one + end):
        with pytest.raises(Corrupt, match="was not written so"):
            read(wrong)
    with pytest.raises(Corrupt):
        read(MAGIC + one + two + end, session="ses_2")
    with pytest.raises(Corrupt):
        read(MAGIC + one + two + end, key=os.urandom(32))
    with pytest.raises(Corrupt, match="does not begin"):
        read(b"#!/bin/sh\n" + bytes(40))


def test_a_chunk_that_claims_to_be_huge_is_refused_before_it_is_waited_for():
    with pytest.raises(Corrupt, match="claims"):
        read(MAGIC + b"\x7f\xff\xff\xff")


@given(FRAMES.filter(len), st.data())
def test_what_is_whole_of_a_torn_segment_is_found_without_the_key(frames, data):
    whole = sealed(frames, cuts=[10, 40])
    kept = data.draw(st.integers(0, len(whole)))
    torn = whole[:kept]
    length, ended = whole_length(torn, len(torn), lambda at, count: torn[at : at + count])
    assert length <= kept
    assert ended == (kept == len(whole))
    opener = Opener(KEY, "ses_1")
    opener.segment(0)
    found = list(opener.feed(torn[:length]))
    assert found == frames[: len(found)]
    assert opener.unread == 0
