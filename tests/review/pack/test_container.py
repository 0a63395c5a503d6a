"""The zip of a pack: one byte sequence for given files, and everything else is refused in a sentence."""

from __future__ import annotations

import io
import os
import stat
import zipfile

import pytest

from lapse.review.pack import verify_pack
from lapse.review.pack.standalone_container import PackDefect, ZipPack, check_path


def zip_of(path, *members):
    """A zip as any other program would write it; a member is (name or ZipInfo, contents)."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, contents in members:
            archive.writestr(name, contents)
    return path


def refusal(path):
    with pytest.raises(PackDefect) as caught:
        ZipPack(str(path))
    assert caught.value.file == path.name
    return caught.value.problem


def test_other_programs_can_unpack_it(sealed, tmp_path):
    with zipfile.ZipFile(sealed.archive) as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path)
    assert verify_pack(str(tmp_path / sealed.folder.name)).ok


def test_it_holds_one_folder_with_the_files_of_the_folder(sealed):
    pack = ZipPack(str(sealed.archive))
    for name in pack.names:
        assert b"".join(pack.chunks(name)) == (sealed.folder / name).read_bytes()
    pack.close()
    assert pack.name == sealed.folder.name


def test_a_compressed_zip_is_refused_before_anything_is_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("pack/bomb", b"\0" * 10_000_000)
    assert refusal(tmp_path / "bomb.zip") == "compresses or encrypts `pack/bomb`, as no pack does; refused"


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/passwd", "pack/../../evil", "pack\\evil", "C:evil", "pack/.hidden", "pack/a ", "p/ä"]
)
def test_a_name_that_could_leave_the_pack_is_refused(tmp_path, name):
    assert "which no pack holds; refused" in refusal(zip_of(tmp_path / "odd.zip", (name, b"x")))


@pytest.mark.parametrize("name", [b"/verify.py", b"/VERIFY.PY"])
def test_a_name_twice_is_refused_even_if_only_the_case_differs(archive, name):
    archive.write_bytes(archive.read_bytes().replace(b"/items.csv", name))
    assert refusal(archive).endswith("more than once; refused")


def test_a_symbolic_link_is_refused(tmp_path):
    link = zipfile.ZipInfo("pack/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    link.date_time = (1980, 1, 1, 0, 0, 0)
    path = zip_of(tmp_path / "link.zip", (link, b"/etc/passwd"))
    assert refusal(path) == "has a symbolic link for `pack/link` in its directory"


def test_a_link_or_a_device_in_a_folder_is_refused(folder):
    (folder / "extra").symlink_to("/etc/passwd")
    (problem,) = verify_pack(str(folder)).problems
    assert problem == ("extra", "is a symbolic link; refused")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda raw: raw + b"\0", "has bytes after its end"),
        (lambda raw: b"\0" + raw, "is not a pack: it does not begin as a zip does"),
        (lambda raw: b"", "is not a pack: it does not begin as a zip does"),
        (lambda raw: raw[:-1], "is cut short in its directory"),
        (lambda raw: raw[:20], "is cut short in the middle of a file's header"),
        (lambda raw: raw[:3000], "is cut short"),
        (lambda raw: raw[:-2] + b"\1\0", "has a changed end record"),
        (lambda raw: b"not a zip at all", "is not a pack"),
    ],
)
def test_a_cut_or_padded_zip_is_refused(archive, change, problem):
    archive.write_bytes(change(archive.read_bytes()))
    assert problem in refusal(archive)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    pipe = tmp_path / "pack.zip"
    os.mkfifo(pipe)
    assert refusal(pipe) == "is neither a file nor a folder"


def test_the_same_files_zipped_by_another_program_are_not_the_sealed_zip(sealed, tmp_path):
    members = [(f"{sealed.folder.name}/{f.path}", (sealed.folder / f.path).read_bytes()) for f in sealed.files]
    outcome = verify_pack(str(zip_of(tmp_path / "again.zip", *members)))
    assert not outcome.ok


def test_names_are_plain():
    assert check_path("tables/grants.parquet", "x") == "tables/grants.parquet"
    for name in ("", ".", "a//b", "a/", "a/b/c/d/e/f/g", "x" * 121, "a\nb", "a\0"):
        with pytest.raises(PackDefect):
            check_path(name, "x")


def test_reading_stops_at_a_wrong_checksum(archive, sealed):
    raw = bytearray(archive.read_bytes())
    raw[raw.index(b"python3 verify.py")] ^= 1
    archive.write_bytes(raw)
    assert "README.txt" in {p.file for p in verify_pack(str(archive)).problems}
    assert zipfile.ZipFile(io.BytesIO(raw)).testzip() is not None
