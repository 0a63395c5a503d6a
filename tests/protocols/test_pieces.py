from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.domain.errors import Corrupt
from lapse.protocols.pieces import Direction, Piece, packed, unpacked

PIECES = st.builds(Piece, st.sampled_from(Direction), st.integers(0, 2**63), st.binary(max_size=64))


@given(st.lists(PIECES, max_size=8))
def test_what_was_packed_comes_out_in_order(pieces):
    frame = b"".join(packed(piece.direction, piece.micros, piece.data) for piece in pieces)
    assert list(unpacked(frame)) == pieces


def test_a_piece_knows_when_it_passed():
    assert Piece(Direction.CLIENT, 1_500_000, b"").at == datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)


@given(st.lists(PIECES, min_size=1, max_size=3), st.data())
def test_a_frame_that_is_cut_short_is_corrupt(pieces, data):
    frame = b"".join(packed(piece.direction, piece.micros, piece.data) for piece in pieces)
    ends = {0, len(frame)}
    for piece in pieces:
        ends.add(max(ends - {len(frame)}) + len(packed(piece.direction, piece.micros, piece.data)))
    cut = data.draw(st.integers(0, len(frame)).filter(lambda at: at not in ends))
    with pytest.raises(Corrupt):
        list(unpacked(frame[:cut]))


def test_a_direction_that_there_is_not_is_corrupt():
    with pytest.raises(Corrupt, match="`x`"):
        list(unpacked(b"x" + packed(Direction.CLIENT, 0, b"")[1:]))
