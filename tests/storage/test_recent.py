"""What was just committed and need not be read back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lapse.storage.recent import RecentEntries


def body(key: int) -> bytes:
    return b"entry %d" % key


def run(first: int, length: int) -> list[bytes]:
    return [body(key) for key in range(first, first + length)]


def entries(first: int, end: int) -> list[tuple[int, bytes]]:
    return [(key, body(key)) for key in range(first, end)]


def test_what_was_kept_is_found_behind_what_is_known():
    recent = RecentEntries()
    recent.keep(11, run(11, 3))
    recent.keep(14, run(14, 2))
    assert recent.behind(10, 15, 100) == entries(11, 16)
    assert recent.behind(12, 15, 100) == entries(13, 16)


def test_no_more_than_the_limit_and_none_beyond_the_last():
    recent = RecentEntries()
    recent.keep(1, run(1, 9))
    assert recent.behind(0, 9, 4) == entries(1, 5)
    assert recent.behind(0, 6, 100) == entries(1, 7)
    assert recent.behind(9, 9, 100) == []


def test_what_another_process_wrote_in_between_ends_it():
    recent = RecentEntries()
    recent.keep(1, run(1, 2))
    recent.keep(5, run(5, 2))
    assert recent.behind(0, 6, 100) == entries(1, 3)
    assert recent.behind(2, 6, 100) == []
    assert recent.behind(4, 6, 100) == entries(5, 7)


def test_beyond_the_bound_nothing_is_kept_until_there_is_room():
    recent = RecentEntries(most_bytes=20)
    recent.keep(1, run(1, 2))
    recent.keep(3, run(3, 2))
    assert recent.behind(0, 4, 100) == entries(1, 3)
    assert recent.behind(2, 4, 100) == []
    recent.keep(5, run(5, 2))
    assert recent.behind(4, 6, 100) == entries(5, 7)


@given(
    st.lists(st.tuples(st.integers(1, 5), st.booleans()), max_size=20),
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 30)), max_size=10),
    st.integers(0, 400),
)
def test_it_never_gives_anything_but_what_stands_in_the_table(written, asked, most_bytes):
    recent, last = RecentEntries(most_bytes), 0
    for length, ours in written:
        if ours:
            recent.keep(last + 1, run(last + 1, length))
        last += length
    for known, limit in sorted(asked):
        found = recent.behind(known, last, limit)
        assert found == entries(known + 1, last + 1)[: len(found)]
        assert len(found) <= limit
