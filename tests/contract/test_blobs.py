"""What every `ports.Blobs` does with pieces of recordings."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lapse.domain.errors import Conflict, InvalidInput, NotFound, Unavailable
from lapse.storage.blobs import FolderBlobs

NAME = "pg-prod/ses_1/0"


@pytest.fixture
def blobs(tmp_path):
    return FolderBlobs(tmp_path / "recordings")


async def test_what_is_appended_is_read_back(blobs):
    await blobs.append(NAME, 0, b"abc")
    await blobs.append(NAME, 3, b"def")
    assert await blobs.read(NAME) == b"abcdef"
    assert await blobs.read(NAME, 2, 3) == b"cde"


async def test_an_append_whose_answer_was_lost_is_repeated_without_harm(blobs):
    await blobs.append(NAME, 0, b"abc")
    await blobs.append(NAME, 0, b"abc")
    await blobs.append(NAME, 1, b"bcdef")
    assert await blobs.read(NAME) == b"abcdef"


async def test_a_gap_or_other_bytes_are_refused_and_change_nothing(blobs):
    await blobs.append(NAME, 0, b"abc")
    with pytest.raises(Conflict, match="has 3 bytes"):
        await blobs.append(NAME, 5, b"x")
    with pytest.raises(Conflict, match="something else"):
        await blobs.append(NAME, 1, b"xyz")
    assert await blobs.read(NAME) == b"abc"


async def test_what_is_not_there_is_not_found_and_is_removed_already(blobs):
    with pytest.raises(NotFound):
        await blobs.read(NAME)
    await blobs.append(NAME, 0, b"abc")
    await blobs.remove(NAME)
    await blobs.remove(NAME)
    with pytest.raises(NotFound):
        await blobs.read(NAME)


@pytest.mark.parametrize("name", ["", "..", "a/../b", "/etc/passwd", "a//b", "a/.hidden", "a\x00b", "a/" * 9 + "a"])
async def test_a_name_leads_nowhere_else(blobs, name):
    with pytest.raises(InvalidInput):
        await blobs.append(name, 0, b"x")


async def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "recordings").write_text("a file in the way")
    with pytest.raises(Unavailable, match="cannot be kept"):
        await FolderBlobs(tmp_path / "recordings").append(NAME, 0, b"x")


async def test_a_folder_goes_with_the_last_piece_in_it_and_not_before(blobs, tmp_path):
    for number in (0, 1):
        await blobs.append(f"pg-prod/ses_1/{number}", 0, b"abc")
    folder = tmp_path / "recordings" / "pg-prod" / "ses_1"
    await blobs.remove("pg-prod/ses_1/0")
    assert [path.name for path in folder.iterdir()] == ["1"]
    await blobs.remove("pg-prod/ses_1/1")
    assert not folder.exists()


async def test_only_this_user_reads_them(blobs, tmp_path):
    await blobs.append(NAME, 0, b"abc")
    assert (tmp_path / "recordings" / NAME).stat().st_mode & 0o777 == 0o600


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=64), max_size=8), st.integers(0, 1 << 30))
async def test_in_whatever_pieces_it_comes_and_however_often_it_is_the_same(tmp_path_factory, pieces, seed):
    blobs = FolderBlobs(tmp_path_factory.mktemp("blobs"))
    whole = b""
    for number, piece in enumerate(pieces):
        for _ in range(1 + (seed >> number & 1)):
            await blobs.append(NAME, len(whole), piece)
        whole += piece
    assert not pieces or await blobs.read(NAME) == whole
